"""Receiving: what vendors and people told us becomes statuses, journeys and conversations, a batch of hooks a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace
from sqlalchemy import Connection

from campana.core import reason
from campana.core.exchange import Hook
from campana.core.failure import Verdict, verdict
from campana.core.ids import Id, new_id
from campana.core.journey import Event, Happening, Stage
from campana.core.message import (
    ARRIVED,
    NOT_DELIVERED,
    AccountNotice,
    AddressChanged,
    Inbound,
    Preference,
    Receipt,
    Status,
    TemplateChanged,
    Unrecognized,
    Wish,
)
from campana.core.message import Event as Told
from campana.core.optout import wish_of
from campana.core.reason import because
from campana.engine.changes import Changes
from campana.engine.house import Account, House
from campana.engine.settle import Settling
from campana.store import accounts, contacts, inbox, integrations, messages, recipients, suppressions, templates
from campana.store.database import Priority, StoreAway, StoreTrouble
from campana.store.messages import MessageRow, News
from campana.store.recipients import Person

log = structlog.get_logger("campana.receive")
HEADERS = msgspec.json.Decoder(dict[str, str])
BATCH = 200  # hooks a transaction: the writer is free again after some 10 ms
EVENTS = 1000
WORDS_RULE = "words of the person"
VENDOR_RULE = "told by the vendor"
STOPS = {WORDS_RULE: reason.WROTE_STOP, VENDOR_RULE: reason.VENDOR_STOP}


@dataclass(frozen=True, slots=True)
class Heard:
    """One event with the account it came by, and when it came."""

    account: Account
    event: Told
    at: int


def receive(c: Connection, house: House, now: int, limit: int = BATCH, only: Id | None = None) -> int:
    """Understands the oldest hooks, or the one that is named. Returns how many; 0 when there are none."""
    hooks = inbox.take(c, limit, only)
    told: list[Heard] = []
    understood: list[Id] = []
    for row in hooks:
        told += _parse(c, house, row)
        understood.append(row.id)
        if len(told) >= EVENTS:  # one hook may tell a thousand things
            break
    apply(c, house, told, now)
    inbox.done(c, understood)
    return len(understood)


def set_aside(c: Connection, house: House, now: int, hook_id: Id) -> int:
    """This hook cannot be understood: it is kept for people, and no longer stands in the way of the others."""
    for row in inbox.take(c, 1, hook_id):
        _keep_stray(c, house, row, "could not be understood", now)
        inbox.done(c, [row.id])
        return 1
    return 0


async def receive_all(house: House) -> int:
    """Understands the oldest hooks; what makes a batch fail is found by halving, so that one bad hook hurts no other."""
    limit = BATCH
    while limit > 1:
        try:
            return await house.db.at(Priority.RECEIVE, receive, house, house.clock.now(), limit)
        except (StoreTrouble, StoreAway):
            raise
        except Exception as error:
            house.metrics.stumbled("inbox")
            log.exception("hooks_stumbled", hooks=limit, error=type(error).__name__)
            limit //= 2
    hook_id = await house.db.read(inbox.oldest)
    return 0 if hook_id is None else await _receive_one(house, hook_id)


async def _receive_one(house: House, hook_id: Id) -> int:
    """By its name: with several workers the oldest hook may be another one in the next moment."""
    try:
        return await house.db.at(Priority.RECEIVE, receive, house, house.clock.now(), 1, hook_id)
    except (StoreTrouble, StoreAway):
        raise
    except Exception as error:
        house.metrics.stumbled("inbox")
        log.exception("hooks_stumbled", hooks=1, error=type(error).__name__)
        return await house.db.at(Priority.RECEIVE, set_aside, house, house.clock.now(), hook_id)


def _keep_stray(c: Connection, house: House, row: Any, why: str, now: int) -> None:
    account = house.by_hook(row.integration)
    workspace_id = account.workspace_id if account else accounts.any_workspace(c)
    body = row.body[:2000].decode(errors="replace")
    inbox.keep_strays(c, workspace_id, row.integration, [f"a webhook that {why}: {body}"], now)


def _parse(c: Connection, house: House, row: Any) -> list[Heard]:
    account = house.by_hook(row.integration)
    if account is None:
        _keep_stray(c, house, row, "came for an integration that is not in the settings", row.at)
        return []
    hook = Hook(row.method, row.url, HEADERS.decode(row.headers), row.body, row.at)
    events, _ = account.channel.parse_webhook(account.settings, hook)
    return [Heard(account, event, row.at) for event in events]


def apply(c: Connection, house: House, told: Sequence[Heard], now: int) -> None:
    """Lets everything that was told take effect: receipts in one set, what people wrote one by one in their order."""
    receipts = [(one.account, one.event) for one in told if isinstance(one.event, Receipt)]
    if receipts:
        _take_receipts(c, house, receipts, now)
    for one in told:
        if not isinstance(one.event, Receipt):
            _take(c, house, one.account, one.event, one.at, now)


# --- receipts ---------------------------------------------------------------------------------------------------------------


def _take_receipts(c: Connection, house: House, receipts: Sequence[tuple[Account, Receipt]], now: int) -> None:
    rows = messages.load(c, {one.message_id for _, one in receipts if one.message_id})
    for account, one in receipts:
        if one.message_id not in rows:
            row = _by_alias(c, account, one)
            if row is None:
                workspace_id = account.workspace_id
                inbox.keep_strays(c, workspace_id, account.name, [f"receipt for no message of ours: {one}"], now)
            else:
                rows[row.id] = row
    people = {person.id: person for person in recipients.lock(c, {row.recipient_id for row in rows.values()})}
    rows = messages.load(c, rows)  # as they are now that nobody else changes them
    known = {row.vendor_id: row for row in rows.values() if row.vendor_id}
    changes = Changes(now)
    settling = {account.id: Settling(house, account, changes) for account, _ in receipts}
    for account, one in sorted(receipts, key=lambda pair: pair[1].status):
        row = rows.get(one.message_id or b"") or known.get(one.vendor_id)
        if row is not None:
            rows[row.id] = _take_receipt(c, house, settling[account.id], changes, row, people[row.recipient_id], one)
    changes.write(c)
    for one_settling in settling.values():
        one_settling.write(c)


def _by_alias(c: Connection, account: Account, receipt: Receipt) -> MessageRow | None:
    """The message of a receipt that carries only the vendor's id: among those of the person it went to."""
    if not receipt.alias:
        return None
    workspace_id = account.workspace_id
    contact_id = contacts.find(c, workspace_id, [f"{account.channel.alias_kind}:{receipt.alias}", f"phone:+{receipt.alias}"])
    if contact_id is None:
        return None
    people = recipients.of_contact(c, contact_id)
    theirs = messages.of_people(c, [person.id for person in people])
    return next((row for row in theirs if row.vendor_id == receipt.vendor_id), None)


