"""Something to look back at: one campaign with very many people and five times as many messages, put in by a few statements.

Most were reached; some failed by one code or another, some answered, of a few nobody knows. Beside it lie small campaigns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, cast, func, insert, literal, select, update

from bench.backlog import backlog, insert_from, known_to_planner
from bench.people import COLUMNS, everybody, launched, row
from campana.core.campaign import Plan
from campana.core.ids import Id, new_id
from campana.core.journey import OUTCOMES, Outcome
from campana.core.message import Status
from campana.engine.house import House
from campana.store import audiences, counters, flows
from campana.store.dialect import numbered_id
from campana.store.schema import address, audience_row, contact, decision, inbound, message, recipient, run, sender
from campana.wiring import Installation

ATTEMPTS = 5
AT_ONCE = 100_000
HOUR = 3_600_000_000
# Every so many people: what became of them. The rarest come last.
OUTCOME_OF = {
    Outcome.REPLIED: 9,
    Outcome.UNREACHED: 40,
    Outcome.OPTED_OUT: 211,
    Outcome.UNKNOWN: 30_011,
    Outcome.SKIPPED: 190_027,
}
CODE_OF = {"30003": 31, "30005": 97, "21610": 1_009, "30034": 100_003}  # every so many messages: which code they failed with


async def archive(campana: Installation, people: int, others: int = 300) -> Id:
    """The run with all of it, over since a while; `others` small campaigns came before and after it."""
    db, now = campana.house.db, campana.house.clock.now()
    for at in range(others // 2):
        await _small(campana, f"Before {at}", at)
    run_id = await backlog(campana, people, "Archive", written_to=True)
    await db.run(_more_steps, campana.house, campana.workspace_id, run_id)
    for first in range(1, people + 1, AT_ONCE):
        last = min(people, first + AT_ONCE - 1)
        await db.run(_known_people, campana.workspace_id, run_id, first, last, now)
        for step in range(1, ATTEMPTS):
            await db.run(_more_messages, run_id, first, last, step, now)
    await db.run(_what_became_of_them, campana.workspace_id, run_id, people, now)
    for at in range(others - others // 2):
        await _small(campana, f"After {at}", at)
    await db.run(known_to_planner)
    return run_id


def _span(run_id: Id, first: int, last: int) -> ColumnElement[bool]:
    """The people of a run with these numbers."""
    low, high = (literal(run_id[:8] + at.to_bytes(8, "big"), recipient.c.id.type) for at in (first, last))
    return recipient.c.id.between(low, high)


def _more_steps(c: Connection, house: House, workspace_id: Id, run_id: Id) -> None:
    """A plan of five steps: a primary, three fallbacks, a follow-up."""
    plan = Plan.model_validate_json(c.scalar(select(run.c.plan).where(run.c.id == run_id)) or "")
    kinds = ("primary", "fallback", "fallback", "fallback", "follow_up")
    steps = tuple(plan.steps[0].model_copy(update={"kind": kind}) for kind in kinds)
    c.execute(update(run).where(run.c.id == run_id).values(plan=plan.model_copy(update={"steps": steps}).model_dump_json()))
    flows.ensure(c, workspace_id, run_id, [bytes.fromhex(step.sender) for step in steps])
    house.plans.pop(run_id, None)


def _known_people(c: Connection, workspace_id: Id, run_id: Id, first: int, last: int, now: int) -> None:
    """They are contacts with a phone, and rows of the audience that the file was."""
    r, a = recipient.c, audience_row.c
    span, audience_id = _span(run_id, first, last), c.scalar(select(run.c.audience_id).where(run.c.id == run_id))
    known = {contact.c.id: r.contact_id, contact.c.workspace_id: workspace_id, contact.c.created_at: now}
    insert_from(c, contact, known, span)
    told = {address.c.workspace_id: workspace_id, address.c.kind: "phone", address.c.value: r.phone}
    insert_from(c, address, {**told, address.c.contact_id: r.contact_id}, span, r.number > 1)  # the first was enrolled in earnest
    rows: dict[Any, Any] = {a.audience_id: audience_id, a.number: r.number, a.cells: r.cells, a.phone: r.phone}
    insert_from(c, audience_row, rows, span, r.number > 1)


def _more_messages(c: Connection, run_id: Id, first: int, last: int, step: int, now: int) -> None:
    """One more attempt for each, as the first one was, an hour later."""
    m, sent = message.c, new_id(now - 24 * HOUR + step * HOUR)
    changed: dict[str, Any] = {
        "id": numbered_id(sent, recipient.c.number),
        "step": literal(step),
        "vendor_id": m.vendor_id + literal(str(step)),
    }
    names = [one.name for one in message.columns]
    found: list[Any] = [changed.get(name, m[name]) for name in names]
    joined = select(*found).join(recipient, recipient.c.id == m.recipient_id)
    c.execute(insert(message).from_select(names, joined.where(_span(run_id, first, last), m.run_id == run_id, m.step == 0)))


def _every(number: Any, so_many: int) -> Any:
    return cast(number, Integer) % so_many == 0


def _what_became_of_them(c: Connection, workspace_id: Id, run_id: Id, people: int, now: int) -> None:
    """Some answered, some failed; the figures say the same."""
    r, m, tally = recipient.c, message.c, counters.Tally()
    of_run = _span(run_id, 1, people)
    for outcome, so_many in OUTCOME_OF.items():
        changed = c.execute(update(recipient).where(of_run, _every(r.number, so_many)).values(outcome=OUTCOMES.index(outcome)))
        tally.add(run_id, f"outcome:{outcome}", changed.rowcount)
        tally.add(run_id, "outcome:delivered", -changed.rowcount)
    for code, so_many in CODE_OF.items():
        theirs = select(r.id).where(of_run, _every(r.number, so_many))
        state = {"status": int(Status.UNDELIVERED), "code": code, "undelivered_at": now, "delivered_at": None}
        failed = c.execute(update(message).where(m.run_id == run_id, m.recipient_id.in_(theirs)).values(state))
        tally.add(run_id, f"fail:twilio_sms:{code}", failed.rowcount)
        tally.add(run_id, "step:0:failed", failed.rowcount)
    unknown = m.recipient_id.in_(select(r.id).where(of_run, _every(r.number, OUTCOME_OF[Outcome.UNKNOWN])))
    c.execute(update(message).where(m.run_id == run_id, unknown, m.step == ATTEMPTS - 1).values(status=int(Status.UNKNOWN)))
    for step in range(ATTEMPTS):
        tally.add(run_id, f"step:{step}:sent", people)
        tally.add(run_id, f"step:{step}:delivered", people - people // 20)
    tally.write(c)
    _what_was_noted(c, workspace_id, run_id, of_run, now)


def _what_was_noted(c: Connection, workspace_id: Id, run_id: Id, of_run: ColumnElement[bool], now: int) -> None:
    """Decisions and replies."""
    r, d, i = recipient.c, decision.c, inbound.c
    told = {d.workspace_id: workspace_id, d.run_id: run_id, d.recipient_id: r.id, d.at: now, d.kind: "fallback", d.step: 1}
    decided = {d.id: numbered_id(new_id(now), r.number), **told, d.reason: "no receipt in time"}
    insert_from(c, decision, decided, of_run, _every(r.number, 40))
    account = c.scalar(select(sender.c.integration_id).limit(1))
    said = {i.workspace_id: workspace_id, i.integration_id: account, i.vendor_id: func.lower(r.phone), i.contact_id: r.contact_id}
    heard = {i.id: numbered_id(new_id(now), r.number), **said, i.recipient_id: r.id, i.medium: "sms", i.kind: "text"}
    insert_from(c, inbound, {**heard, i.text: "yes", i.at: now}, of_run, _every(r.number, OUTCOME_OF[Outcome.REPLIED]))


async def _small(campana: Installation, name: str, at: int) -> None:
    """A campaign of some people that is over, with figures as of a long evening."""
    db, now = campana.house.db, campana.house.clock.now()
    audience_id = new_id(now)
    first = {"number": 1, "cells": json.dumps(row(1)), "phone": row(1)[1], "email": None, "issues": None, "left_out": None}
    await db.run(audiences.create, audience_id, campana.workspace_id, name, name, json.dumps(COLUMNS), now)
    await db.run(audiences.add_rows, audience_id, [first])
    await db.run(audiences.finish, audience_id, 100, 100, everybody(100))
    run_id = await launched(campana, audience_id, name)
    figures: Mapping[str, int] = {"outcome:delivered": 90, "outcome:unreached": 10, "people:sent": 95, "people:delivered": 90}
    figures = {**figures, "step:0:sent": 95, "step:0:delivered": 90, "step:0:failed": 10, "fail:twilio_sms:30003": 10}

    def over(c: Connection) -> None:
        c.execute(update(run).where(run.c.id == run_id).values(status="sent", enrolled=True, finished_at=now, offered=100))
        tally = counters.Tally()
        for key, n in figures.items():
            tally.add(run_id, key, n)
        for minute in range(120):
            tally.add(run_id, f"minute:{now // 60_000_000 - 300 * at - minute}", 1)
        tally.write(c)
        counters.fold(c, 100_000)

    await db.run(over)
