"""What is tried with an account: its templates as a person would read them, and a test message to a number."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.channels.contract import Channel, Content, UnfitContent, VendorTemplate
from campana.core.access import Permission
from campana.core.durations import SECOND
from campana.core.ids import Id, id_of
from campana.core.phones import Phone, parse_phone
from campana.engine.house import CALL_TIMEOUT, Account, vendor_template
from campana.engine.vendors import VendorRefuses, Verdict, sync_account, try_out
from campana.store import templates, trials, workspaces
from campana.store.integrations import Card
from campana.store.trials import Begun
from campana.web.access import noting
from campana.web.console.drafts import house_of, workspace_of
from campana.web.console.integrations import HOME, NOT_KNOWN, Shown, changed, draw_integration, known_card
from campana.web.console.page import AnyRequest, Desk, Noting, Refused, draw, preference, typed
from campana.web.visitor import Visitor

NOTHING = "–"  # for a value that has no example
TOO_MANY = "too_many"  # test messages just now
STOPPED = "stopped"  # is everything, by the emergency stop
LOOKS_SECONDS = 0.2  # at what came of a press that another request is sending
LOOKS = round(2 * CALL_TIMEOUT / SECOND / LOOKS_SECONDS)
VERDICT = msgspec.json.Decoder(Verdict)

# Their status -> how it is drawn: what may be chosen, what waits, what is lost.
GOOD, WAITS = frozenset({templates.APPROVED}), frozenset({"PENDING", "IN_APPEAL", "PAUSED", "FLAGGED", "PENDING_DELETION"})


@dataclass(frozen=True, slots=True)
class Example:
    """A template with the values it was approved with."""

    template: VendorTemplate
    text: str  # as a person reads it; "" when we cannot fill it
    buttons: Sequence[str]
    problem: str  # why we cannot fill it
    changed_at: int

    @property
    def tone(self) -> str:
        """good, wants or wrong."""
        return "good" if self.template.status in GOOD else "wants" if self.template.status in WAITS else "wrong"


def values_of(channel: Channel, template: VendorTemplate) -> dict[str, str]:
    """An example for each value that the template needs; raises UnfitContent for a template that cannot be filled."""
    listing = channel.templates
    if listing is None:
        return {}
    known = listing.examples(template)
    needed = [one for one in listing.fields(template) if one.needed]
    return {one.key: known.get(one.key) or ("https://example.com/" if one.link else NOTHING) for one in needed}


def example_of(channel: Channel, row: Any) -> Example:
    """A template as a person would read it, whatever the vendor thinks of it at the moment."""
    template = vendor_template(row)
    fillable = replace(template, status=templates.APPROVED)
    try:
        content = Content(template=template.name, language=template.language, values=values_of(channel, fillable))
        rendered = channel.compile(content, fillable)({})
        buttons = channel.templates.buttons(fillable) if channel.templates else []
    except UnfitContent as error:
        return Example(template, "", (), str(error), row.changed_at)
    return Example(template, rendered.text, buttons, rendered.problem or "", row.changed_at)


@get(HOME + "/{integration:str}/templates", needs=Permission.VIEW, include_in_schema=False)
async def templates_page(request: AnyRequest, integration: FromPath[str]) -> Response[Any]:
    """The account's templates with status, category, language and example."""
    if answer := preference(request):
        return answer
    return await _draw_templates(request, await known_card(request, integration))


async def _draw_templates(request: AnyRequest, shown: Shown, unread: str = "", status: int = 200) -> Response[Any]:
    """The list; `unread` is what the vendor said when it could not be read anew."""
    channel = house_of(request).channels.get(shown.card.kind)
    rows = await Desk.of(request).console.read(templates.of_integration, workspace_of(request), shown.card.id)
    found = [example_of(channel, row) for row in rows] if channel else []
    asked = request.query_params.get("q", "")[:200]
    words = asked.casefold().split()
    taken = [one for one in found if all(word in f"{one.template.name} {one.text}".casefold() for word in words)]
    done = request.query_params.get("done", "")
    facts = {"s": shown, "channel": channel, "found": taken, "all": len(found), "asked": asked, "done": done, "unread": unread}
    return draw(request, "vendor_templates.html", status=status, **facts)


