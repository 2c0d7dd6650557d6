"""*Settle*: answers become news of messages and events of journeys. What follows from them is written with them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from sqlalchemy import Connection

from campana.channels.contract import Channel
from campana.core import reason
from campana.core.exchange import Request
from campana.core.failure import Class, Failure, Verdict, backoff, verdict
from campana.core.ids import Id
from campana.core.journey import Event, Happening
from campana.core.message import Accepted, Lost, Result, Status, Unsent
from campana.core.reason import because
from campana.core.struck import strike
from campana.engine.changes import Changes
from campana.engine.house import Account, House, RunPlan
from campana.engine.start import Chunk, Started
from campana.store import accounts, contacts, flows, messages, recipients, suppressions
from campana.store.messages import MessageRow, News
from campana.store.recipients import Person

LONGEST_KEPT = 4000  # of a body
UNREACHED = Failure("unsent", "the vendor could not be reached", Class.TRANSIENT, fallback=False)


@dataclass(frozen=True, slots=True)
class Called:
    """The answer to one attempt, with the exchange for the record when it went wrong."""

    result: Result
    request: Request
    answer: str = ""


def settle(c: Connection, house: House, chunk: Chunk, answers: Sequence[Called], now: int) -> None:
    """Results become news of messages and events of journeys. A lost lease does not matter: what was answered is true."""
    changes = Changes(now)
    settle_into(c, house, chunk, answers, changes)
    changes.write(c)


def settle_into(c: Connection, house: House, chunk: Chunk, answers: Sequence[Called], changes: Changes) -> None:
    """Like `settle`, with the journeys that move left in `changes`."""
    account = chunk.account
    if account is None:
        return
    settling = Settling(house, account, changes, chunk.setbacks, chunk.setbacks > 0 or chunk.troubled)
    people, rows = _as_they_are(c, chunk.started)
    for one, called in zip(chunk.started, answers, strict=True):
        settling.take(rows[one.outgoing.id], people[one.person.id], called, house.plans[one.run_id])
    settling.write(c)


def _as_they_are(c: Connection, started: Sequence[Started]) -> tuple[dict[Id, Person], dict[Id, MessageRow]]:
    """The people and messages of a chunk, locked. Nearly always nothing has happened to them since, and they are known."""
    if recipients.as_begun(c, [one.person for one in started]):
        # Copies: when this transaction has to be done again, they are as they were.
        return {one.person.id: copy(one.person) for one in started}, {one.outgoing.id: _row(one) for one in started}
    people = {person.id: person for person in recipients.lock(c, [one.person.id for one in started])}
    return people, messages.load(c, [one.outgoing.id for one in started])


def _row(one: Started) -> MessageRow:
    """A message as *start* wrote it down."""
    outgoing = one.outgoing
    return MessageRow(
        outgoing.id,
        one.run_id,
        one.person.id,
        one.step,
        one.attempt,
        one.channel,
        one.sender_id,
        outgoing.to,
        one.text,
        Status.SENDING,
        None,
        outgoing.started_at,
        0,
    )


@dataclass(slots=True)
class SenderNews:
    """What answers tell of one sender."""

    answered: bool = False  # the vendor was reached
    slow_until: int = 0
    unreached: str | None = None
    trouble: str | None = None
    paused: str | None = None


class Settling:
    """Answers and receipts of one account's messages, on their way into one transaction."""

    def __init__(self, house: House, account: Account, changes: Changes, setbacks: int = 0, to_be_mended: bool = True) -> None:
        self.house = house
        self.setbacks = setbacks
        self.to_be_mended = to_be_mended  # an answer shows that the sender's trouble is over, if there is any
        self.account = account
        self.changes = changes
        self.aliases: list[tuple[Id, Id, str]] = []
        self.exchanges: list[tuple[Id, Id, str, str]] = []
        self.suppressed: list[tuple[Id, str, Failure, Id]] = []
        self.senders: dict[Id, SenderNews] = {}
        self.closed: list[tuple[Id, str]] = []

    def of_sender(self, row: messages.MessageRow) -> SenderNews:
        """What is gathered of the sender of that message."""
        return self.senders.setdefault(row.sender_id, SenderNews())

    def take(self, row: messages.MessageRow, person: Person, called: Called, plan: RunPlan) -> None:
        """One attempt's answer."""
        current = person.message_id == row.id
        result = called.result
        if isinstance(result, Accepted):
            self._accepted(row, person, result, current, plan)
            return
        self.exchanges.append((person.workspace_id, row.id, _said(called.request, self.account.secrets), called.answer))
        if isinstance(result, Unsent):
            self._unsent(row, person, result, current, plan)
        elif isinstance(result, Lost) or result.unanswered:
            self._lost(row, person, result, current, plan)
        elif result.throttled:
            self._throttled(row, person, result, current, plan)
        else:
            self.of_sender(row).answered = True
            self.failed(row, person, result, current, plan, Status.FAILED)

    def _accepted(self, row: messages.MessageRow, person: Person, result: Accepted, current: bool, plan: RunPlan) -> None:
        now = self.changes.now
        self.of_sender(row).answered = True
        self.changes.tell(row, News(row.id, Status.QUEUED, now, result.vendor_id), row.run_id, row.step, row.channel)
        if row.status < Status.QUEUED:  # else its receipt was faster than its answer
            self.changes.accepted(person)
        if result.alias:
            self.known_as(person, result.alias)
        if current:
            self.changes.advance(person, self.changes.taken, plan.shape)

    def known_as(self, person: Person, alias: str) -> None:
        """The vendor's name for a person's address: replies may come by it."""
        self.aliases.append((person.workspace_id, person.contact_id, f"{self.account.channel.alias_kind}:{alias}"))

    def _unsent(self, row: messages.MessageRow, person: Person, result: Unsent, current: bool, plan: RunPlan) -> None:
        """Our own trouble, not the person's: the step waits, and the sender slows down."""
        now = self.changes.now
        self.of_sender(row).unreached = result.reason
        again_at = self._slow_down(row, result.retry_after)
        self.changes.tell(row, News(row.id, Status.FAILED, now, None, "unsent", result.reason), row.run_id, row.step, row.channel)
        if current:
            why = because(reason.NOT_SENT, result.reason)
            event = Event(Happening.UNSENT, now, again_at=again_at, reason=why)
            self.changes.advance(person, event, plan.shape)

    def _throttled(self, row: messages.MessageRow, person: Person, failure: Failure, current: bool, plan: RunPlan) -> None:
        """Too fast for the vendor: it was not processed, so the try does not count, and the sender slows down."""
        now = self.changes.now
        sender = self.of_sender(row)
        sender.answered, sender.trouble = True, f"{failure.words} ({failure.code})"
        again_at = self._slow_down(row, failure.retry_after)
        self.changes.tell(row, messages.news_of_failure(row.id, failure, now), row.run_id, row.step, row.channel)
        if current:
            event = Event(Happening.UNSENT, now, again_at=again_at, reason=self._why(failure))
            self.changes.advance(person, event, plan.shape)

    def _slow_down(self, row: messages.MessageRow, asked: int | None) -> int:
        """The sender's next turn comes after a backoff, or as the vendor asked. Returns when."""
        again_at = self.changes.now + backoff_of(self.house, UNREACHED, self.setbacks + 1, asked)
        sender = self.of_sender(row)
        sender.slow_until = max(sender.slow_until, again_at)
        return again_at

    def _lost(self, row: messages.MessageRow, person: Person, result: Lost | Failure, current: bool, plan: RunPlan) -> None:
        now = self.changes.now
        words = result.reason if isinstance(result, Lost) else result.words
        why = because(reason.LOST, words) if isinstance(result, Lost) else self._why(result)
        ask_at = first_ask(self.house, self.account.channel, now)
        news = News(row.id, Status.UNCERTAIN, now, None, None, words, ask_at)
        self.changes.tell(row, news, row.run_id, row.step, row.channel)
        if current:
            self.changes.advance(person, Event(Happening.UNCERTAIN, now, reason=why), plan.shape)

    def failed(
        self,
        row: messages.MessageRow,
        person: Person,
        failure: Failure,
        current: bool,
        plan: RunPlan,
        status: Status,
        vendor_id: str | None = None,
    ) -> None:
        """A refusal, or a receipt that says so: the table's verdict moves the journey."""
        now = self.changes.now
        decided = verdict(failure, person.journey.tries)
        news = messages.news_of_failure(row.id, failure, now, status, vendor_id)
        self.changes.tell(row, news, row.run_id, row.step, row.channel)
        if decided is Verdict.OPTED_OUT:
            self.suppressed.append((person.workspace_id, row.to, failure, row.id))
        again_at = now + backoff_of(self.house, failure, person.journey.tries, failure.retry_after)
        if decided is Verdict.HOLD:
            again_at = now
            self._hold(row, failure)
        elif failure.cls is Class.CONFIG:
            self.of_sender(row).trouble = f"{failure.words} ({failure.code})"
        event = Event(Happening.FAILED, now, current, decided, again_at, self._why(failure))
        self.changes.advance(person, event, plan.shape)

    def _why(self, failure: Failure) -> str:
        """A failure as the reason of what follows from it."""
        return because(reason.FAILURE, self.account.channel.kind, failure.code, failure.words)

    def _hold(self, row: messages.MessageRow, failure: Failure) -> None:
        why = f"{failure.words} ({failure.code})"
        if failure.of_step:
            self.closed.append((flows.flow_id(row.run_id, row.step), why))
        else:
            self.of_sender(row).paused = why

    def write(self, c: Connection) -> None:
        """Writes what concerns neither messages nor journeys."""
        now, medium = self.changes.now, self.account.channel.suppresses
        contacts.add_aliases(c, self.aliases)
        messages.record_exchanges(c, self.exchanges, now)
        for workspace_id, to, failure, message_id in self.suppressed:
            suppressions.suppress(c, workspace_id, [to], medium, now, "told by the vendor", failure.code, message_id)
        for flow_id, why in self.closed:
            flows.close(c, flow_id, flows.FOR_GOOD, why)
        for sender_id, sender in self.senders.items():
            self._write_sender(c, sender_id, sender, now)

    def _write_sender(self, c: Connection, sender_id: Id, sender: SenderNews, now: int) -> None:
        """The sender as the answers leave it: paused, set back, slowed down or well."""
        if sender.unreached and not sender.answered:
            accounts.set_back(c, sender_id, sender.slow_until, sender.unreached)
        elif sender.answered and not sender.trouble and self.to_be_mended:
            accounts.reached(c, sender_id)
        if sender.slow_until > now:
            accounts.slow_down(c, sender_id, sender.slow_until)
        if sender.trouble:
            accounts.note_trouble(c, sender_id, sender.trouble)
        if sender.paused:
            accounts.pause_sender(c, sender_id, sender.paused, now)


