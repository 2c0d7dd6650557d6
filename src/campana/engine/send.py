"""Sending one unit, chunk by chunk: start (durable, before the calls), call, settle and start the next chunk.

*start* is the last moment: in its transaction every gate is looked at once more, so a reply, an opt-out, a pause or a Finish
takes effect on everything that has not been handed over. What is started is written down first; an answer that is lost then
leaves an uncertain message, never a second one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import Connection

from campana.channels.contract import Channel, Render, UnfitContent
from campana.core import hours as active_hours
from campana.core import pace
from campana.core.exchange import Request, Response
from campana.core.failure import Class, Failure, Verdict, backoff, verdict
from campana.core.ids import Id, new_id
from campana.core.journey import Event, Happening, Stage
from campana.core.message import Accepted, Lost, Outgoing, Reach, Rendered, Result, Status, Unsent
from campana.engine.changes import Changes
from campana.engine.house import CALL_TIMEOUT, MARGIN, Account, House, RunPlan
from campana.store import accounts, contacts, flows, messages, recipients, suppressions, units
from campana.store.database import Priority
from campana.store.messages import News
from campana.store.recipients import Person
from campana.store.units import Gates, Unit

DAY = 86_400_000_000
UNREACHED = Failure("unsent", "the vendor could not be reached", Class.TRANSIENT, fallback=False)


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt that is written down and may be called."""

    outgoing: Outgoing
    person_id: Id
    attempt: int
    weight: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What *start* allows: attempts to call now, or the moment to come back. Neither: the unit is done."""

    account: Account | None = None
    started: Sequence[Started] = ()
    wait_until: int | None = None
    setbacks: int = 0  # how often running the vendor could not be reached before


async def send_unit(house: House, unit: Unit, stopping: asyncio.Event | None = None) -> int:
    """Sends one unit. Returns how many messages were handed to the vendor, or tried to be.

    When `stopping` is set, what has been handed over is settled and the rest of the unit waits for another worker.
    """
    handed = 0
    lease_ends = house.boottime() + house.lease
    chunk = await house.db.at(Priority.SETTLE, start, house, unit, house.clock.now())
    while chunk.started and chunk.account:
        deadline = min(lease_ends - MARGIN, house.boottime() + CALL_TIMEOUT)
        answers = await call(house, chunk.account, chunk.started, deadline)
        handed += len(answers)
        lease_ends = house.boottime() + house.lease
        follow = settle_and_leave if stopping and stopping.is_set() else settle_and_start
        chunk = await house.db.at(Priority.SETTLE, follow, house, unit, chunk, answers, house.clock.now())
    return handed


# --- start ------------------------------------------------------------------------------------------------------------------


def start(c: Connection, house: House, unit: Unit, now: int) -> Chunk:
    """Writes the next attempts down, if all gates let them through; they are durable when this returns."""
    held = units.hold(c, unit, now, now + house.lease)
    if held is None:
        return Chunk()
    gates = units.gates(c, unit.flow_id)
    plan = house.plan_of(gates.run_id, gates.plan, gates.columns)
    changes = Changes(now)
    chunk = _pass_gates(c, house, held, gates, plan, changes)
    changes.write(c)
    return chunk


def _pass_gates(c: Connection, house: House, unit: Unit, gates: Gates, plan: RunPlan, changes: Changes) -> Chunk:
    now = changes.now
    step = plan.step(gates.step)
    account = house.accounts.get(gates.integration_id)
    if account is None or gates.run_status != "sending" or gates.paused_at is not None or not gates.sender_active:
        units.dissolve(c, unit, unit.cursor)
        return Chunk()
    opens = active_hours.next_open(plan.plan.hours, now) if plan.plan.hours else now
    if opens > now:
        flows.close(c, unit.flow_id, opens, "active hours")
    if max(opens, gates.open_at) > now:
        units.dissolve(c, unit, unit.cursor)
        return Chunk()
    try:
        render = house.renderer(c, gates.run_id, gates.step, step, gates.integration_id)
    except UnfitContent as error:
        flows.close(c, unit.flow_id, now + house.recheck, str(error))
        units.dissolve(c, unit, unit.cursor)
        return Chunk()
    return _start_chunk(c, house, unit, gates, plan, changes, account, render)


def _start_chunk(
    c: Connection, house: House, unit: Unit, gates: Gates, plan: RunPlan, changes: Changes, account: Account, render: Render
) -> Chunk:
    """Starts people from the unit's cursor on until the chunk, the pace or the budget is full."""
    now = changes.now
    channel = account.channel
    asked = channel.look_up is not None or channel.wait_for_receipt is not None
    size = 1 if gates.setbacks else pace.chunk_size(gates.rate, channel.batch, asked)  # after a setback, one tries the way
    budget = Budget.of(gates, now)
    started: list[Started] = []
    rows = []
    cursor = unit.cursor
    full = False
    while cursor < unit.size and len(started) < size and not full:
        ids = unit.ids(cursor, cursor + size - len(started))
        people = {person.id: person for person in recipients.load(c, ids)}
        barred = suppressions.among(c, gates.workspace_id, {_address(channel, one) or "" for one in people.values()})
        for one in ids:
            person = people.get(one)
            if person is not None and person.unit_id == unit.id:
                fit = _fit(channel, plan, gates.step, person, barred, render, changes)
                if fit is not None:
                    to, rendered = fit
                    if not budget.take(rendered.segments if channel.weight == "segments" else 1):
                        full = True
                        break
                    started.append(_begin(house, account, gates, plan, person, to, rendered, changes))
                    rows.append(_row(gates, unit, account, started[-1], rendered))
                person.unit_id = None
                changes.touch(person)
            cursor += 1
    messages.add(c, rows)
    if started:
        units.reserve(c, gates.sender_id, budget.tat, budget.day, budget.day_used)
    after = _after_start(c, unit, cursor, budget, account, started, full)
    return replace(after, setbacks=gates.setbacks)


