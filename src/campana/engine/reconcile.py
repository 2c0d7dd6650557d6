"""Reconciling: attempts whose answer was lost are settled by asking the vendor, or by waiting for their receipt.

What cannot be settled becomes *unknown* and is listed for people. Nothing is ever sent again on a guess.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from campana.channels.answers import mail_date
from campana.channels.contract import Found, LookUp
from campana.core.durations import HOUR, MINUTE, SECOND
from campana.core.exchange import Response
from campana.core.ids import Id
from campana.core.journey import Event, Happening
from campana.core.message import Lost, Outgoing, Receipt, Status, Unsent
from campana.core.reason import MOVED, NO_WORD, NOT_TAKEN, PERHAPS_TAKEN, english
from campana.engine.changes import Changes
from campana.engine.house import CALL_TIMEOUT, MARGIN, Account, House
from campana.engine.receive import Heard, apply
from campana.store import accounts, campaigns, contacts, messages, recipients
from campana.store.dialect import in_turn
from campana.store.messages import MessageRow, News

BATCH = 20
ENOUGH_ASKED = 3  # times a vendor that cannot be reached is asked about a message it took, before the deadline counts
PAGES = 20  # of a vendor's list, before we say that it cannot tell
NOT_FOUND = 404  # an answer too: the vendor knows nothing more of it
NEAR = HOUR  # real time around an attempt in which a message of nobody's may be it, whatever a clock that was set anew says
KNOWN_WITHIN = MINUTE  # real time in which every process that sends has heard of other credentials


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking about one message brought: messages the vendor holds, a receipt, or no answer at all."""

    found: Sequence[Found] = ()
    receipt: Receipt | None = None
    failed: str | None = None


async def reconcile(house: House) -> int:
    """Asks about what is due to be asked. Returns how many messages it dealt with."""
    now = house.clock.now()
    # A process that dies while asking delays them by one such wait; two that ask about the same do no harm.
    rows = await house.db.run(messages.take_askable, now, now + house.durations.of(house.lease), BATCH)
    done = await asyncio.gather(*(_reconcile(house, row) for row in rows), return_exceptions=True)
    for trouble in done:
        if trouble is not None:
            raise trouble
    return len(rows)


async def _reconcile(house: House, row: MessageRow) -> None:
    account = await house.db.read(_account_of, house, row)
    look_up = account.channel.look_up if account else None
    if account is None or look_up is None:
        await house.db.run(give_up, house, row, house.clock.now())
        return
    address = await house.db.read(accounts.sender_address, row.sender_id)
    asked = await ask(house, account, look_up, row, address)
    await house.db.run(settle, house, account, look_up, row, address, asked, house.clock.now())


def _account_of(c: Connection, house: House, row: MessageRow) -> Account | None:
    return house.accounts.get(accounts.integration_of_sender(c, row.sender_id))


async def ask(house: House, account: Account, look_up: LookUp, row: MessageRow, address: str) -> Asked:
    """One look-up, over all pages. A message the vendor has taken is asked about by the vendor's id."""
    deadline = house.boottime() + CALL_TIMEOUT
    if row.status >= Status.QUEUED and row.vendor_id and look_up.status_request and look_up.status_found:
        answer = await house.exchange(look_up.status_request(account.settings, row.vendor_id), deadline)
        return _status(look_up.status_found, answer)
    found: list[Found] = []
    request = look_up.request(account.settings, _outgoing(row, address))
    for _ in range(PAGES):
        answer = await house.exchange(request, deadline)
        if not isinstance(answer, Response):
            return Asked(failed=answer.reason)
        if answer.code != 200:
            return Asked(failed=f"the vendor answered {answer.code}")
        page = look_up.found(answer)
        if page is None:
            return Asked(failed="the vendor's list could not be read")
        found += _by_our_clock(page[0], answer, house.clock.now())
        following = page[1]
        if following is None:
            return Asked(found)
        request = look_up.next_page(account.settings, following)
    return Asked(failed="the vendor's list is too long")


def _status(found: Callable[[Response], Receipt | None], answer: Response | Lost | Unsent) -> Asked:
    """What became of one message. A vendor that is busy, or speaks of something else, has told nothing."""
    if not isinstance(answer, Response):
        return Asked(failed=answer.reason)
    receipt = found(answer)
    if receipt is None and answer.code != NOT_FOUND:
        return Asked(failed=f"the vendor answered {answer.code}, which tells no status")
    return Asked(receipt=receipt)


def _by_our_clock(found: Sequence[Found], answer: Response, now: int) -> list[Found]:
    """The vendor's times, as our clock would have told them: the answer says what time it is there."""
    there = mail_date(answer.headers.get("date"))
    ahead = 0 if there is None else there - now
    return [replace(one, created_at=one.created_at - ahead) for one in found]


def _outgoing(row: MessageRow, address: str) -> Outgoing:
    return Outgoing(row.id, address, row.to, {"text": row.text}, "", row.started_at)


