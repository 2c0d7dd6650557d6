"""A backlog that is there in seconds: people who wait, and people who were written to before, put in by a few statements."""

from __future__ import annotations

import json

from sqlalchemy import Connection, Integer, String, Table, cast, func, insert, literal, select, update

from bench.people import COLUMNS, launched, row
from campana.core.ids import Id, new_id
from campana.core.journey import OUTCOMES, Outcome, Stage
from campana.core.message import Status
from campana.engine import wake
from campana.store import audiences, counters
from campana.store.dialect import numbered_id
from campana.store.flows import flow_id
from campana.store.recipients import HANDED, TRIED
from campana.store.schema import flow, message, metadata, recipient, run
from campana.wiring import Installation

AT_ONCE = 250_000
DAY = 86_400_000_000


def _waiting(c: Connection, workspace_id: Id, run_id: Id, first: int, last: int, now: int) -> None:
    """People with these numbers wait for their first step."""
    numbers = select(literal(first, Integer).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < last))
    i = numbers.c.i
    cells = literal('["Ana ') + cast(i, String) + literal('", "+5255') + cast(10_000_000 + i, String)
    people = select(
        numbered_id(run_id, i),
        literal(workspace_id, recipient.c.id.type),
        literal(run_id, recipient.c.id.type),
        i,
        numbered_id(workspace_id, i),
        literal("+5255") + cast(10_000_000 + i, String),
        cells + literal('", "2027-01-01", "Home 1G"]'),
        literal(flow_id(run_id, 0), recipient.c.id.type),
        literal(now, recipient.c.due_at.type),
    )
    names = ["id", "workspace_id", "run_id", "number", "contact_id", "phone", "cells", "flow_id", "due_at"]
    c.execute(insert(recipient).from_select(names, people))


def _written_to(c: Connection, run_id: Id, sender_id: Id, first: int, last: int, at: int) -> None:
    """These people of the run were sent their message, and it was delivered: their journeys are over."""
    r, ids = recipient.c, recipient.c.id.type
    theirs = (r.id >= run_id[:8] + first.to_bytes(8, "big"), r.id <= run_id[:8] + last.to_bytes(8, "big"))
    stamp = literal(at, r.due_at.type)
    message_id = numbered_id(new_id(at), r.number)
    sent = select(
        message_id,
        r.workspace_id,
        r.run_id,
        r.id,
        literal(0),
        literal(1),
        literal("twilio_sms"),
        literal(sender_id, ids),
        r.phone,
        literal('{"text": "Hi Ana, see you on 2027-01-01."}'),
        literal("Hi Ana, see you on 2027-01-01."),
        literal(1),
        literal(int(Status.DELIVERED)),
        literal("SM") + cast(r.number, String) + literal("0123456789abcdef01234567"),
        stamp,
        stamp,
        stamp,
        stamp,
    ).where(*theirs)
    names = ["id", "workspace_id", "run_id", "recipient_id", "step", "attempt", "channel", "sender_id", "to", "content", "text"]
    names += ["weight", "status", "vendor_id", "started_at", "queued_at", "sent_at", "delivered_at"]
    c.execute(insert(message).from_select(names, sent))
    over = {"stage": int(Stage.DONE), "due_at": None, "outcome": OUTCOMES.index(Outcome.DELIVERED), "tries": 1}
    c.execute(update(recipient).where(*theirs).values(**over, reached_at=at, message_id=message_id, flags=TRIED | HANDED))


async def backlog(campana: Installation, people: int, name: str, written_to: bool = False) -> Id:
    """The run of a campaign with that many people: all waiting, or all written to a day ago."""
    house, db, now = campana.house, campana.house.db, campana.house.clock.now()
    audience_id = new_id(now)
    await db.run(audiences.create, audience_id, campana.workspace_id, name, name, json.dumps(COLUMNS), now)
    first_row = {"number": 1, "cells": json.dumps(row(1)), "phone": row(1)[1], "email": None, "issues": None, "left_out": None}
    await db.run(audiences.add_rows, audience_id, [first_row])
    await db.run(audiences.finish, audience_id, people, people, "{}")
    run_id = await launched(campana, audience_id, name)
    while await db.run(wake.enrol, house, now):
        pass  # one person, and it says that all are enrolled
    sender_id = await db.read(lambda c: c.scalar(select(flow.c.sender_id).where(flow.c.id == flow_id(run_id, 0))))
    for first in range(1, people + 1, AT_ONCE):
        last = min(people, first + AT_ONCE - 1)
        if last > 1:
            await db.run(_waiting, campana.workspace_id, run_id, max(2, first), last, now)
        if written_to:
            await db.run(_written_to, run_id, sender_id, first, last, now - DAY)
    await db.run(_count, run_id, people, written_to)
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


def big_tables(c: Connection, at_least: int) -> list[Table]:
    """Tables with so many rows."""
    return [one for one in metadata.sorted_tables if (c.scalar(select(func.count()).select_from(one)) or 0) >= at_least]
