"""Who may come in: every handler says what it needs, nobody gets further without it, and whoever is nobody signs in first."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote, urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType, ScopeType
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

from campana.core.access import LONGEST, NOTICED, Permission
from campana.core.durations import SECOND
from campana.core.ids import Id
from campana.store import audit, sessions
from campana.store.sessions import SignedIn
from campana.store.workspaces import Stop
from campana.web.console import assets
from campana.web.console.page import Console, Noting
from campana.web.gateway import headers_of
from campana.web.hosts import address_of, find_address
from campana.web.visitor import Visitor

COOKIE = "campana"
GUARDED = "__Host-"  # a browser takes such a cookie over https only, and from no other host
LOOK_UP = 15.0  # seconds between two looks at whether a stream's visitor is still signed in
NEEDS = "needs"  # the keyword by which a handler says what it needs
Connection = ASGIConnection[Any, Any, Any, Any]


class NobodyYet(Exception):
    """Whoever asks is not signed in. Sign in, then ask again."""


class NotAllowed(Exception):
    """The visitor's role does not allow this. An admin of the workspace can give another role."""


class Unguarded(RuntimeError):
    """A handler that does not say what it needs: write needs=Permission.VIEW or the like, or needs=None for everybody."""


def require_needs(handlers: Iterable[ControllerRouterHandler]) -> None:
    """Raises Unguarded when one of the handlers does not say what it needs."""
    for handler in handlers:
        said = handler.opt.get(NEEDS, "") if isinstance(handler, HTTPRouteHandler) else ""
        if said is not None and not isinstance(said, Permission):
            raise Unguarded(f"{getattr(handler, 'handler_name', handler)} does not say what it needs. {Unguarded.__doc__}")


def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Lets through whoever has what the handler needs."""
    needed = handler.opt.get(NEEDS, Permission.OWN)  # what Litestar adds by itself needs the most
    if needed is None:
        return
    visitor = connection.scope.get("user")
    if isinstance(visitor, Exception):
        raise visitor
    if not isinstance(visitor, Visitor):
        raise NobodyYet
    if not visitor.may(needed):
        raise NotAllowed


def hash_of(token: str) -> bytes:
    """What is kept of a token: whoever reads the database cannot sign in with it."""
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    """What nobody guesses: 256 bits, in hex, so that no log takes it for a phone number."""
    return secrets.token_hex(32)


def base_of(scope: Scope, public_url: str) -> str:
    """The address that a request came to: the public one when it was asked for by that name, else as the connection says."""
    host = headers_of(scope).get("host", "localhost")
    public = urlsplit(public_url)
    return public_url.rstrip("/") if public.netloc.casefold() == host.casefold() else f"http://{host}"


def cookie_of(scope: Scope, public_url: str) -> str:
    """The name of the session cookie: where https is spoken, one that travels over nothing else."""
    return GUARDED + COOKIE if base_of(scope, public_url).startswith("https://") else COOKIE


def session_cookie(scope: Scope, public_url: str, token: str) -> Cookie:
    """The cookie that signs a browser in; without a token, the one that makes it forget."""
    name = cookie_of(scope, public_url)
    lasts = LONGEST // SECOND if token else 0
    return Cookie(key=name, value=token, path="/", max_age=lasts, httponly=True, samesite="lax", secure=name.startswith(GUARDED))


def entrance(app: ASGIApp, console: Console) -> ASGIApp:
    """Finds out who asks, for every page and for errors too. `request.user` is a Visitor afterwards, or None."""

    async def entered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            find_address(scope, console.doors.proxies)
        if scope["type"] == ScopeType.HTTP and not scope["path"].startswith(assets.PREFIX + "/"):
            try:
                scope["user"] = await visitor_of(scope, console)
            except Exception as error:  # it is told inside, where errors have pages
                scope["user"] = error
        await app(scope, receive, send)

    return entered


def token_of(scope: Scope, public_url: str) -> str:
    """The session that a browser says it has."""
    name = cookie_of(scope, public_url)
    given = (part.strip().partition("=") for part in headers_of(scope).get("cookie", "").replace(",", ";").split(";"))
    return next((value for key, _, value in given if key == name), "")


async def visitor_of(scope: Scope, console: Console) -> Visitor | None:
    """Who asks; None when nobody is signed in. That the session was used is written down now and then."""
    token = token_of(scope, console.public_url())
    if not token:
        return None
    now = console.clock.now()
    found: SignedIn | None = await console.read(sessions.find, hash_of(token), now)
    if found is None:
        return None
    if now - found.seen_at > NOTICED:
        await console.write(sessions.used, found.session_id, found.begun, now)
    return Visitor(
        user_id=found.user_id,
        email=found.email,
        name=found.name,
        role=found.role,
        workspace_id=found.workspace_id,
        workspace=found.workspace,
        zone=found.zone,
        session_id=found.session_id,
        language=found.language,
        workspaces=found.workspaces,
        stop=Stop(found.stopped_at, found.stopped_by or "") if found.stopped_at is not None else None,
    )


async def while_signed_in(request: Request[Any, Any, Any], events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The events of a stream, as long as its visitor may still see them: looked up again every now and then."""
    console: Console = request.app.state["desk"].console
    began, clock = Visitor.of(request), asyncio.get_running_loop().time
    looked_up = clock()
    async with aclosing(events):  # type: ignore[type-var]  # a generator, as all streams are
        async for event in events:
            if clock() - looked_up >= LOOK_UP:
                looked_up, visitor = clock(), await visitor_of(request.scope, console)
                if visitor is None or (visitor.workspace_id, visitor.role) != (began.workspace_id, began.role):
                    return
            yield event


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a person waits for a page, so that they can be sent elsewhere; a fragment, stream or program cannot."""
    accepted = request.headers.get("accept", "*/*")
    is_fragment = "hx-request" in request.headers or request.headers.get("sec-fetch-mode", "navigate") != "navigate"
    handler = request.scope.get("route_handler")
    is_stream = handler is not None and bool(handler.opt.get("uncompressed")) and not handler.opt.get("file")
    speaks_json = request.content_type[0] == RequestEncodingType.JSON
    return not (is_fragment or is_stream or speaks_json) and ("text/html" in accepted or "*/*" in accepted)


def entrance_for(request: Request[Any, Any, Any]) -> str:
    """Where to sign in, so that what was asked for comes next."""
    if request.method != "GET":
        return "/sign-in"
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/sign-in" if asked == "/" else f"/sign-in?next={quote(asked, safe='')}"


def next_of(text: str) -> str:
    """The address of ours that a sign-in leads to; anything else leads to the campaigns."""
    ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if ours else "/campaigns"


def noting(
    request: Request[Any, Any, Any], what: str, about: str, object_id: Id, details: Mapping[str, Any] | None = None
) -> Noting:
    """What writes into the audit log that the visitor did it, in the transaction it is called in."""
    v, now = Visitor.of(request), request.app.state["desk"].console.clock.now()
    address = address_of(request.scope)
    return lambda c: audit.note(c, v.workspace_id, v.user_id, v.email, what, about, now, object_id, details, address)
