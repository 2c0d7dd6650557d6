"""A backlog that is there in seconds: people who wait, and people who were written to before, put in by a few statements."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, String, Table, cast, delete, insert, literal, select, update

from bench.people import COLUMNS, everybody, launched, row
from campana.core.ids import Id, new_id
from campana.core.journey import OUTCOMES, Outcome, Stage
from campana.core.message import Status
from campana.engine import wake
from campana.store import audiences, counters
from campana.store.dialect import numbered_id
from campana.store.flows import flow_id
from campana.store.recipients import HANDED, TRIED
from campana.store.schema import flow, message, recipient, run
from campana.wiring import Installation

AT_ONCE = 250_000
DAY = 86_400_000_000


def _put(c: Connection, workspace_id: Id, run_id: Id, first: int, last: int, state: dict[ColumnElement[Any], Any]) -> None:
    """People with these numbers are in the run, in that state of their journey."""
    numbers = select(literal(first, Integer).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < last))
    i, r = numbers.c.i, recipient.c
    phone = literal("+5255") + cast(10_000_000 + i, String)
    values = {
        r.id: numbered_id(run_id, i),
        r.workspace_id: workspace_id,
        r.run_id: run_id,
        r.number: i,
        r.contact_id: numbered_id(workspace_id, i),
        r.phone: phone,
        r.cells: literal('["Ana ') + cast(i, String) + literal('", "') + phone + literal('", "2027-01-01", "Home 1G"]'),
        r.flow_id: flow_id(run_id, 0),
        **state,
    }
    insert_from(c, recipient, values)


def _waiting(c: Connection, workspace_id: Id, run_id: Id, first: int, last: int, now: int) -> None:
    """They wait for their first step."""
    _put(c, workspace_id, run_id, first, last, {recipient.c.due_at: now})


def _written_to(c: Connection, workspace_id: Id, run_id: Id, first: int, last: int, sender_id: Id, at: int) -> None:
    """They were sent their message, and it was delivered: their journeys are over."""
    r, m, sent = recipient.c, message.c, new_id(at)
    journey = {r.stage: int(Stage.DONE), r.outcome: OUTCOMES.index(Outcome.DELIVERED), r.tries: 1, r.flags: TRIED | HANDED}
    _put(c, workspace_id, run_id, first, last, {**journey, r.reached_at: at, r.step_at: at})
    low, high = (run_id[:8] + at.to_bytes(8, "big") for at in (first, last))
    values = {
        m.id: numbered_id(sent, r.number),
        m.workspace_id: workspace_id,
        m.run_id: run_id,
        m.recipient_id: r.id,
        m.step: 0,
        m.attempt: 1,
        m.channel: "twilio_sms",
        m.sender_id: sender_id,
        m.to: r.phone,
        m.content: '{"text": "Hi Ana, see you on 2027-01-01."}',
        m.text: "Hi Ana, see you on 2027-01-01.",
        m.weight: 1,
        m.status: int(Status.DELIVERED),
        m.vendor_id: literal("SM") + cast(r.number, String) + literal("0123456789abcdef01234567"),
        m.started_at: at,
        m.queued_at: at,
        m.sent_at: at,
        m.delivered_at: at,
    }
    insert_from(c, message, values, r.id.between(literal(low, r.id.type), literal(high, r.id.type)))


def insert_from(c: Connection, into: Table, values: dict[Any, Any], *where: ColumnElement[bool]) -> None:
    """Puts in what a SELECT of these values finds."""
    cells = [one if isinstance(one, ColumnElement) else literal(one, column.type) for column, one in values.items()]
    c.execute(insert(into).from_select([column.name for column in values], select(*cells).where(*where)))


async def backlog(campana: Installation, people: int, name: str, written_to: bool = False) -> Id:
    """The run of a campaign with that many people: all waiting, or all written to a day ago."""
    house, db, now = campana.house, campana.house.db, campana.house.clock.now()
    audience_id = new_id(now)
    await db.run(audiences.create, audience_id, campana.workspace_id, name, name, json.dumps(COLUMNS), now)
    first_row = {"number": 1, "cells": json.dumps(row(1)), "phone": row(1)[1], "email": None, "issues": None, "left_out": None}
    await db.run(audiences.add_rows, audience_id, [first_row])
    await db.run(audiences.finish, audience_id, people, people, everybody(people))
    run_id = await launched(campana, audience_id, name)
    while await db.run(wake.enrol, house, now):
        pass  # one person, and it says that all are enrolled
    await db.run(lambda c: c.execute(delete(recipient).where(recipient.c.run_id == run_id)))  # all are put in alike
    sender_id = await db.read(lambda c: c.scalar(select(flow.c.sender_id).where(flow.c.id == flow_id(run_id, 0))))
    for first in range(1, people + 1, AT_ONCE):
        last = min(people, first + AT_ONCE - 1)
        if written_to:
            await db.run(_written_to, campana.workspace_id, run_id, first, last, sender_id, now - DAY)
        else:
            await db.run(_waiting, campana.workspace_id, run_id, first, last, now)
    await db.run(_count, run_id, people, written_to)
    await db.run(lambda c: c.execute(update(run).where(run.c.id == run_id).values(enrolled_through=people)))
    if written_to:
        await db.run(lambda c: c.execute(update(run).where(run.c.id == run_id).values(status="sent", finished_at=now)))
    return run_id


def _count(c: Connection, run_id: Id, people: int, written_to: bool) -> None:
    tally = counters.Tally()
    tally.add(run_id, "outcome:waiting", -1 if written_to else people - 1)  # one was enrolled, and counted
    for key in ("outcome:delivered", "people:sent", "people:delivered") if written_to else ():
        tally.add(run_id, key, people)
    tally.write(c)


def known_to_planner(c: Connection) -> None:
    """The planner knows how big the tables are, as it would after its own housekeeping."""
    c.exec_driver_sql("ANALYZE")
