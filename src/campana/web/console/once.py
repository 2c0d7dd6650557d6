"""What a page shows once after a form was sent: it travels sealed in a cookie, out of addresses and logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from campana.core.durations import MINUTE, SECOND
from campana.vault import WrongKey
from campana.web.console.page import AnyRequest, Desk
from campana.web.visitor import Visitor

COOKIE = "campana-once"
LASTS = 5 * MINUTE


class Held(msgspec.Struct):
    """What a cookie holds, sealed: for whom, where, until when."""

    whose: str
    path: str
    until: int
    words: dict[str, str]


def show_once(request: AnyRequest, path: str, said: str, words: Mapping[str, str]) -> Response[Any]:
    """Leads to the page at `path`, which finds `words` the first time it is looked at. A reload sends the form no second time."""
    console = Desk.of(request).console
    held = Held(Visitor.of(request).session_id.hex(), path, console.clock.now() + LASTS, dict(words))
    answer: Response[Any] = Redirect(f"{path}?said={said}", status_code=303)
    answer.set_cookie(_cookie(path, console.doors.vault.seal(msgspec.json.encode(held)).decode("ascii"), LASTS // SECOND))
    return answer


def held_for(request: AnyRequest) -> dict[str, str]:
    """What this page shows now and never again; nothing when it was shown, is too old, or is another session's."""
    console, cookie = Desk.of(request).console, request.cookies.get(COOKIE, "")
    try:
        held = msgspec.json.decode(console.doors.vault.open(cookie.encode()), type=Held) if cookie else None
    except (WrongKey, msgspec.MsgspecError):
        return {}
    if held is None or held.path != request.url.path or held.until <= console.clock.now():
        return {}
    return held.words if held.whose == Visitor.of(request).session_id.hex() else {}


def shown(request: AnyRequest, answer: Response[Any]) -> Response[Any]:
    """The answer, after which the browser holds nothing to show any more, and keeps no copy of what it showed."""
    if COOKIE in request.cookies:
        answer.set_cookie(_cookie(request.url.path, "", 0))
        answer.headers["cache-control"] = "no-store"
    return answer


def _cookie(path: str, value: str, lasts: int) -> Cookie:
    return Cookie(key=COOKIE, value=value, path=path, max_age=lasts, httponly=True, samesite="strict")
