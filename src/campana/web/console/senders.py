"""The senders of an account: adding, changing and removing a number or address, and letting one go on that was paused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from babel.core import get_global
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.channels.contract import Channel
from campana.core.access import Permission
from campana.core.ids import Id, id_of
from campana.core.phones import Phone, parse_phone
from campana.engine.vendors import check_address
from campana.store import integrations, senders
from campana.store.integrations import NameTaken
from campana.store.senders import Facts, SenderLine
from campana.web.access import noting
from campana.web.console.audience_form import countries
from campana.web.console.drafts import house_of, workspace_of
from campana.web.console.integrations import HOME, NOT_INSTALLED, Noted, Shown, known_card, own
from campana.web.console.page import AnyRequest, Desk, Noting, Refused, draw, language_of, preference, typed, zone_of

LONGEST_NAME = 80
FASTEST = 10_000.0  # a second
MOST_A_DAY = 2_000_000_000
WEIGHTS = ("messages", "segments")
A_NUMBER = "+12125550123"  # what takes this takes phone numbers
NUMBERLIKE = re.compile(r"[+0-9 ().\-\u00a0\u2011\u2013]{7,40}")

Said = tuple[str, str]  # what is wrong with a field: a word of the templates, and the vendor's or the channel's own words


def read_facts(given: Mapping[str, str]) -> tuple[Facts, dict[str, Said]]:
    """A sender as the form has it, and what is wrong with each field."""
    errors: dict[str, Said] = {}
    name, address = given.get("name", ""), given.get("address", "")
    if not name or len(name) > LONGEST_NAME:
        errors["name"] = ("name_long", "") if name else ("wanted", "")
    if not address:
        errors["address"] = ("wanted", "")
    rate = _number(given.get("rate", ""))
    if rate is None or not 0 < rate <= FASTEST:
        errors["rate"] = ("rate_wrong", "")
    limit = _number(given.get("daily_limit", "")) if given.get("daily_limit") else None
    if given.get("daily_limit") and (limit is None or limit != int(limit) or not 0 < limit <= MOST_A_DAY):
        errors["daily_limit"] = ("limit_wrong", "")
        limit = None
    weight = given.get("weight")
    return Facts(name, address, rate or 0, None if limit is None else int(limit), weight if weight in WEIGHTS else None), errors


def takes_numbers(channel: Channel) -> bool:
    """Whether messages go out from phone numbers, as vendors of SMS have them."""
    return channel.senders.problem(A_NUMBER) is None


def international(channel: Channel, address: str, country: str) -> str | None:
    """The address as it is kept: a number as +15550100, however it was typed. None for what looks like one and is none."""
    if not channel.senders.problem(address) or not takes_numbers(channel) or not NUMBERLIKE.fullmatch(address):
        return address
    found = parse_phone(address, country or None)
    return found.e164 if isinstance(found, Phone) else None


def country_of(zone: str) -> str:
    """The country in which a zone lies, as MX; empty for those that lie in none."""
    found = get_global("zone_territories").get(zone, "")
    return found if len(found) == 2 and found != "ZZ" and found.isalpha() else ""


def _number(text: str) -> float | None:
    """A number as people write it: a comma may stand for the point."""
    plain = text.replace(",", ".").replace(" ", "")
    if not plain.isascii() or not plain.replace(".", "", 1).isdigit() or len(plain) > 15:
        return None
    return float(plain)


@get(HOME + "/{integration:str}/senders/new", needs=Permission.ADMIN, include_in_schema=False)
async def new_sender(request: AnyRequest, integration: FromPath[str]) -> Response[Any]:
    """The empty form, with the channel's own pace."""
    if answer := preference(request):
        return answer
    shown = await _mine(request, integration)
    channel = house_of(request).channels[shown.card.kind]
    return await _draw(request, shown, None, {"rate": f"{channel.pace:g}"}, {})


@post(HOME + "/{integration:str}/senders/new", needs=Permission.ADMIN, include_in_schema=False)
async def add_sender(request: AnyRequest, integration: FromPath[str]) -> Response[Any]:
    """Keeps a new sender, once its address is known to be good."""
    return await _save(request, await _mine(request, integration), None)


@get(HOME + "/{integration:str}/senders/{sender:str}", needs=Permission.ADMIN, include_in_schema=False)
async def sender_page(request: AnyRequest, integration: FromPath[str], sender: FromPath[str]) -> Response[Any]:
    """The form of a sender as it is."""
    if answer := preference(request):
        return answer
    shown = await _mine(request, integration)
    line = _known(shown, sender)
    limit = "" if line.daily_limit is None else str(line.daily_limit)
    given = {"name": line.name, "address": line.address, "rate": f"{line.rate:g}", "daily_limit": limit}
    given |= {"weight": line.weight or ""}
    return await _draw(request, shown, line, given, {})


@post(HOME + "/{integration:str}/senders/{sender:str}", needs=Permission.ADMIN, include_in_schema=False)
async def change_sender(request: AnyRequest, integration: FromPath[str], sender: FromPath[str]) -> Response[Any]:
    """Keeps the sender as it is in the form."""
    shown = await _mine(request, integration)
    return await _save(request, shown, _known(shown, sender))