def _take_receipt(
    c: Connection, house: House, settling: Settling, changes: Changes, row: MessageRow, person: Person, receipt: Receipt
) -> MessageRow:
    """One receipt. What ranks no higher than what is known changes nothing but the times."""
    plan = house.plan_of_run(c, row.run_id)
    current = person.message_id == row.id
    was_uncertain = row.status < Status.QUEUED
    if receipt.alias:
        settling.known_as(person, receipt.alias)
    if receipt.status in NOT_DELIVERED and receipt.status > row.status and receipt.failure:
        settling.failed(row, person, receipt.failure, current, plan, receipt.status, receipt.vendor_id)
        return replace(row, status=receipt.status)
    if receipt.failure and verdict(receipt.failure, 1) is Verdict.OPTED_OUT:
        settling.suppressed.append((person.workspace_id, row.to, receipt.failure, row.id))
    changes.tell(row, News(row.id, receipt.status, changes.now, receipt.vendor_id), row.run_id, row.step, row.channel)
    if receipt.status <= row.status:
        return row
    if was_uncertain:
        changes.accepted(person)
    if receipt.status in ARRIVED:
        changes.advance(person, Event(Happening.DELIVERED, changes.now, current), plan.shape)
    elif was_uncertain and current:
        changes.advance(person, Event(Happening.ACCEPTED, changes.now), plan.shape)
    if receipt.status is Status.READ:
        changes.read(person)
    return replace(row, status=receipt.status, vendor_id=row.vendor_id or receipt.vendor_id)


# --- what people write ------------------------------------------------------------------------------------------------------


def _take(c: Connection, house: House, account: Account, event: Told, at: int, now: int) -> None:
    workspace_id = account.workspace_id
    if isinstance(event, Inbound):
        _take_inbound(c, house, account, workspace_id, event, at, now)
    elif isinstance(event, Preference):
        contact_id = contacts.find_or_make(c, workspace_id, event.aliases, now)
        _take_wish(c, house, account, workspace_id, contact_id, event.wish, VENDOR_RULE, event.scope, at, now)
    elif isinstance(event, TemplateChanged):
        templates.change_template(c, account.id, event.name, event.language, event.status, event.category, event.at)
    elif isinstance(event, AddressChanged):
        kind = account.channel.alias_kind
        contact_id = contacts.find_or_make(c, workspace_id, [f"{kind}:{event.old}", f"phone:+{event.old}"], now)
        contacts.add_aliases(c, [(workspace_id, contact_id, f"{kind}:{event.new}")])
    elif isinstance(event, AccountNotice):
        integrations.note(c, account.id, event.words)
    elif isinstance(event, Unrecognized):
        inbox.keep_strays(c, workspace_id, account.name, [event.words], now)


