"""Units: up to 500 due people of one flow, what a worker takes. They are gone when their work is done."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Connection, bindparam, func, insert, literal, select, update

from campana.core.ids import Id, new_id
from campana.store.dialect import SetStatement, given, lease_clock, locked
from campana.store.flows import OpenFlow
from campana.store.recipients import put_back
from campana.store.schema import flow, integration, recipient, run, sender, unit
from campana.store.types import Micros

SIZE = 500
JOURNEY_STEPS = 0
TURNS = 1


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit in a worker's hands."""

    id: Id
    flow_id: Id
    sender_id: Id
    people: bytes
    size: int
    cursor: int
    token: Id  # of whoever holds it

    def ids(self, first: int, last: int) -> list[Id]:
        """The people from position `first` up to `last`."""
        return [self.people[at * 16 : at * 16 + 16] for at in range(first, min(last, self.size))]


@dataclass(frozen=True, slots=True)
class Gates:
    """Where a unit stands, and what holds its people back, or not, at this moment."""

    cursor: int
    run_id: Id
    workspace_id: Id
    run_status: str
    mode: str
    plan: str
    columns: str
    step: int
    open_at: int
    sender_id: Id
    sender_address: str
    sender_active: bool
    paused_at: int | None
    rate: float
    tat: int
    daily_limit: int | None
    day: int
    day_used: int
    integration_id: Id
    setbacks: int
    trouble: str | None
    sender_weight: str | None  # what its pace and limit count, if not what the channel does


DUE = (
    select(recipient.c.id)
    .where(
        recipient.c.flow_id == bindparam("flow"),
        recipient.c.due_at <= bindparam("now"),
        recipient.c.due_at.is_not(None),
        recipient.c.unit_id.is_(None),
    )
    .order_by(recipient.c.due_at)
    .limit(bindparam("n"))
    .with_for_update(key_share=True, skip_locked=True)  # on PostgreSQL; who is being changed by somebody is due next time
)
TAKE = (
    update(recipient).where(recipient.c.id.in_(DUE.scalar_subquery())).values(unit_id=bindparam("unit")).returning(recipient.c.id)
)


def cut(c: Connection, of: OpenFlow, at_most: int, now: int) -> int:
    """Puts up to `at_most` due people of a flow into one unit. Returns how many."""
    unit_id = new_id(now)
    taken = sorted(c.scalars(TAKE, {"flow": of.id, "now": now, "n": at_most, "unit": unit_id}))
    if taken:
        row = {"id": unit_id, "workspace_id": of.workspace_id, "kind": JOURNEY_STEPS, "flow_id": of.id}
        row |= {"sender_id": of.sender_id, "lane": of.lane, "people": b"".join(taken), "size": len(taken), "ready_at": now}
        c.execute(insert(unit).values(row))
    return len(taken)


def outstanding(c: Connection) -> dict[Id, int]:
    """People in units, by sender: what has been cut and is not yet started."""
    rows = c.execute(select(unit.c.sender_id, func.sum(unit.c.size - unit.c.cursor)).group_by(unit.c.sender_id))
    return {sender_id: int(n) for sender_id, n in rows}


def _claim_statement() -> SetStatement:
    asked = given(unit.c.token, unit.c.ready_at, Column("lease", Micros))
    ready = (
        select(unit.c.id)
        .where(unit.c.token.is_(None), unit.c.ready_at <= select(asked.c.ready_at).scalar_subquery())
        .order_by(unit.c.lane, unit.c.ready_at)
        .limit(1)
    )
    first = locked(ready, unit, skip_locked=True).scalar_subquery()
    lease_until = lease_clock(asked.c.ready_at) + asked.c.lease
    statement = (
        update(unit)
        .where(unit.c.id == first, unit.c.token.is_(None))
        .values(token=asked.c.token, lease_until=lease_until)
        .returning(unit.c.id, unit.c.flow_id, unit.c.sender_id, unit.c.people, unit.c.size, unit.c.cursor)
    )
    return SetStatement(statement, asked)


CLAIM = _claim_statement()


def claim(c: Connection, token: Id, now: int, lease: int) -> Unit | None:
    """The next ready unit is this worker's until its lease ends."""
    row = CLAIM.first(c, token=token, ready_at=now, lease=lease)
    return Unit(row.id, row.flow_id, row.sender_id, row.people, row.size, row.cursor, token) if row else None


