"""What every page of the console stands on: what it is given, the reader's language and theme, and how a page is drawn."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment
from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect
from litestar.template.base import csrf_token
from litestar.types import ASGIApp
from sqlalchemy import Connection

from campana import __version__
from campana.channels.advice import NONE, Advice, Errors, code_in
from campana.channels.contract import Channel
from campana.clock import Clock
from campana.core.access import Permission
from campana.core.ids import Id
from campana.core.message import Status
from campana.core.reason import read as reason_of
from campana.engine.estimate import Estimates
from campana.engine.house import House
from campana.engine.readings import Readings
from campana.engine.report import Words
from campana.vault import Vault
from campana.web.console import assets, i18n
from campana.web.doors import Doors
from campana.web.live import Live
from campana.web.visitor import Visitor

THEMES = ("system", "light", "dark")
ANYWHERE = "UTC"
ENVIRONMENTS = 24  # a language and a zone each
A_YEAR = 365 * 86_400
MOST = 2**31 - 1  # the greatest number that a column holds
AnyRequest = Request[Any, Any, Any]
Noting = Callable[[Connection], None]


class Refused(Exception):
    """An action that cannot be done now. Its sentence is shown to whoever asked for it."""


@dataclass(frozen=True, slots=True)
class Face:
    """How a channel is shown: its label, its medium (sms, whatsapp, voice, email), which has an icon, its error codes, and
    whether it tells who read a message."""

    label: str
    medium: str
    errors: Errors = NONE
    reads: bool = True

    def meaning(self, code: str) -> str:
        """What the vendor's table says of a code, in English; nothing when it is not there."""
        failure = self.errors.table.get(code)
        return failure.words if failure else ""

    @classmethod
    def of(cls, channel: Channel) -> Face:
        """The face of a channel, as the channel describes itself."""
        return cls(channel.label, channel.suppresses, channel.errors, Status.READ in channel.receipts)


@dataclass(frozen=True, slots=True)
class Actions:
    """What people may do to a campaign that runs. Each raises Refused when it cannot be done; what it is given besides the
    campaign is called in the same transaction, to note who did it."""

    pause: Callable[[Id, Noting], Awaitable[object]]
    resume: Callable[[Id, Noting], Awaitable[object]]
    finish: Callable[[Id, Noting], Awaitable[object]]


@dataclass(frozen=True)
class Console:
    """All that the pages need. `read` and `write` run a store function with a connection, in a thread."""

    read: Callable[..., Awaitable[Any]]
    write: Callable[..., Awaitable[Any]]
    changed: Callable[[float], Awaitable[object]]  # returns when something changed, or after so many seconds
    actions: Actions
    audience: Callable[[Id, Words, Collection[int]], AsyncIterator[bytes]]  # a campaign's as CSV, with the outcomes wanted
    clock: Clock
    workspace_id: Id  # of the command line, which the first owner gets
    channels: Mapping[str, Face] = field(default_factory=dict)  # channel kind -> how it is shown
    gateway: ASGIApp | None = None  # gets everything under /hooks
    house: House | None = None  # the wheels' parts, for pages that look ahead: previews, tests, launches
    estimates: Estimates | None = None
    readings: Readings | None = None  # reads files of people for drafts
    public_url: Callable[[], str] = lambda: ""  # how people reach the console from outside
    doors: Doors = field(default_factory=lambda: Doors(Vault([secrets.token_hex(32)])))  # what the sign-in stands on
    version: str = __version__
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)  # signs the form tokens


@dataclass(frozen=True)
class Desk:
    """What a request finds: the console, its streams, and the templates of each language."""

    console: Console
    live: Live
    environment: Callable[[str, str], Environment]

    @classmethod
    def of(cls, request: AnyRequest) -> Desk:
        """The desk of the application that a request reached."""
        desk: Desk = request.app.state["desk"]
        return desk

    def templates(self, request: AnyRequest) -> Environment:
        """The templates in the reader's language, with times as their workspace's clocks show them."""
        return self.environment(language_of(request), zone_of(request))