def _after_start(
    c: Connection, unit: Unit, cursor: int, budget: Budget, account: Account, started: list[Started], full: bool
) -> Chunk:
    if started:
        units.move(c, unit, cursor)
        return Chunk(account, started)
    if not full:
        units.dissolve(c, unit, cursor)
        return Chunk()
    units.move(c, unit, cursor)
    if budget.spent:
        flows.close(c, unit.flow_id, budget.tomorrow, "today's limit of the sender is used up")
        units.dissolve(c, unit, cursor)
        return Chunk()
    units.release(c, unit, budget.ready_at)
    return Chunk(wait_until=budget.ready_at)


@dataclass(slots=True)
class Budget:
    """The pace and the daily limit of a sender, as one transaction uses them up."""

    now: int
    rate: float
    tat: int
    day: int
    day_used: int
    daily_limit: int | None
    ready_at: int = 0
    spent: bool = False

    @classmethod
    def of(cls, gates: Gates, now: int) -> Budget:
        today = now // DAY
        used = gates.day_used if gates.day == today else 0
        return cls(now, gates.rate, gates.tat, today, used, gates.daily_limit)

    @property
    def tomorrow(self) -> int:
        """When the next UTC day begins."""
        return (self.day + 1) * DAY

    def take(self, weight: int) -> bool:
        """Reserves `weight`, when both still have room for it."""
        if self.daily_limit is not None and self.day_used + weight > self.daily_limit:
            self.spent = True
            return False
        tat, ready_at = pace.reserve(self.tat, self.now, weight, self.rate, max(1, int(self.rate / 4)))
        if ready_at > self.now:
            self.ready_at = ready_at
            return False
        self.tat = tat
        self.day_used += weight
        return True


def _address(channel: Channel, person: Person) -> str | None:
    return person.phone if channel.reaches is Reach.PHONE else person.email


def _fit(
    channel: Channel,
    plan: RunPlan,
    step: int,
    person: Person,
    barred: set[tuple[str, str]],
    render: Render,
    changes: Changes,
) -> tuple[str, Rendered] | None:
    """The address and what it gets, or None: then the journey has moved past the step, with the reason."""
    journey = person.journey
    if journey.stage not in {Stage.READY, Stage.WAITING} or journey.step != step or journey.due_at is None:
        return None
    to = _address(channel, person)
    if to is None:
        changes.advance(person, Event(Happening.CANNOT, changes.now, reason=f"no {channel.reaches}"), plan.shape)
        return None
    if (to, channel.suppresses) in barred or (to, suppressions.ALL) in barred:
        changes.advance(person, Event(Happening.BARRED, changes.now, reason=f"opted out of {channel.suppresses}"), plan.shape)
        return None
    rendered = render(plan.cells(person.cells))
    if rendered.problem:
        changes.advance(person, Event(Happening.CANNOT, changes.now, reason=rendered.problem), plan.shape)
        return None
    return to, rendered


def _begin(
    house: House, account: Account, gates: Gates, plan: RunPlan, person: Person, to: str, rendered: Rendered, changes: Changes
) -> Started:
    changes.advance(person, Event(Happening.STARTED, changes.now), plan.shape)
    message_id = new_id(changes.now)
    person.message_id = message_id
    outgoing = Outgoing(message_id, gates.sender_address, to, rendered.content, house.hook_url(account.name), changes.now)
    return Started(outgoing, person.id, person.journey.tries, rendered.segments)


