"""Reports by e-mail: which go out to whom, when; what became of the last one; pausing, deleting, and one now to whoever asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Permission, email_key
from campana.core.emails import EmailProblem, parse_email
from campana.core.hours import zones
from campana.core.ids import Id, id_of, new_id
from campana.core.periods import Every, next_due
from campana.engine.report_mail import name_of
from campana.mail import MailTrouble, MailUncertain
from campana.store import campaigns, report_mails, workspaces
from campana.store.report_mails import LETTERS_A_DAY, EnoughToday, ReportMail, TooMany
from campana.web.access import noting
from campana.web.console import i18n
from campana.web.console.page import AnyRequest, Desk, draw, language_of, preference, typed
from campana.web.console.report_letter import Letters
from campana.web.console.reports import Wanted, query_of
from campana.web.visitor import Visitor

HERE = "/reports/mails"
LONGEST_NAME, MOST_ADDRESSES = 80, 20
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
BETWEEN = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class Filled:
    """The form as somebody filled it, what it says, and what is wrong with which field."""

    given: dict[str, str]
    addresses: tuple[str, ...]
    wrong_addresses: tuple[str, ...]
    errors: dict[str, str]


def read(given: dict[str, str]) -> Filled:
    """Reads a form; nothing of it is lost."""
    errors, name = {}, " ".join(given.get("name", "").split())
    if not 0 < len(name) <= LONGEST_NAME:
        errors["name"] = "name_long" if name else "name_wanted"
    if given.get("every") not in list(Every):
        errors["every"] = "every"
    if not CLOCK.fullmatch(given.get("at", "")[:5]):
        errors["at"] = "at"
    if given.get("zone") not in zones():
        errors["zone"] = "zone"
    if given.get("language") not in i18n.LANGUAGES:
        errors["language"] = "language"
    words = [word for word in BETWEEN.split(given.get("addresses", "")) if word]
    read_as = {word: parse_email(word) for word in words[: 10 * MOST_ADDRESSES]}
    wrong = tuple(word for word, found in read_as.items() if isinstance(found, EmailProblem))
    good = tuple(dict.fromkeys(found for found in read_as.values() if not isinstance(found, EmailProblem)))
    if wrong or not good or len(good) > MOST_ADDRESSES or len(words) > 10 * MOST_ADDRESSES:
        errors["addresses"] = "addresses_wrong" if wrong else "addresses_wanted" if not good else "addresses_many"
    return Filled({**given, "name": name}, good, wrong[:5], errors)


async def _page(
    request: AnyRequest,
    given: dict[str, str],
    filled: Filled | None = None,
    said: str = "",
    trouble: str = "",
    enough_until: int = 0,
    edited: ReportMail | None = None,
) -> Response[Any]:
    console, visitor = Desk.of(request).console, Visitor.of(request)
    wanted = query_of(edited.query) if edited else Wanted.of(given)

    def look(c: Connection) -> tuple[list[ReportMail], list[workspaces.Member], dict[str, str]]:
        mails = report_mails.of_workspace(c, visitor.workspace_id)
        asked = {query_of(mail.query).campaign for mail in mails} | {wanted.campaign}
        names = {one: campaigns.name_of(c, visitor.workspace_id, id_of(one) or b"") for one in asked if one}
        return mails, workspaces.members(c, visitor.workspace_id), names

    mails, members, names = await console.read(look)
    return draw(
        request,
        "report_mails.html",
        status=422 if filled else 502 if trouble else 429 if enough_until else 200,
        mails=[(mail, query_of(mail.query)) for mail in mails],
        members=[member.email for member in members][:MOST_ADDRESSES],
        names=names,
        wanted=wanted,
        given=given,
        edited=edited,
        errors=filled.errors if filled else {},
        wrong=", ".join(filled.wrong_addresses) if filled else "",
        zones=zones(),
        mails_are_sent=console.doors.mails,
        said=said,
        trouble=trouble,
        enough_until=enough_until,
        most_letters=LETTERS_A_DAY,
        to_anybody=visitor.may(Permission.ADMIN),
        ask=request.query_params.get("ask", ""),
        most=MOST_ADDRESSES,
        longest=LONGEST_NAME,
    )


@get(HERE, needs=Permission.EDIT, include_in_schema=False)
async def mails_page(request: AnyRequest) -> Response[Any]:
    """All of them, and the form that adds one for the filters of an address."""
    if answer := preference(request):
        return answer
    asked, visitor = request.query_params, Visitor.of(request)
    if "edit" in asked:
        return await _page(request, _given(edited := await _known(request, asked["edit"])), edited=edited)
    given = {"every": "week", "at": "08:00", "zone": visitor.zone, "language": language_of(request)}
    given |= {"addresses": visitor.email, **Wanted.of(asked).filters}
    return await _page(request, given, said=asked.get("said", ""))


@post(HERE, needs=Permission.EDIT, include_in_schema=False)
async def add_mail(request: AnyRequest) -> Response[Any]:
    """A report is sent from now on; when something is wrong with the form, it stands there as it was filled."""
    console, visitor = Desk.of(request).console, Visitor.of(request)
    filled = read(await typed(request))
    if filled.errors:
        return await _page(request, filled.given, filled)
    now, facts = console.clock.now(), _facts(filled)
    query = replace(Wanted.of(filled.given), period="30", sort="started", up=False).query

    def add(c: Connection) -> tuple[str, ...]:
        if outside := () if visitor.may(Permission.ADMIN) else _outside(c, visitor.workspace_id, filled.addresses):
            return outside
        due = next_due(facts["every"], facts["at"], facts["zone"], now)
        mail_id = report_mails.add(c, visitor.workspace_id, visitor.user_id, now, query=query, next_at=due, **facts)
        noting(request, "report.scheduled", facts["name"], mail_id, _noted(facts))(c)
        return ()

    try:
        outside = await console.write(add)
    except TooMany:
        return await _page(request, filled.given, replace(filled, errors={"name": "many"}))
    if outside:
        return await _page(request, filled.given, _strangers(filled, outside))
    return Redirect(f"{HERE}?said=added", status_code=303)


@post(HERE + "/{mail:str}/edit", needs=Permission.EDIT, include_in_schema=False)
async def edit_mail(request: AnyRequest, mail: FromPath[str]) -> Response[Any]:
    """One goes out as the form says from now on; what it looks at stays."""
    console, visitor, found = Desk.of(request).console, Visitor.of(request), await _known(request, mail)
    filled = read(await typed(request))
    if filled.errors:
        return await _page(request, filled.given, filled, edited=found)
    facts = _facts(filled)
    known = {email_key(one) for one in found.addresses}
    new = tuple(one for one in filled.addresses if email_key(one) not in known)  # those before were an admin's to choose

    def edit(c: Connection) -> tuple[str, ...]:
        if outside := () if visitor.may(Permission.ADMIN) else _outside(c, visitor.workspace_id, new):
            return outside
        if not report_mails.edit(c, found, console.clock.now(), **facts):
            raise NotFoundException
        noting(request, "report.changed", facts["name"], found.id, _noted(facts))(c)
        return ()

    if outside := await console.write(edit):
        return await _page(request, filled.given, _strangers(filled, outside), edited=found)
    return Redirect(f"{HERE}?said=changed", status_code=303)


def _given(mail: ReportMail) -> dict[str, str]:
    """The form that would make this report."""
    given = {"name": mail.name, "every": mail.every.value, "at": mail.at, "zone": mail.zone, "language": mail.language}
    return given | {"addresses": "\n".join(mail.addresses)}


def _facts(filled: Filled) -> dict[str, Any]:
    """What a form without errors says of a report."""
    given = filled.given
    facts = {"name": given["name"], "every": Every(given["every"]), "at": given["at"][:5], "zone": given["zone"]}
    return facts | {"language": given["language"], "addresses": filled.addresses}


def _noted(facts: dict[str, Any]) -> dict[str, Any]:
    """What the audit log keeps of them."""
    at = f"{facts['at']} {facts['zone']}"
    return {"every": facts["every"].value, "at": at, "recipients": ", ".join(facts["addresses"])}


def _strangers(filled: Filled, outside: tuple[str, ...]) -> Filled:
    """The form, with what is wrong with these addresses."""
    return replace(filled, wrong_addresses=outside[:5], errors={"addresses": "addresses_outside"})


def _outside(c: Connection, workspace_id: Id, addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the addresses that nobody of the workspace has: what it does is an admin's to tell them."""
    known = {email_key(member.email) for member in workspaces.members(c, workspace_id)}
    return tuple(one for one in addresses if email_key(one) not in known)