def open_desk(console: Console, live: Live) -> Desk:
    """Loads the templates and catalogues once; raises AssetsMissing in a package that was not built."""
    files = assets.manifest()
    names = {"asset": files.__getitem__, "version": console.version, "channels": console.channels, "themes": THEMES}
    names |= {"needs": Permission, "code_in": code_in, "reason_of": reason_of}

    def advice(kind: str, code: str, language: str) -> Advice:
        face = console.channels.get(kind)  # a package's channel is gone when the package was removed
        return (face.errors if face else NONE).advice(code, language)

    names["advice"] = advice

    @lru_cache(ENVIRONMENTS)
    def environment(language: str, zone: str) -> Environment:
        return i18n.environment(language, zone, names)

    for code in i18n.LANGUAGES:
        environment(code, ANYWHERE)
    return Desk(console, live, environment)


def language_of(request: AnyRequest) -> str:
    """The language of an answer: an address that names one wins, so that a page and its stream never disagree."""
    visitor = Visitor.or_none(request)
    wanted = request.query_params.get("lang") or request.cookies.get("lang") or (visitor.language if visitor else None)
    return i18n.choose(wanted, request.headers.get("accept-language", ""))


def zone_of(request: AnyRequest) -> str:
    """The zone in which the reader's workspace shows its times."""
    visitor = Visitor.or_none(request)
    return visitor.zone if visitor else ANYWHERE


def theme_of(request: AnyRequest) -> str:
    """The theme chosen by the reader, else the system's."""
    theme = request.cookies.get("theme", "")
    return theme if theme in THEMES else "system"


def asked_by(request: AnyRequest) -> list[tuple[str, str]]:
    """The names and values of an address, in its order."""
    return parse_qsl(request.url.query)


async def typed(request: AnyRequest, longest: int = 2000) -> dict[str, str]:
    """The texts of a form, without spaces around them; passwords are left as they are. A file counts as nothing."""
    form = await request.form()
    texts = {name: value[:longest] for name, value in form.items() if isinstance(value, str)}
    return {name: value if "password" in name else value.strip() for name, value in texts.items()}


def number(text: object, most: int = MOST) -> int:
    """The whole number that a form or an address names; 0 when it names none, or one greater than `most`."""
    digits = str(text).strip()
    found = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else 0
    return found if found <= most else 0


def draw(request: AnyRequest, template: str, *, status: int = 200, zone: Any = "", **values: Any) -> Response[str]:
    """A whole page, in the reader's language; its times by the clocks of a zone, or of the workspace."""
    html = (
        Desk.of(request)
        .environment(language_of(request), zone or zone_of(request))
        .get_template(template)
        .render(
            **values,
            visitor=Visitor.or_none(request),
            theme=theme_of(request),
            here=request.url.path,
            query=asked_by(request),
            csrf=csrf_token({"request": request}),
        )
    )
    headers = {"cache-control": "private, no-cache", "vary": "Cookie, Accept-Language"}
    return Response(html, status_code=status, media_type=MediaType.HTML, headers=headers)


def kept_language(language: str | None) -> Cookie:
    """The cookie that keeps a language; None makes the browser forget the one it kept."""
    return Cookie(key="lang", value=language or "", path="/", max_age=A_YEAR if language else 0, samesite="lax")


def preference(request: AnyRequest) -> Response[Any] | None:
    """Keeps a `lang` or `theme` named in a page's address as a cookie, and sends the reader to the address without it."""
    kept = {
        "lang": (request.query_params.get("lang"), i18n.LANGUAGES),
        "theme": (request.query_params.get("theme"), THEMES),
    }
    if not any(value for value, _ in kept.values()):
        return None
    rest = [(name, value) for name, value in asked_by(request) if name not in kept]
    cookies = [
        Cookie(key=name, value=value, path="/", max_age=A_YEAR, samesite="lax")
        for name, (value, known) in kept.items()
        if value in known
    ]
    return Redirect(request.url.path + (f"?{urlencode(rest)}" if rest else ""), cookies=cookies)
