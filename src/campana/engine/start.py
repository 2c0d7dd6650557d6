"""*Start*: the last moment. What passes every gate is written down, durable before its call.

The gates are looked at once more in one transaction, so a reply, an opt-out, a pause or a Finish takes effect on everything that
has not been handed over. Whoever is dropped here is recorded with the reason in that transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from campana.channels.contract import Channel, Render, UnfitContent
from campana.core import hours as active_hours
from campana.core import pace, reason
from campana.core.held import ACCOUNT_WORDS, HOURS_WORDS, LIMIT_WORDS
from campana.core.ids import Id, new_id
from campana.core.journey import Event, Happening, Stage
from campana.core.message import Outgoing, Reach, Rendered, Status
from campana.core.reason import because
from campana.engine.changes import Changes
from campana.engine.house import Account, House, RunPlan
from campana.store import flows, messages, recipients, suppressions, units
from campana.store.recipients import Person
from campana.store.units import Gates, Unit

DAY = 86_400_000_000
TAKES_STEPS = (Stage.READY, Stage.WAITING)
JSON = msgspec.json.Encoder()
SENDING = int(Status.SENDING)


class Started(Struct, frozen=True):
    """An attempt that is written down and may be called."""

    outgoing: Outgoing
    person: Person  # as the attempt leaves them
    run_id: Id
    step: int
    sender_id: Id
    attempt: int
    channel: str
    text: str
    weight: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What *start* allows: attempts to call now. None: the unit is done, or waits for its time."""

    account: Account | None = None
    started: Sequence[Started] = ()
    setbacks: int = 0  # how often running the vendor could not be reached before
    troubled: bool = False  # people have been told of a trouble of the sender


def start(c: Connection, house: House, unit: Unit, now: int) -> Chunk:
    """Writes the next attempts down, if all gates let them through; they are durable when this is committed."""
    changes = Changes(now)
    chunk = start_next(c, house, unit, changes)
    changes.write(c)
    return chunk


def start_next(c: Connection, house: House, unit: Unit, changes: Changes) -> Chunk:
    """Like `start`, with the journeys that move left in `changes`."""
    gates = units.look(c, unit, changes.now)
    if gates is None:
        return Chunk()
    plan = house.plan_of(gates.run_id, gates.plan, gates.columns)
    return _pass_gates(c, house, unit, gates, plan, changes)


def _pass_gates(c: Connection, house: House, unit: Unit, gates: Gates, plan: RunPlan, changes: Changes) -> Chunk:
    now = changes.now
    step = plan.step(gates.step)
    account = house.accounts.get(gates.integration_id)
    if account is None:
        flows.close(c, unit.flow_id, now + house.recheck, ACCOUNT_WORDS)
    if account is None or gates.run_status != "sending" or gates.paused_at is not None or not gates.sender_active:
        units.dissolve(c, unit, gates.cursor)
        return Chunk()
    opens = active_hours.next_open(plan.plan.hours, now) if plan.plan.hours else now
    if opens > now:
        flows.close(c, unit.flow_id, opens, HOURS_WORDS)
    if max(opens, gates.open_at) > now:
        units.dissolve(c, unit, gates.cursor)
        return Chunk()
    try:
        render = house.renderer(c, gates.run_id, gates.step, step, gates.integration_id)
    except UnfitContent as error:
        flows.close(c, unit.flow_id, now + house.recheck, str(error))
        units.dissolve(c, unit, gates.cursor)
        return Chunk()
    return _start_chunk(c, house, unit, gates, plan, changes, account, render)