async def _known(request: AnyRequest, mail: str) -> ReportMail:
    found: ReportMail | None = await Desk.of(request).console.read(
        report_mails.get, Visitor.of(request).workspace_id, id_of(mail) or b""
    )
    if found is None:
        raise NotFoundException
    return found


async def _change(request: AnyRequest, mail: ReportMail, change: Callable[[Connection], None], what: str, said: str) -> Redirect:
    def done(c: Connection) -> None:
        change(c)
        noting(request, what, mail.name, mail.id)(c)

    await Desk.of(request).console.write(done)
    return Redirect(f"{HERE}?said={said}", status_code=303)


@post(HERE + "/{mail:str}/pause", needs=Permission.EDIT, include_in_schema=False)
async def pause_mail(request: AnyRequest, mail: FromPath[str]) -> Response[Any]:
    """Nothing is sent until it goes on."""
    found = await _known(request, mail)
    return await _change(request, found, lambda c: report_mails.pause(c, found), "report.paused", "paused")


@post(HERE + "/{mail:str}/resume", needs=Permission.EDIT, include_in_schema=False)
async def resume_mail(request: AnyRequest, mail: FromPath[str]) -> Response[Any]:
    """It goes on with the next time it is due; what was due meanwhile is not made up for."""
    found = await _known(request, mail)
    due = next_due(found.every, found.at, found.zone, Desk.of(request).console.clock.now())
    return await _change(request, found, lambda c: report_mails.resume(c, found, due), "report.resumed", "resumed")


