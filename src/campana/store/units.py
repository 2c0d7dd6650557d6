"""Units: up to 500 due people of one flow, what a worker takes. They are gone when their work is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from campana.core.ids import Id, new_id
from campana.store.dialect import lease_clock, locked
from campana.store.flows import OpenFlow
from campana.store.recipients import put_back
from campana.store.schema import flow, recipient, run, sender, unit

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
    token: Id

    def ids(self, first: int, last: int) -> list[Id]:
        """The people from position `first` up to `last`."""
        return [self.people[at * 16 : at * 16 + 16] for at in range(first, min(last, self.size))]


@dataclass(frozen=True, slots=True)
class Gates:
    """What holds a unit's people back, or not, at this moment."""

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


def claim(c: Connection, token: Id, now: int, lease: int) -> Unit | None:
    """The next ready unit is this worker's until its lease ends."""
    ready = (
        select(unit.c.id).where(unit.c.token.is_(None), unit.c.ready_at <= now).order_by(unit.c.lane, unit.c.ready_at).limit(1)
    )
    row = c.execute(
        update(unit)
        .where(unit.c.id == locked(ready, unit, skip_locked=True).scalar_subquery(), unit.c.token.is_(None))
        .values(token=token, lease_until=lease_clock(c, now) + lease)
        .returning(unit.c.id, unit.c.flow_id, unit.c.sender_id, unit.c.people, unit.c.size, unit.c.cursor)
    ).first()
    return Unit(row.id, row.flow_id, row.sender_id, row.people, row.size, row.cursor, token) if row else None


OURS = (unit.c.id == bindparam("b_id"), unit.c.token == bindparam("b_token"))
HOLD = (
    update(unit)
    .where(*OURS, unit.c.lease_until > bindparam("b_now"))
    .values(lease_until=bindparam("lease_until"))
    .returning(unit.c.cursor)
)
MOVE = update(unit).where(*OURS).values(cursor=bindparam("cursor"))


def hold(c: Connection, held: Unit, now: int, lease: int) -> Unit | None:
    """Renews the lease; None when the unit is no longer this worker's."""
    now = lease_clock(c, now)
    cursor = c.scalar(HOLD, {"b_id": held.id, "b_token": held.token, "b_now": now, "lease_until": now + lease})
    return None if cursor is None else replace(held, cursor=cursor)


GATES = (
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
        sender.c.active.label("sender_active"),
        sender.c.paused_at,
        sender.c.rate,
        sender.c.tat,
        sender.c.daily_limit,
        sender.c.day,
        sender.c.day_used,
        sender.c.integration_id,
        sender.c.setbacks,
    )
    .join(run, run.c.id == flow.c.run_id)
    .join(sender, sender.c.id == flow.c.sender_id)
    .where(flow.c.id == bindparam("flow"))
    .with_for_update(of=sender, key_share=True)  # its pace and its budget are ours until we have reserved our share
)


def gates(c: Connection, flow_id: Id) -> Gates:
    """All gates of a flow, as they stand in this transaction."""
    return Gates(**c.execute(GATES, {"flow": flow_id}).one()._mapping)


def reserve(c: Connection, sender_id: Id, tat: int, day: int, day_used: int) -> None:
    """The sender's pace and daily budget after what this transaction starts."""
    c.execute(update(sender).where(sender.c.id == sender_id).values(tat=tat, day=day, day_used=day_used))


def move(c: Connection, held: Unit, cursor: int) -> None:
    """The unit's people before `cursor` have been dealt with."""
    c.execute(MOVE, {"b_id": held.id, "b_token": held.token, "cursor": cursor})


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
        statement = statement.where(unit.c.lease_until <= lease_clock(c, now))
    return [
        Unit(row.id, row.flow_id, row.sender_id, row.people, row.size, row.cursor, row.token)
        for row in c.execute(locked(statement.limit(100), unit, skip_locked=True))
    ]


def next_ready(c: Connection) -> int | None:
    """When the next unit nobody works on may be taken."""
    return c.scalar(select(func.min(unit.c.ready_at)).where(unit.c.token.is_(None)))


def counts(c: Connection) -> Sequence[Any]:
    """How many units there are in hands and waiting."""
    return c.execute(select(unit.c.token.is_not(None), func.count()).group_by(unit.c.token.is_not(None))).all()