@post(HOME + "/{integration:str}/templates/sync", needs=Permission.ADMIN, include_in_schema=False)
async def sync(request: AnyRequest, integration: FromPath[str]) -> Response[Any]:
    """Reads the account's templates anew from the vendor."""
    shown = await known_card(request, integration)
    try:
        await sync_account(house_of(request), await _account(request, shown.card))
    except VendorRefuses as error:
        return await _draw_templates(request, shown, error.why, 502)
    return Redirect(f"{shown.home}/templates?done=read", status_code=303)


async def _account(request: AnyRequest, card: Card) -> Account:
    await changed(request)
    account = house_of(request).accounts.get(card.id)
    if account is None:
        raise Refused(NOT_KNOWN)
    return account


# --- a test message ---------------------------------------------------------------------------------------------------------


@post(HOME + "/{integration:str}/test", needs=Permission.ADMIN, include_in_schema=False)
async def send_test(request: AnyRequest, integration: FromPath[str]) -> Response[Any]:
    """Sends one message to a number over the real channel, and shows what the vendor answered."""
    shown = await known_card(request, integration)
    account, given = await _account(request, shown.card), await typed(request)
    sender_id = id_of(given.get("sender", ""))
    sender = next((one for one in shown.senders if one.id == sender_id), None)
    phone = parse_phone(given.get("to", ""))
    errors = {} if sender else {"test-sender": "sender_wanted"}
    errors |= {} if isinstance(phone, Phone) else {"test-to": "number_wrong"}
    content, template = await _said(request, account, given)
    if content is None:
        errors["test-template" if account.channel.needs_template else "test-text"] = "wanted"
    if sender is None or content is None or not isinstance(phone, Phone):
        return await draw_integration(request, shown, status=422, errors=errors, given=given)
    verdict = await sent_test(request, account, sender.address, phone.e164, content, template)
    if isinstance(verdict, str):
        return await draw_integration(request, shown, status=429, refused=verdict, given=given)
    return await draw_integration(request, shown, verdict=verdict, given=given, to=phone.e164)


async def sent_test(
    request: AnyRequest,
    account: Account,
    sender: str,
    to: str,
    content: Content,
    template: VendorTemplate | None,
    values: Mapping[str, str] | None = None,
) -> Verdict | str:
    """Sends one real message, which the audit log tells of, and says what the vendor answered, or why it was not asked: too_many,
    stopped.

    The same press again within seconds is the same message, whichever process it reaches.
    """
    console = Desk.of(request).console
    said = (Visitor.of(request).user_id, account.id, sender, to, content, template, sorted((values or {}).items()))
    press = hashlib.sha256(repr(said).encode()).digest()
    if await console.read(workspaces.stop_of, workspace_of(request)):
        return STOPPED
    begun: Begun = await console.write(trials.begin, workspace_of(request), press, console.clock.now())
    if begun.until:
        return TOO_MANY
    if not begun.new:
        return await _answer_of(request, begun.id)
    verdict = await try_out(house_of(request), account, sender, to, content, template, values)
    came_of_it = {"to": f"{to[:3]}…{to[-2:]}", "taken": verdict.good}
    note = noting(request, "integration.tested", account.name, account.id, came_of_it)
    await console.write(_finish, begun.id, verdict, note)
    return verdict


async def _answer_of(request: AnyRequest, trial: Id) -> Verdict:
    """What came of a test that another request sends, once it is known."""
    for _ in range(LOOKS):
        found: str | None = await Desk.of(request).console.read(trials.verdict, trial)
        if found:
            return VERDICT.decode(found)
        await asyncio.sleep(LOOKS_SECONDS)
    return Verdict(False, reached=False, ours="unanswered")


def _finish(c: Connection, trial: Id, verdict: Verdict, note: Noting) -> None:
    trials.finish(c, trial, msgspec.json.encode(verdict).decode())
    note(c)


async def _said(request: AnyRequest, account: Account, given: Mapping[str, str]) -> tuple[Content | None, VendorTemplate | None]:
    """What the test says: an approved template with its examples, or a text."""
    if not account.channel.needs_template:
        text = given.get("text", "")
        return (Content(text=text) if text else None), None
    rows = await Desk.of(request).console.read(templates.approved_templates, account.workspace_id, account.id)
    row = next((one for one in rows if f"{one.name} {one.language}" == given.get("template", "")), None)
    if row is None:
        return None, None
    template = vendor_template(row)
    try:
        values = values_of(account.channel, template)
    except UnfitContent:
        values = {}  # the channel says what is wrong when it is filled
    return Content(template=template.name, language=template.language, values=values), template