def _row(gates: Gates, unit: Unit, account: Account, one: Started, rendered: Rendered) -> dict[str, object]:
    return {
        "id": one.outgoing.id,
        "workspace_id": gates.workspace_id,
        "run_id": gates.run_id,
        "recipient_id": one.person_id,
        "unit_id": unit.id,
        "step": gates.step,
        "attempt": one.attempt,
        "channel": account.channel.kind,
        "sender_id": gates.sender_id,
        "to": one.outgoing.to,
        "content": msgspec.json.encode(rendered.content).decode(),
        "text": rendered.text,
        "weight": one.weight,
        "status": int(Status.SENDING),
        "started_at": one.outgoing.started_at,
    }


# --- call -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Called:
    """The answer to one attempt, with the exchange for the record when it went wrong."""

    result: Result
    request: Request
    answer: str = ""


async def call(house: House, account: Account, started: Sequence[Started], deadline: int) -> list[Called]:
    """Hands attempts to the vendor, as many in one request as it takes. One answer each, in their order."""
    batches = [started[at : at + account.channel.batch] for at in range(0, len(started), account.channel.batch)]
    answers = await asyncio.gather(*(_call_batch(house, account, batch, deadline) for batch in batches))
    return [called for batch in answers for called in batch]


async def _call_batch(house: House, account: Account, batch: Sequence[Started], deadline: int) -> list[Called]:
    outgoing = [one.outgoing for one in batch]
    request = account.channel.build_request(account.settings, outgoing)

    def begins() -> None:
        for one in outgoing:
            house.journal(one.id)

    answer = await house.exchange(request, deadline, begins)
    if isinstance(answer, Response):
        results = account.channel.parse_response(answer, outgoing)
        said = f"{answer.code} {answer.body[:4000].decode(errors='replace')}"
        return [Called(result, request, "" if isinstance(result, Accepted) else said) for result in results]
    return [Called(answer, request, answer.reason) for _ in outgoing]


# --- settle -----------------------------------------------------------------------------------------------------------------


def settle_and_start(c: Connection, house: House, unit: Unit, chunk: Chunk, answers: Sequence[Called], now: int) -> Chunk:
    """Writes the answers down with what follows from them, and starts the next chunk: one transaction."""
    settle(c, house, chunk, answers, now)
    return start(c, house, unit, now)


def settle_and_leave(c: Connection, house: House, unit: Unit, chunk: Chunk, answers: Sequence[Called], now: int) -> Chunk:
    """Writes the answers down; any worker may go on with the unit."""
    settle(c, house, chunk, answers, now)
    units.release(c, unit, now)
    return Chunk()


def settle(c: Connection, house: House, chunk: Chunk, answers: Sequence[Called], now: int) -> None:
    """Results become news of messages and events of journeys. A lost lease does not matter: what was answered is true."""
    account = chunk.account
    if account is None:
        return
    rows = messages.load(c, [one.outgoing.id for one in chunk.started])
    people = {person.id: person for person in recipients.load(c, sorted(one.person_id for one in chunk.started))}
    changes = Changes(now)
    settling = Settling(house, account, changes, chunk.setbacks)
    for one, called in zip(chunk.started, answers, strict=True):
        settling.take(rows[one.outgoing.id], people[one.person_id], called, house.plans[people[one.person_id].run_id])
    changes.write(c)
    settling.write(c)


