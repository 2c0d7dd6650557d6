"""How much anybody may send: it is refused before it is read, so that a stranger fills neither memory nor disk."""

from __future__ import annotations

import re

from litestar.enums import ScopeType
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send

from campana.core.access import Permission
from campana.web.access import NobodyYet
from campana.web.console.page import Console
from campana.web.gateway import headers_of
from campana.web.visitor import Visitor

STRANGERS = 64 << 10  # bytes of a form that somebody fills who is not signed in
FORMS = 10_000_000  # of any other form
MARGIN = 1 << 20  # what a form holds besides its file
UPLOAD = re.compile(r"/campaigns/[^/]+/audience/upload/?")


def bounded(app: ASGIApp, console: Console) -> ASGIApp:
    """The application, to which nobody sends more than they may; the entrance before it says who they are."""

    async def within(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        await app(scope, counted(scope, receive, most_of(scope, console)), send)

    return within


def most_of(scope: Scope, console: Console) -> int:
    """How many bytes a request may bring."""
    visitor = scope.get("user")
    if not isinstance(visitor, Visitor):
        return STRANGERS
    if console.readings is not None and UPLOAD.fullmatch(scope["path"]) and visitor.may(Permission.EDIT):
        return console.readings.limits.file_bytes + MARGIN
    return FORMS


def counted(scope: Scope, receive: Receive, most: int) -> Receive:
    """Takes a body up to so many bytes. It raises inside of the application, where errors have pages."""
    told, came = headers_of(scope).get("content-length", ""), 0
    too_long = told.isdecimal() and int(told[:20]) > most

    async def taken() -> HTTPReceiveMessage:
        nonlocal came
        if too_long:
            raise _refusal(scope)
        message: HTTPReceiveMessage = await receive()  # type: ignore[assignment]  # of HTTP, as the scope said
        if message["type"] == "http.request":
            came += len(message["body"])
            if came > most:  # a body need not say how long it is
                raise _refusal(scope)
        return message

    return taken


def _refusal(scope: Scope) -> Exception:
    user = scope.get("user")
    if isinstance(user, Exception):
        return user
    return RequestEntityTooLarge() if isinstance(user, Visitor) else NobodyYet()