def _take_inbound(c: Connection, house: House, account: Account, workspace_id: Id, event: Inbound, at: int, now: int) -> None:
    """A reply ends the journey it belongs to; STOP reaches all of the person's journeys."""
    quoted = messages.by_vendor_id(c, workspace_id, event.quotes) if event.quotes else None
    contact_id = _whose(c, workspace_id, event, quoted, now)
    contacts.lock(c, contact_id)
    journeys = recipients.of_contact(c, contact_id)
    theirs = _belongs_to(journeys, quoted)
    medium = account.channel.suppresses
    conversation_id = inbox.open_conversation(
        c, workspace_id, contact_id, theirs.run_id if theirs else None, theirs.id if theirs else None, now
    )
    row = {
        "id": new_id(now),
        "workspace_id": workspace_id,
        "integration_id": account.id,
        "vendor_id": event.vendor_id,
        "contact_id": contact_id,
        "conversation_id": conversation_id,
        "recipient_id": theirs.id if theirs else None,
        "medium": medium,
        "kind": event.kind,
        "text": event.text,
        "at": now,
    }
    if not inbox.add_inbound(c, row):
        return
    contacts.wrote_in(c, workspace_id, contact_id, medium, now)
    if not event.is_reply:
        return
    wish = event.wish or wish_of(event.text)
    if wish is Wish.STOP or (wish is Wish.START and _is_suppressed(c, workspace_id, contact_id, medium)):
        rule = VENDOR_RULE if event.wish else WORDS_RULE
        _take_wish(c, house, account, workspace_id, contact_id, wish, rule, event.text, at, now, theirs)
    elif theirs is not None:
        changes = Changes(now)
        changes.advance(theirs, Event(Happening.REPLIED, now), house.plan_of_run(c, theirs.run_id).shape)
        changes.write(c)


def _whose(c: Connection, workspace_id: Id, event: Inbound, quoted: MessageRow | None, now: int) -> Id:
    """The person who wrote. Whoever quotes a message of ours is the person it went to, under whatever new name."""
    if quoted is None:
        return contacts.find_or_make(c, workspace_id, event.aliases, now)
    contact_id = recipients.load(c, [quoted.recipient_id])[0].contact_id
    contacts.add_aliases(c, [(workspace_id, contact_id, alias) for alias in event.aliases])
    return contact_id


def _belongs_to(journeys: Sequence[Person], quoted: MessageRow | None) -> Person | None:
    """The journey of the quoted message (none when its campaign has been ended), else of the last message sent to this person."""
    if quoted is not None:
        return next((person for person in journeys if person.id == quoted.recipient_id), None)
    written = [person for person in journeys if person.message_id is not None]
    return max(written, key=lambda person: person.message_id or b"", default=None)


def _addresses(c: Connection, contact_id: Id) -> list[str]:
    return [value for kind, value in contacts.addresses_of(c, contact_id) if kind in {"phone", "email"}]


def _is_suppressed(c: Connection, workspace_id: Id, contact_id: Id, medium: str) -> bool:
    found = suppressions.among(c, workspace_id, _addresses(c, contact_id))
    return any(what in {medium, suppressions.ALL} for _, what in found)


def _take_wish(
    c: Connection,
    house: House,
    account: Account,
    workspace_id: Id,
    contact_id: Id,
    wish: Wish,
    rule: str,
    proof: str,
    at: int,
    now: int,
    theirs: Person | None = None,
) -> None:
    """STOP ends every journey that is not over, and is the last word of the one it answers; START lifts it.

    They count in the order in which they came (`at`), for several workers may understand them in another one.
    """
    medium = account.channel.suppresses
    addresses = _addresses(c, contact_id)
    if wish is Wish.START:
        suppressions.lift(c, workspace_id, addresses, medium, at)
        return
    if wish is not Wish.STOP:
        return
    suppressions.suppress(c, workspace_id, addresses, medium, at, rule, proof)
    changes = Changes(now)
    for person in recipients.of_contact(c, contact_id):
        if person.journey.stage is not Stage.DONE or (theirs is not None and person.id == theirs.id):
            event = Event(Happening.OPTED_OUT, now, reason=because(STOPS[rule], proof[:80]))
            changes.advance(person, event, house.plan_of_run(c, person.run_id).shape)
    changes.write(c)