def settle(
    c: Connection, house: House, account: Account, look_up: LookUp, row: MessageRow, address: str, asked: Asked, now: int
) -> None:
    """Writes down what asking brought, unless a receipt was faster."""
    fresh = _locked(c, row)
    if fresh is None:
        return
    if fresh.status >= Status.QUEUED:
        messages.ask_again(c, row.id, None, row.asks + 1 if asked.failed else ENOUGH_ASKED)
        if asked.receipt and asked.receipt.status > fresh.status:
            apply(c, house, [Heard(account, _with_id(asked.receipt, row.id), now)], now)
        return
    if asked.failed is not None:
        messages.ask_again(c, row.id, now + house.durations.of(30 * SECOND), row.asks)
        return
    free = _unclaimed(c, row, asked.found)
    outgoing = _outgoing(row, address)
    ours = min((one for one in free if look_up.matches(outgoing, one)), key=lambda one: one.created_at, default=None)
    if ours is not None:
        receipt = ours.receipt or Receipt(ours.vendor_id, Status.QUEUED, now)
        apply(c, house, [Heard(account, _with_id(receipt, row.id), now)], now)
    else:
        _not_found(c, house, look_up, row, any(_may_be_ours(outgoing, one) for one in free), now)


def _not_found(c: Connection, house: House, look_up: LookUp, row: MessageRow, perhaps: bool, now: int) -> None:
    """The vendor tells of no message that is surely this one: it is asked again, or that says it all, or nothing."""
    if look_up.reach is not None and now > row.started_at + look_up.reach:  # real time, as the vendor counts it
        give_up(c, house, row, now)
    elif row.asks + 1 < len(look_up.asks):
        wait = look_up.asks[row.asks + 1] - look_up.asks[row.asks]
        messages.ask_again(c, row.id, now + house.durations.of(wait), row.asks + 1)
    elif now < row.started_at + CALL_TIMEOUT + MARGIN:  # real time: the call itself may still be on its way
        messages.ask_again(c, row.id, row.started_at + CALL_TIMEOUT + MARGIN, row.asks)
    elif perhaps:
        give_up(c, house, row, now, PERHAPS_TAKEN)
    elif _asked_elsewhere(c, row):
        give_up(c, house, row, now, MOVED)
    else:
        _never_taken(c, house, row, now)


def _locked(c: Connection, row: MessageRow) -> MessageRow | None:
    """The message as it is now that nobody else changes it, nor asks about another of the same contact: of two messages with
    lost answers only one may claim what the vendor holds."""
    contacts.lock(c, recipients.load(c, [row.recipient_id])[0].contact_id)
    recipients.lock(c, [row.recipient_id])
    return messages.load(c, [row.id]).get(row.id)


def _may_be_ours(outgoing: Outgoing, held: Found) -> bool:
    """Same person, for the vendor was asked for theirs; same sender; about that time. Its words the vendor may have altered."""
    return abs(held.created_at - outgoing.started_at) <= NEAR and (not held.senders or outgoing.sender in held.senders)


def _asked_elsewhere(c: Connection, row: MessageRow) -> bool:
    """Whether the vendor may have been asked about another account or address than the message went out from."""
    moved_at = accounts.moved_at(c, row.sender_id)
    return moved_at is not None and moved_at + KNOWN_WITHIN > row.started_at


def _with_id(receipt: Receipt, message_id: Id) -> Receipt:
    return Receipt(receipt.vendor_id, receipt.status, receipt.at, message_id, receipt.failure, receipt.alias)


def _unclaimed(c: Connection, row: MessageRow, found: Sequence[Found]) -> list[Found]:
    """What the vendor holds for that person and is no other message of ours."""
    person = recipients.load(c, [row.recipient_id])[0]
    claimed = messages.claimed(c, person.contact_id, [one.vendor_id for one in found])
    return [one for one in found if one.vendor_id not in claimed]


def _never_taken(c: Connection, house: House, row: MessageRow, now: int) -> None:
    """The vendor does not have it, twice: it was surely not accepted, and the step has its turn again."""
    words = english(NOT_TAKEN)
    changes = Changes(now)
    changes.tell(row, News(row.id, Status.FAILED, now, None, "unsent", words), row.run_id, row.step, row.channel)
    event = Event(Happening.UNSENT, now, again_at=now, reopens=_goes_on(c, row.run_id), reason=NOT_TAKEN)
    _happen(c, house, changes, row, event)
    changes.write(c)


def _goes_on(c: Connection, run_id: Id) -> bool:
    """Whether the run is not over; nobody can say that it is before this transaction ends."""
    in_turn(c, "house keeping")
    run = campaigns.get_run(c, run_id)
    return run is not None and run.status in campaigns.LIVE


def give_up(c: Connection, house: House, row: MessageRow, now: int, reason: str = NO_WORD) -> None:
    """Nobody can tell and no receipt came: unknown, for people to see. The step's deadline goes on."""
    fresh = _locked(c, row)
    if fresh is None or fresh.status >= Status.QUEUED:
        messages.ask_again(c, row.id, None, row.asks)
        return
    changes = Changes(now)
    changes.tell(fresh, News(row.id, Status.UNKNOWN, now, None, None, english(reason)), row.run_id, row.step, row.channel)
    _happen(c, house, changes, row, Event(Happening.UNKNOWN, now, reason=reason))
    changes.write(c)


def _happen(c: Connection, house: House, changes: Changes, row: MessageRow, event: Event) -> None:
    person = recipients.load(c, [row.recipient_id])[0]
    if person.message_id == row.id:
        changes.advance(person, event, house.plan_of_run(c, row.run_id).shape)