@post(HERE + "/{mail:str}/delete", needs=Permission.EDIT, include_in_schema=False)
async def delete_mail(request: AnyRequest, mail: FromPath[str]) -> Response[Any]:
    """It is gone; the page asked before."""
    found = await _known(request, mail)
    return await _change(request, found, lambda c: report_mails.remove(c, found), "report.deleted", "deleted")


@post(HERE + "/{mail:str}/now", needs=Permission.EDIT, include_in_schema=False)
async def send_now(request: AnyRequest, mail: FromPath[str]) -> Response[Any]:
    """The report as it would be now, to whoever asks and nobody else."""
    found, visitor, console = await _known(request, mail), Visitor.of(request), Desk.of(request).console
    if console.doors.mailer is None:
        return await _page(request, {}, said="no_server")
    now = console.clock.now()

    async def go_on() -> bool:
        return True

    letter = await Letters(console.read, console.channels, console.public_url).write(found, now)
    try:
        await console.write(report_mails.spend, visitor.workspace_id, 1, now)
    except EnoughToday as error:
        return await _page(request, {}, enough_until=error.until)
    try:
        await console.doors.mailer.post(letter, [visitor.email], name_of(new_id(now), now), go_on)
    except (MailTrouble, MailUncertain) as error:
        if isinstance(error, MailTrouble):
            await console.write(report_mails.give_back, visitor.workspace_id, 1)
        return await _page(request, {}, trouble=str(error))
    return await _change(request, found, lambda c: None, "report.sent", "sent")