def _start_chunk(
    c: Connection, house: House, unit: Unit, gates: Gates, plan: RunPlan, changes: Changes, account: Account, render: Render
) -> Chunk:
    """Starts people from the unit's cursor on until the chunk, the pace or the budget is full."""
    now = changes.now
    channel = account.channel
    counts_segments = (gates.sender_weight or channel.weight) == "segments"
    asked = channel.look_up is not None or channel.wait_for_receipt is not None
    size = 1 if gates.setbacks else pace.chunk_size(gates.rate, channel.batch, asked)  # after a setback, one tries the way
    budget = Budget.of(gates, now)
    hook_url = house.hook_url(account.hook)
    started: list[Started] = []
    rows = []
    cursor = gates.cursor
    full = False
    while cursor < unit.size and len(started) < size and not full:
        ids = unit.ids(cursor, cursor + size - len(started))
        people = {person.id: person for person in recipients.lock(c, ids)}
        barred = suppressions.among(c, gates.workspace_id, {_address(channel, one) or "" for one in people.values()})
        for one in ids:
            person = people.get(one)
            if person is not None and person.unit_id == unit.id:
                fit = _fit(channel, plan, gates.step, person, barred, render, changes)
                if fit is not None:
                    to, rendered = fit
                    weight = rendered.segments if counts_segments else 1
                    if budget.never(weight):
                        why = because(reason.TOO_HEAVY, weight, gates.daily_limit)
                        changes.advance(person, Event(Happening.CANNOT, now, reason=why), plan.shape)
                    elif not budget.take(weight):
                        full = True
                        break
                    else:
                        started.append(_begin(hook_url, account, gates, plan, person, to, rendered, changes))
                        rows.append(_row(gates, unit, account, started[-1], rendered))
                person.unit_id = None
                changes.touch(person)
            cursor += 1
    messages.add(c, rows)
    if started:
        units.reserve(c, gates.sender_id, budget.tat, budget.day, budget.day_used)
        units.move(c, unit, cursor, now, house.lease)
        return Chunk(account, started, gates.setbacks, gates.trouble is not None)
    _rest(c, house, unit, cursor, budget, full)
    return Chunk()


def _rest(c: Connection, house: House, unit: Unit, cursor: int, budget: Budget, full: bool) -> None:
    """Nobody can be started now: the unit is done, or waits for its turn, or its people for another day."""
    if not full:
        units.dissolve(c, unit, cursor)
        return
    units.move(c, unit, cursor, budget.now, house.lease)
    if budget.spent:
        flows.close(c, unit.flow_id, budget.tomorrow, LIMIT_WORDS)
        units.dissolve(c, unit, cursor)
    else:
        units.release(c, unit, budget.ready_at)


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
        today = max(now // DAY, gates.day)  # another worker may have begun the new day while we waited
        used = gates.day_used if gates.day == today else 0
        return cls(now, gates.rate, gates.tat, today, used, gates.daily_limit)

    @property
    def tomorrow(self) -> int:
        """When the next UTC day begins."""
        return (self.day + 1) * DAY

    def never(self, weight: int) -> bool:
        """Whether `weight` is more than a whole day has room for."""
        return self.daily_limit is not None and weight > self.daily_limit

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
    if journey.stage not in TAKES_STEPS or journey.step != step or journey.due_at is None:
        return None
    to = _address(channel, person)
    if to is None:
        why = because(reason.NO_ADDRESS, channel.reaches)
        changes.advance(person, Event(Happening.CANNOT, changes.now, reason=why), plan.shape)
        return None
    if (to, channel.suppresses) in barred or (to, suppressions.ALL) in barred:
        why = because(reason.OPTED_OUT, channel.suppresses)
        changes.advance(person, Event(Happening.BARRED, changes.now, reason=why), plan.shape)
        return None
    rendered = render(plan.cells(person.cells))
    if rendered.problem:
        why = because(reason.PROBLEM, rendered.problem)
        changes.advance(person, Event(Happening.CANNOT, changes.now, reason=why), plan.shape)
        return None
    return to, rendered


def _begin(
    hook_url: str, account: Account, gates: Gates, plan: RunPlan, person: Person, to: str, rendered: Rendered, changes: Changes
) -> Started:
    changes.advance(person, changes.started, plan.shape)
    message_id = new_id(changes.now)
    person.message_id = message_id
    outgoing = Outgoing(message_id, gates.sender_address, to, rendered.content, hook_url, changes.now)
    tries, kind = person.journey.tries, account.channel.kind
    return Started(outgoing, person, gates.run_id, gates.step, gates.sender_id, tries, kind, rendered.text, rendered.segments)


def _row(gates: Gates, unit: Unit, account: Account, one: Started, rendered: Rendered) -> dict[str, object]:
    return {
        "id": one.outgoing.id,
        "workspace_id": gates.workspace_id,
        "run_id": gates.run_id,
        "recipient_id": one.person.id,
        "unit_id": unit.id,
        "step": gates.step,
        "attempt": one.attempt,
        "channel": account.channel.kind,
        "sender_id": gates.sender_id,
        "to": one.outgoing.to,
        "content": JSON.encode(rendered.content).decode(),
        "text": rendered.text,
        "weight": one.weight,
        "status": SENDING,
        "started_at": one.outgoing.started_at,
    }