class Settling:
    """Results of one account's messages, on their way into one transaction."""

    def __init__(self, house: House, account: Account, changes: Changes, setbacks: int = 0) -> None:
        self.house = house
        self.setbacks = setbacks
        self.account = account
        self.changes = changes
        self.aliases: list[tuple[Id, str]] = []
        self.exchanges: list[tuple[Id, str, str]] = []
        self.suppressed: list[tuple[Id, str, Failure, Id]] = []
        self.workspace_id: Id | None = None
        self.slow_until = 0
        self.trouble: str | None = None
        self.unreached: str | None = None
        self.paused: tuple[Id, str] | None = None
        self.closed: list[tuple[Id, str]] = []
        self.sender_id: Id | None = None

    def take(self, row: messages.MessageRow, person: Person, called: Called, plan: RunPlan) -> None:
        """One attempt's answer."""
        self.workspace_id, self.sender_id = person.workspace_id, row.sender_id
        current = person.message_id == row.id
        result = called.result
        if isinstance(result, Accepted):
            self._accepted(row, person, result, current, plan)
            return
        self.exchanges.append((row.id, _said(called.request), called.answer))
        if isinstance(result, Unsent):
            self._unsent(row, person, result, current, plan)
        elif isinstance(result, Lost) or result.unanswered:
            self._lost(row, person, result, current, plan)
        else:
            self.failed(row, person, result, current, plan, Status.FAILED)

    def _accepted(self, row: messages.MessageRow, person: Person, result: Accepted, current: bool, plan: RunPlan) -> None:
        now = self.changes.now
        self.changes.tell(row, News(row.id, Status.QUEUED, now, result.vendor_id), row.run_id, row.step, row.channel)
        if row.status < Status.QUEUED:  # else its receipt was faster than its answer
            self.changes.accepted(person)
        if result.alias:
            self.aliases.append((person.contact_id, f"{self.account.channel.alias_kind}:{result.alias}"))
        if current:
            self.changes.advance(person, Event(Happening.ACCEPTED, now), plan.shape)

    def _unsent(self, row: messages.MessageRow, person: Person, result: Unsent, current: bool, plan: RunPlan) -> None:
        """Our own trouble, not the person's: the step waits, and the sender slows down."""
        now = self.changes.now
        wait = backoff_of(self.house, UNREACHED, self.setbacks + 1, result.retry_after)
        self.slow_until = max(self.slow_until, now + wait)
        self.unreached = result.reason
        self.changes.tell(row, News(row.id, Status.FAILED, now, None, "unsent", result.reason), row.run_id, row.step, row.channel)
        if current:
            event = Event(Happening.UNSENT, now, again_at=now + wait, reason=result.reason)
            self.changes.advance(person, event, plan.shape)

    def _lost(self, row: messages.MessageRow, person: Person, result: Lost | Failure, current: bool, plan: RunPlan) -> None:
        now = self.changes.now
        reason = result.reason if isinstance(result, Lost) else result.words
        ask_at = first_ask(self.house, self.account.channel, now)
        news = News(row.id, Status.UNCERTAIN, now, None, None, reason, ask_at)
        self.changes.tell(row, news, row.run_id, row.step, row.channel)
        if current:
            self.changes.advance(person, Event(Happening.UNCERTAIN, now, reason=reason), plan.shape)

    def failed(
        self, row: messages.MessageRow, person: Person, failure: Failure, current: bool, plan: RunPlan, status: Status
    ) -> None:
        """A refusal, or a receipt that says so: the table's verdict moves the journey."""
        now = self.changes.now
        decided = verdict(failure, person.journey.tries)
        news = messages.news_of_failure(row.id, failure, now, status)
        self.changes.tell(row, news, row.run_id, row.step, row.channel)
        if decided is Verdict.OPTED_OUT:
            self.suppressed.append((person.workspace_id, row.to, failure, row.id))
        again_at = now + backoff_of(self.house, failure, person.journey.tries, failure.retry_after)
        if decided is Verdict.HOLD:
            again_at = now
            self._hold(row, failure)
        elif failure.cls is Class.CONFIG:
            self.trouble = failure.words
        if failure.retry_after and decided is Verdict.RETRY:
            self.slow_until = max(self.slow_until, now + failure.retry_after)
        event = Event(Happening.FAILED, now, current, decided, again_at, f"{failure.words} ({failure.code})")
        self.changes.advance(person, event, plan.shape)

    def _hold(self, row: messages.MessageRow, failure: Failure) -> None:
        why = f"{failure.words} ({failure.code})"
        if failure.of_step:
            self.closed.append((flows.flow_id(row.run_id, row.step), why))
        else:
            self.paused = (row.sender_id, why)

    def write(self, c: Connection) -> None:
        """Writes what concerns neither messages nor journeys."""
        now = self.changes.now
        if self.workspace_id is None or self.sender_id is None:
            return
        contacts.add_aliases(c, self.workspace_id, self.aliases)
        messages.record_exchanges(c, self.workspace_id, self.exchanges, now)
        for workspace_id, to, failure, message_id in self.suppressed:
            medium = self.account.channel.suppresses
            suppressions.suppress(c, workspace_id, [to], medium, now, "told by the vendor", failure.code, message_id)
        if self.unreached:
            accounts.set_back(c, self.sender_id, self.slow_until, self.unreached)
        else:
            accounts.reached(c, self.sender_id)
        if self.slow_until > now and not self.unreached:
            accounts.slow_down(c, self.sender_id, self.slow_until)
        if self.trouble:
            accounts.note_trouble(c, self.sender_id, self.trouble)
        for flow_id, why in self.closed:
            flows.close(c, flow_id, flows.FOR_GOOD, why)
        if self.paused:
            accounts.pause_sender(c, *self.paused, now)


def first_ask(house: House, channel: Channel, now: int) -> int:
    """When a lost answer is first looked into: not before the call can have ended, or when its receipt is overdue."""
    if channel.look_up is not None:
        return now + house.durations.of(channel.look_up.asks[0])
    return now + house.durations.of(channel.wait_for_receipt or 0)


def backoff_of(house: House, failure: Failure, tries: int, asked: int | None) -> int:
    """Microseconds until the next attempt."""
    return backoff(failure.retry, max(1, tries), house.waits, 0.5 + random.random() / 2, asked)  # noqa: S311 - jitter


def _said(request: Request) -> str:
    """The request for the record; credentials travel in headers and are left out."""
    return f"{request.method} {request.url}\n{request.body[:4000].decode(errors='replace')}"
