"""What the store says of its own state: small, bounded questions, each answered by an index or by a table that stays small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, literal_column, select

from campana.core.message import Status
from campana.store import flows
from campana.store.dialect import database_clock, is_postgresql
from campana.store.migrate import alembic_config
from campana.store.schema import counter, flow, inbox, message, recipient, run, sender, unit, workspace

MOST = 10_001  # nothing is counted any further: so many, or more
SENDERS = 1_000
SECOND = 1_000_000
LIVE = ("sending", "paused")


@dataclass(frozen=True, slots=True)
class SenderPace:
    """How far the pace of a sender is used up."""

    workspace: str
    name: str
    ahead: float  # seconds until it has caught up with what was reserved; 0 when nothing was sent lately
    paused: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """The store's state at one moment. Counts end at MOST, ages are seconds."""

    due: int
    oldest_due: float
    units_ready: int
    units_in_hands: int
    units_lease_over: int
    uncertain: int
    unknown_messages: int
    unknown_people: int
    hooks: int
    oldest_hook: float
    flows_held: int
    senders: Sequence[SenderPace]


DUE = (
    select(recipient.c.due_at)
    .where(
        recipient.c.flow_id == bindparam("flow"),
        recipient.c.due_at <= bindparam("now"),
        recipient.c.due_at.is_not(None),
        recipient.c.unit_id.is_(None),
    )
    .order_by(recipient.c.due_at)
    .limit(bindparam("most"))
    .subquery()
)
DUE_OF_FLOW = select(func.count(), func.min(DUE.c.due_at))


def _count(some: Select[Any]) -> Select[Any]:
    """How many rows a selection has, counted no further than MOST."""
    return select(func.count()).select_from(some.limit(MOST).subquery())


ONE: ColumnElement[int] = literal_column("1")
# The status stands in the statement, so that PostgreSQL sees which part of the index is asked for.
UNCERTAIN = _count(
    select(ONE).where(message.c.status == literal_column(str(int(Status.UNCERTAIN))), message.c.ask_at.is_not(None))
)
HOOKS = _count(select(ONE).select_from(inbox))
FIRST_HOOK = select(inbox.c.at).order_by(inbox.c.id).limit(1)
FLOWS_HELD = _count(
    select(ONE).join(run, run.c.id == flow.c.run_id).where(run.c.status == "sending", flow.c.open_at > bindparam("now"))
)
UNITS = select(unit.c.token, unit.c.lease_until).limit(MOST)
PACES = (
    select(workspace.c.name.label("workspace"), sender.c.name, sender.c.tat, sender.c.paused_at)
    .join(workspace, workspace.c.id == sender.c.workspace_id)
    .where(sender.c.active)
    .order_by(sender.c.id)
    .limit(SENDERS)
)
UNKNOWN = (
    select(counter.c.key, func.sum(counter.c.n))
    .where(
        counter.c.run_id.in_(select(run.c.id).where(run.c.status.in_(LIVE))),
        counter.c.key.in_(("messages:unknown", "outcome:unknown")),
    )
    .group_by(counter.c.key)
)


def figures(c: Connection, now: int) -> Figures:
    """All of it, as one snapshot shows it."""
    due, oldest = _due(c, now)
    units = c.execute(UNITS).all()
    clock = database_clock(c) if is_postgresql(c) else now  # by which leases are counted
    over = sum(row.token is not None and row.lease_until <= clock for row in units)
    ready = sum(row.token is None for row in units)
    unknown = {key: int(n) for key, n in c.execute(UNKNOWN)}
    first_hook = c.scalar(FIRST_HOOK)
    return Figures(
        due=due,
        oldest_due=_age(oldest, now),
        units_ready=ready,
        units_in_hands=len(units) - ready - over,
        units_lease_over=over,
        uncertain=c.scalar(UNCERTAIN) or 0,
        unknown_messages=unknown.get("messages:unknown", 0),
        unknown_people=unknown.get("outcome:unknown", 0),
        hooks=c.scalar(HOOKS) or 0,
        oldest_hook=_age(first_hook, now),
        flows_held=c.scalar(FLOWS_HELD, {"now": now}) or 0,
        senders=[
            SenderPace(row.workspace, row.name, max(0, row.tat - now) / SECOND, row.paused_at is not None)
            for row in c.execute(PACES)
        ],
    )


def _due(c: Connection, now: int) -> tuple[int, int | None]:
    """Whose turn has come behind open gates and who is in no unit yet: how many, and since when the first has waited."""
    found, oldest = 0, None
    for one in flows.open_flows(c, now):
        count, first = c.execute(DUE_OF_FLOW, {"flow": one.id, "now": now, "most": MOST - found}).one()
        found += count
        if first is not None:
            oldest = first if oldest is None else min(oldest, first)
        if found >= MOST:
            break
    return found, oldest


def _age(since: int | None, now: int) -> float:
    return 0.0 if since is None else max(0, now - since) / SECOND


@cache
def _newest_schema() -> str | None:
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def unready(c: Connection) -> str | None:
    """Why this version of Campana cannot work on the store, in a sentence; None when it can."""
    found = MigrationContext.configure(c).get_current_revision()
    if found == _newest_schema():
        return None
    return (
        f"The database has the schema {found or 'of nobody'}, this version works with {_newest_schema()}. "
        "Start it with the version of Campana that belongs to it, or let a newer one upgrade it."
    )
