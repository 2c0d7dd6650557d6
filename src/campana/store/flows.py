"""Flows: the small rows that carry the gates of many people.

A flow is one step of one run: a step has one sender and one text, so everybody in a flow stands before the same gates, and a
unit cut from it is sent in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, exists, select, update

from campana.core.ids import Id, derived_id
from campana.store.dialect import upsert
from campana.store.schema import flow, integration, recipient, run, sender

CLOCK = -1  # the "step" of a run's receipt clocks: no sender, no gate
BULK = 2
FOR_GOOD = 2**62  # closed until a person opens it again


@dataclass(frozen=True, slots=True)
class OpenFlow:
    """A flow whose gates let people through."""

    id: Id
    workspace_id: Id
    run_id: Id
    step: int
    sender_id: Id
    lane: int
    rate: float
    tat: int


@lru_cache(4096)
def flow_id(run_id: Id, step: int, lane: int = BULK) -> Id:
    """The flow of a run's step, or of its receipt clocks."""
    return derived_id(run_id, str(step), bytes([lane]))


def ensure(c: Connection, workspace_id: Id, run_id: Id, sender_ids: Sequence[Id], lane: int = BULK) -> None:
    """The flows of a run: one a step, in order, and the clock's."""
    rows = [
        {
            "id": flow_id(run_id, step, lane),
            "workspace_id": workspace_id,
            "run_id": run_id,
            "step": step,
            "sender_id": sender_id,
            "lane": lane,
        }
        for step, sender_id in enumerate((None, *sender_ids), start=CLOCK)
    ]
    c.execute(upsert(c, flow).on_conflict_do_nothing(), rows)


def forget(c: Connection, run_id: Id) -> None:
    """The flows of a run that never began are gone."""
    c.execute(flow.delete().where(flow.c.run_id == run_id))


def open_flows(c: Connection, now: int) -> list[OpenFlow]:
    """Flows that may be cut: their run is sending, their sender works, their hours are open. Lanes in order."""
    rows = c.execute(
        select(
            flow.c.id, flow.c.workspace_id, flow.c.run_id, flow.c.step, flow.c.sender_id, flow.c.lane, sender.c.rate, sender.c.tat
        )
        .join(run, run.c.id == flow.c.run_id)
        .join(sender, sender.c.id == flow.c.sender_id)
        .join(integration, integration.c.id == sender.c.integration_id)
        .where(
            run.c.status == "sending",
            flow.c.open_at <= now,
            sender.c.paused_at.is_(None),
            sender.c.active,
            integration.c.active,
        )
        .order_by(flow.c.lane, flow.c.id)
    )
    return [OpenFlow(*row) for row in rows]


def clock_flows(c: Connection) -> list[Id]:
    """The receipt clocks of runs that are not over. Pausing does not stop them: receipts come all the same."""
    rows = c.scalars(
        select(flow.c.id)
        .join(run, run.c.id == flow.c.run_id)
        .where(flow.c.sender_id.is_(None), run.c.status.in_(("sending", "paused")))
    )
    return list(rows)


def close(c: Connection, flow_id_: Id, until: int, why: str) -> None:
    """Nothing is cut from the flow before `until`."""
    c.execute(update(flow).where(flow.c.id == flow_id_).values(open_at=until, held=why))


def reopen(c: Connection, run_id: Id) -> None:
    """A person has mended what closed the run's flows for good."""
    c.execute(update(flow).where(flow.c.run_id == run_id, flow.c.open_at == FOR_GOOD).values(open_at=0, held=None))


def held(c: Connection, run_id: Id, now: int) -> list[tuple[int, str]]:
    """Why people of a run wait: (until, words) of its closed flows."""
    rows = c.execute(select(flow.c.open_at, flow.c.held).where(flow.c.run_id == run_id, flow.c.open_at > now))
    return [(until, words or "") for until, words in rows]


def stuck(c: Connection, run_id: Id, now: int) -> str:
    """Why a step of a run, before which people wait, will not go on until a person sees to it; empty when none is so."""
    r = recipient.c
    waiting = exists().where(r.flow_id == flow.c.id, r.due_at <= now, r.due_at.is_not(None), r.unit_id.is_(None))
    rows = c.execute(
        select(flow.c.open_at, flow.c.held, sender.c.name, sender.c.trouble)
        .join(sender, sender.c.id == flow.c.sender_id)
        .where(flow.c.run_id == run_id, (flow.c.open_at == FOR_GOOD) | sender.c.paused_at.is_not(None), waiting)
        .order_by(flow.c.step)
        .limit(1)
    )
    return next((row.held if row.open_at == FOR_GOOD and row.held else f"{row.name}: {row.trouble or ''}" for row in rows), "")


def next_opening(c: Connection, now: int) -> int | None:
    """When the next closed flow of a sending run opens."""
    return c.scalar(
        select(flow.c.open_at)
        .join(run, run.c.id == flow.c.run_id)
        .where(flow.c.open_at > now, run.c.status == "sending")
        .order_by(flow.c.open_at)
        .limit(1)
    )


def of_run(c: Connection, run_id: Id) -> list[Id]:
    """All flows of a run."""
    return list(c.scalars(select(flow.c.id).where(flow.c.run_id == run_id)))
