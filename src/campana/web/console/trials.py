"""What is tried with an account: its templates as a person would read them, and a test message to a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.channels.contract import Channel, Content, UnfitContent, VendorTemplate
from campana.core.access import Permission
from campana.core.ids import Id, id_of
from campana.core.phones import Phone, parse_phone
from campana.engine.house import Account, vendor_template
from campana.engine.vendors import VendorRefuses, Verdict, sync_account, try_out
from campana.store import templates
from campana.store.drafts import Author
from campana.store.integrations import Card
from campana.web.console.drafts import author_of, house_of, workspace_of
from campana.web.console.integrations import HOME, Shown, changed, draw_integration, known_card, noted
from campana.web.console.page import AnyRequest, Desk, Refused, draw, preference, typed

NOTHING = "–"  # for a value that has no example

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
    shown = await known_card(request, integration)
    channel = house_of(request).channels.get(shown.card.kind)
    rows = await Desk.of(request).console.read(templates.of_integration, workspace_of(request), shown.card.id)
    found = [example_of(channel, row) for row in rows] if channel else []
    asked = request.query_params.get("q", "")[:200]
    words = asked.casefold().split()
    taken = [one for one in found if all(word in f"{one.template.name} {one.text}".casefold() for word in words)]
    done = request.query_params.get("done", "")
    return draw(request, "vendor_templates.html", s=shown, channel=channel, found=taken, all=len(found), asked=asked, done=done)


@post(HOME + "/{integration:str}/templates/sync", needs=Permission.ADMIN, include_in_schema=False)
async def sync(request: AnyRequest, integration: FromPath[str]) -> Redirect:
    """Reads the account's templates anew from the vendor."""
    shown = await known_card(request, integration)
    try:
        await sync_account(house_of(request), await _account(request, shown.card))
    except VendorRefuses as error:
        raise Refused(str(error)) from error
    return Redirect(f"{shown.home}/templates?done=read", status_code=303)


async def _account(request: AnyRequest, card: Card) -> Account:
    await changed(request)
    account = house_of(request).accounts.get(card.id)
    if account is None:
        raise Refused("The credentials of this integration are not known. Enter them first.")
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
    verdict = await try_out(house_of(request), account, sender.address, phone.e164, content, template)
    console = Desk.of(request).console
    facts = (workspace_of(request), shown, phone.e164, verdict, author_of(request), console.clock.now())
    await console.write(_note, *facts)
    return await draw_integration(request, shown, verdict=verdict, given=given, to=phone.e164)


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


def _note(c: Connection, workspace_id: Id, shown: Shown, to: str, verdict: Verdict, author: Author, now: int) -> None:
    came_of_it = {"to": f"{to[:3]}…{to[-2:]}", "taken": verdict.good}
    noted(c, workspace_id, author, "integration.tested", shown.card.name, now, shown.card.id, **came_of_it)
