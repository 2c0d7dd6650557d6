"""Who may come in: every handler says what it needs, nobody gets further without it, and whoever is nobody signs in first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ControllerRouterHandler

from campana.core.access import NOTICED, Permission
from campana.store import sessions
from campana.store.sessions import SignedIn
from campana.web.visitor import Visitor

COOKIE = "campana"
GUARDED = "__Host-"  # a browser takes such a cookie over https only, and from no other host
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
    if not isinstance(visitor, Visitor):
        raise NobodyYet
    if not visitor.may(needed):
        raise NotAllowed


def hash_of(token: str) -> bytes:
    """What is kept of a token: whoever reads the database cannot sign in with it."""
    return hashlib.sha256(token.encode()).digest()


def is_secure(connection: Connection) -> bool:
    """Whether the browser came over https: under the public name, as the settings say."""
    public: str = connection.app.state["desk"].console.public_url()
    scheme, _, host = public.partition("://")
    return scheme == "https" and connection.headers.get("host", "").casefold() == host.partition("/")[0].casefold()


def cookie_of(connection: Connection) -> str:
    """The name of the session cookie."""
    return GUARDED + COOKIE if is_secure(connection) else COOKIE


class Entrance(AbstractAuthenticationMiddleware):
    """Finds out who asks. `request.user` is a Visitor afterwards, or None."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """Looks the session up, and writes down that it was used."""
        return AuthenticationResult(user=await visitor_of(connection), auth=None)


async def visitor_of(connection: Connection) -> Visitor | None:
    """Who asks; None when nobody is signed in."""
    console = connection.app.state["desk"].console
    token = connection.cookies.get(cookie_of(connection))
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
    )


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a person waits for a page, so that they can be sent elsewhere; a fragment, stream or program cannot."""
    accepted = request.headers.get("accept", "*/*")
    is_fragment = "hx-request" in request.headers or request.headers.get("sec-fetch-mode", "navigate") != "navigate"
    speaks_json = request.content_type[0] == RequestEncodingType.JSON
    return not (is_fragment or speaks_json) and ("text/html" in accepted or "*/*" in accepted)


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