async def _mine(request: AnyRequest, integration: str) -> Shown:
    shown = await known_card(request, integration)
    own(shown.card)
    if shown.card.kind not in house_of(request).channels:
        raise Refused(NOT_INSTALLED)
    return shown


def _known(shown: Shown, sender: str) -> SenderLine:
    sender_id = id_of(sender)
    line = next((one for one in shown.senders if one.id == sender_id), None)
    if line is None:
        raise NotFoundException
    return line


async def _save(request: AnyRequest, shown: Shown, line: SenderLine | None) -> Response[Any]:
    given = await typed(request)
    facts, errors = read_facts(given)
    channel = house_of(request).channels[shown.card.kind]
    facts = facts if channel.weight == "segments" else replace(facts, weight=None)
    address = international(channel, facts.address, given.get("country", "")) if "address" not in errors else ""
    if address is None:
        errors["address"] = ("number_wrong", "")
    facts = replace(facts, address=address or facts.address)
    account = house_of(request).accounts.get(shown.card.id)
    if "address" not in errors and account is not None and (line is None or line.address != facts.address):
        verdict = await check_address(house_of(request), account, facts.address)
        if not verdict.good:
            errors["address"] = (verdict.ours, facts.address if verdict.ours == "not_theirs" else verdict.words)
    if not errors:
        console = Desk.of(request).console
        try:
            facts_of = (workspace_of(request), shown.card.id, line, facts, _what(request, line, facts), console.clock.now())
            await console.write(_write, *facts_of)
            return Redirect(f"{shown.home}?done={'sender_changed' if line else 'sender_added'}#senders", status_code=303)
        except NameTaken:
            errors["name"] = ("sender_taken", "")
    return await _draw(request, shown, line, given, errors, 422)


def _what(request: AnyRequest, line: SenderLine | None, facts: Facts) -> Noted:
    """What notes the change of a sender, once its id is known."""
    details = {"address": facts.address, "rate": facts.rate, "daily_limit": facts.daily_limit}
    details |= {"weight": facts.weight} if facts.weight else {}
    what = "sender.changed" if line else "sender.added"
    return lambda made: noting(request, what, facts.name, made, details)


def _write(
    c: Connection, workspace_id: Id, integration_id: Id, line: SenderLine | None, facts: Facts, noted: Noted, now: int
) -> None:
    if line is None:
        made = senders.add(c, workspace_id, integration_id, facts, now)
        if made is not None:
            noted(made)(c)
    elif senders.change(c, workspace_id, line.id, facts, now):
        noted(line.id)(c)


async def _draw(
    request: AnyRequest,
    shown: Shown,
    line: SenderLine | None,
    given: Mapping[str, str],
    errors: Mapping[str, Said],
    status: int = 200,
) -> Response[Any]:
    console = Desk.of(request).console
    affected = await console.read(integrations.affected, workspace_of(request), shown.card.id, line.id) if line else []
    channel = house_of(request).channels[shown.card.kind]
    asked = request.query_params.get("ask", "")
    facts = {"s": shown, "line": line, "channel": channel, "given": given, "errors": errors, "affected": affected, "asked": asked}
    facts |= {"countries": countries(language_of(request)) if takes_numbers(channel) else ()}
    return draw(request, "sender.html", status=status, country=given.get("country", country_of(zone_of(request))), **facts)


@post(HOME + "/{integration:str}/senders/{sender:str}/remove", needs=Permission.ADMIN, include_in_schema=False)
async def remove_sender(request: AnyRequest, integration: FromPath[str], sender: FromPath[str]) -> Redirect:
    """The sender sends nothing more; the page asked before, and named the campaigns."""
    shown = await _mine(request, integration)
    console = Desk.of(request).console
    line = _known(shown, sender)
    note = noting(request, "sender.removed", line.name, line.id, {"address": line.address})
    await console.write(_remove, workspace_of(request), line, note, console.clock.now())
    return Redirect(f"{shown.home}?done=sender_removed#senders", status_code=303)


def _remove(c: Connection, workspace_id: Id, line: SenderLine, note: Noting, now: int) -> None:
    if senders.remove(c, workspace_id, line.id, now):
        note(c)


@post(HOME + "/{integration:str}/senders/{sender:str}/resume", needs=Permission.OPERATE, include_in_schema=False)
async def resume_sender(request: AnyRequest, integration: FromPath[str], sender: FromPath[str]) -> Redirect:
    """A sender that was paused goes on: its trouble is taken as mended."""
    shown = await known_card(request, integration)
    console = Desk.of(request).console
    line = _known(shown, sender)
    note = noting(request, "sender.resumed", line.name, line.id, {"trouble": line.trouble or ""})
    await console.write(_resume, workspace_of(request), line, note)
    house_of(request).wake("pump")
    return Redirect(f"{shown.home}?done=sender_resumed#senders", status_code=303)


def _resume(c: Connection, workspace_id: Id, line: SenderLine, note: Noting) -> None:
    if senders.resume(c, workspace_id, line.id):
        note(c)