def first_ask(house: House, channel: Channel, now: int) -> int:
    """When a lost answer is first looked into: not before the call can have ended, or when its receipt is overdue."""
    if channel.look_up is not None:
        return now + house.durations.of(channel.look_up.asks[0])
    return now + house.durations.of(channel.wait_for_receipt or 0)


def backoff_of(house: House, failure: Failure, tries: int, asked: int | None) -> int:
    """Microseconds until the next attempt."""
    return backoff(failure.retry, max(1, tries), house.waits, 0.5 + random.random() / 2, asked)  # noqa: S311 - jitter


def _said(request: Request, secrets: Sequence[str]) -> str:
    """The request for the record; credentials mostly travel in headers, which are left out, and are struck out of the rest."""
    return f"{request.method} {strike(request.url, secrets)}\n{kept_of(request.body, secrets)}"


def kept_of(body: bytes, secrets: Sequence[str]) -> str:
    """What is kept of a request's or an answer's body, without secrets, and without half of one where it is cut off."""
    longest = 6 * max(map(len, secrets), default=0)  # as JSON may write it
    looked_at = body[: LONGEST_KEPT + longest]
    text = strike(looked_at.decode(errors="replace"), secrets)
    return text[: min(LONGEST_KEPT, max(0, len(text) - longest)) if len(looked_at) < len(body) else LONGEST_KEPT]
