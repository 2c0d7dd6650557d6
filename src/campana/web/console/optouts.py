"""Opt-outs: the addresses that get nothing more, with the proof of each; people add some and, with a reason, lift some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.core.audience import Issue
from campana.core.emails import parse_email
from campana.core.phones import Phone, parse_phone
from campana.store import audit, suppressions
from campana.store.drafts import Author
from campana.store.suppressions import ALL, Entry
from campana.web.console.drafts import author_of, workspace_of
from campana.web.console.page import AnyRequest, Desk, draw, preference

HERE = "/settings/opt-outs"
PAGE = 100
MOST = 10_000  # lines at once
BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody wrote into the form, read line by line."""

    lines: str = ""
    medium: str = ALL
    reason: str = ""
    values: tuple[str, ...] = ()
    wrong: Mapping[str, Issue] = field(default_factory=dict)  # by line
    many: bool = False  # more lines than are read at once: none was read


def read(form: Mapping[str, Any], media: Iterable[str]) -> Typed:
    """The addresses of a form, one a line; what is no address is told with the reason."""
    text, medium = str(form.get("lines", "")), str(form.get("medium", ALL))
    values: dict[str, None] = {}
    wrong: dict[str, Issue] = {}
    lines = [one.strip() for one in text.splitlines() if one.strip()]
    many = len(lines) > MOST
    for line in [] if many else lines:
        found = parse_email(line) if "@" in line else parse_phone(line)
        if isinstance(found, str):
            values[found] = None
        elif isinstance(found, Phone):
            values[found.e164] = None
        else:
            wrong[line] = Issue("", found.code, found.words)
    known = medium if medium in {ALL, *media} else ALL
    return Typed(text, known, str(form.get("reason", "")).strip()[:500], tuple(values), wrong, many)


def add(c: Connection, author: Author, workspace_id: bytes, typed: Typed, now: int) -> None:
    """These addresses get nothing more on that medium from the next message on."""
    suppressions.suppress(c, workspace_id, typed.values, typed.medium, now, BY_HAND, f"{author.who}: {typed.reason}")
    details = {"medium": typed.medium, "addresses": len(typed.values), "reason": typed.reason}
    about = typed.values[0] if len(typed.values) == 1 else f"{len(typed.values)} addresses"
    audit.note(c, workspace_id, author.user_id, author.who, "optout.added", about, now, details=details, address=author.address)


def lift(c: Connection, author: Author, workspace_id: bytes, value: str, medium: str, now: int) -> Entry | None:
    """The address is written to again; the log keeps what was known."""
    gone = suppressions.remove(c, workspace_id, value, medium)
    if gone:
        details = {"medium": gone.medium, "rule": gone.rule, "proof": gone.proof, "since": gone.at}
        audit.note(
            c, workspace_id, author.user_id, author.who, "optout.lifted", value, now, details=details, address=author.address
        )
    return gone


async def _page(request: AnyRequest, typed: Typed | None = None, errors: Mapping[str, str] | None = None) -> Response[Any]:
    desk, asked = Desk.of(request), request.query_params
    text = asked.get("q", "").strip()[:200]
    after = (asked.get("after", ""), asked.get("medium", ""))
    found: list[Entry] = await desk.console.read(suppressions.entries, workspace_of(request), text.casefold(), after, PAGE + 1)
    shown, more = found[:PAGE], found[PAGE:]
    following = urlencode({"q": text, "after": shown[-1].value, "medium": shown[-1].medium}) if more else ""
    return draw(
        request,
        "optouts.html",
        status=422 if errors else 200,
        entries=shown,
        text=text,
        first=not after[0],
        following=f"{HERE}?{following}" if following else "",
        media=_media(desk),
        most=MOST,
        typed=typed or Typed(),
        errors=errors or {},
        said=asked.get("said", ""),
        now=desk.console.clock.now(),
    )


def _media(desk: Desk) -> list[str]:
    return sorted({face.medium for face in desk.console.channels.values()})


@get(HERE, needs=Permission.VIEW, include_in_schema=False)
async def optouts(request: AnyRequest) -> Response[Any]:
    """The list, by address, and the form that adds to it."""
    return preference(request) or await _page(request)


@post(HERE, needs=Permission.OPERATE, include_in_schema=False)
async def add_optouts(request: AnyRequest) -> Response[Any]:
    """Takes in what was typed; when a line is no address, nothing of it, so that it can be mended."""
    desk = Desk.of(request)
    typed = read(await request.form(), _media(desk))
    errors: dict[str, str] = {}
    if typed.many or typed.wrong or not typed.values:
        errors["lines"] = "many" if typed.many else "wrong" if typed.wrong else "empty"
    if not typed.reason:
        errors["reason"] = "reason"
    if errors:
        return await _page(request, typed, errors)
    await desk.console.write(add, author_of(request), workspace_of(request), typed, desk.console.clock.now())
    return Redirect(f"{HERE}?said=added", status_code=303)


@post(f"{HERE}/lift", needs=Permission.ADMIN, include_in_schema=False)
async def lift_optout(request: AnyRequest) -> Response[Any]:
    """One address is written to again."""
    desk, form = Desk.of(request), await request.form()
    value, medium = str(form.get("value", "")), str(form.get("medium", ""))
    gone = await desk.console.write(lift, author_of(request), workspace_of(request), value, medium, desk.console.clock.now())
    return Redirect(f"{HERE}?said={'lifted' if gone else 'gone'}", status_code=303)