ASKED = given(unit.c.id, unit.c.token, Column("now", Micros))
HOLD = SetStatement(
    locked(
        select(unit.c.cursor)
        .join_from(unit, sender, sender.c.id == unit.c.sender_id)
        .where(unit.c.id == ASKED.c.id, unit.c.token == ASKED.c.token, unit.c.lease_until > lease_clock(ASKED.c.now)),
        unit,
        sender,  # its pace and its budget are ours until we have reserved our share
    ),
    ASKED,
)
OF = given(flow.c.id)
GATES = SetStatement(
    select(
        run.c.id.label("run_id"),
        run.c.workspace_id,
        run.c.status.label("run_status"),
        run.c.mode,
        run.c.plan,
        run.c.columns,
        flow.c.step,
        flow.c.open_at,
        sender.c.id.label("sender_id"),
        sender.c.address.label("sender_address"),
        (sender.c.active & integration.c.active).label("sender_active"),
        sender.c.paused_at,
        sender.c.rate,
        sender.c.tat,
        sender.c.daily_limit,
        sender.c.day,
        sender.c.day_used,
        sender.c.integration_id,
        sender.c.setbacks,
        sender.c.trouble,
        sender.c.weight,
    )
    .join_from(flow, run, run.c.id == flow.c.run_id)
    .join(sender, sender.c.id == flow.c.sender_id)
    .join(integration, integration.c.id == sender.c.integration_id)
    .where(flow.c.id == OF.c.id),
    OF,
)


def look(c: Connection, held: Unit, now: int) -> Gates | None:
    """Where the unit stands and all gates of its flow, in this transaction; None when it is no longer this worker's.

    The gates are read after the unit and its sender are ours: whoever waits for them sees a pause or a Finish that was
    committed meanwhile.
    """
    row = HOLD.first(c, id=held.id, token=held.token, now=now)
    return None if row is None else Gates(row.cursor, *GATES.first(c, id=held.flow_id))


MOVED = given(unit.c.id, unit.c.token, unit.c.cursor, Column("now", Micros), Column("lease", Micros))
MOVE = SetStatement(
    update(unit)
    .where(unit.c.id == MOVED.c.id, unit.c.token == MOVED.c.token)
    .values(cursor=MOVED.c.cursor, lease_until=lease_clock(MOVED.c.now) + MOVED.c.lease),
    MOVED,
)


def move(c: Connection, held: Unit, cursor: int, now: int, lease: int) -> None:
    """The unit's people before `cursor` have been dealt with, and its lease counts anew, if it is still this worker's."""
    MOVE.run(c, [{"id": held.id, "token": held.token, "cursor": cursor, "now": now, "lease": lease}])


RESERVED = given(sender.c.id, sender.c.tat, sender.c.day, sender.c.day_used)
RESERVE = SetStatement(
    update(sender)
    .where(sender.c.id == RESERVED.c.id)
    .values(tat=RESERVED.c.tat, day=RESERVED.c.day, day_used=RESERVED.c.day_used),
    RESERVED,
)


def reserve(c: Connection, sender_id: Id, tat: int, day: int, day_used: int) -> None:
    """The sender's pace and daily budget after what this transaction starts."""
    RESERVE.run(c, [{"id": sender_id, "tat": tat, "day": day, "day_used": day_used}])


def release(c: Connection, held: Unit, ready_at: int) -> None:
    """Any worker may go on with the unit from then."""
    c.execute(
        update(unit)
        .where(unit.c.id == held.id, unit.c.token == held.token)
        .values(token=None, lease_until=None, ready_at=ready_at)
    )


def dissolve(c: Connection, held: Unit, cursor: int) -> None:
    """The unit is gone; its people from `cursor` on wait in their flow again."""
    put_back(c, held.id, held.ids(cursor, held.size))
    c.execute(unit.delete().where(unit.c.id == held.id))


def abandoned(c: Connection, now: int, everything: bool = False) -> list[Unit]:
    """Units whose worker is gone: their lease is over, or (in the only process there is, at its start) all of them."""
    statement = select(unit).where(unit.c.token.is_not(None))
    if not everything:
        statement = statement.where(unit.c.lease_until <= lease_clock(literal(now)))
    return [
        Unit(row.id, row.flow_id, row.sender_id, row.people, row.size, row.cursor, row.token)
        for row in c.execute(locked(statement.limit(100), unit, skip_locked=True))
    ]


def next_ready(c: Connection) -> int | None:
    """When the next unit nobody works on may be taken."""
    return c.scalar(select(func.min(unit.c.ready_at)).where(unit.c.token.is_(None)))
