"""What the store says of its own state, on a real one: right, bounded, and by index."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, text, update

from campana.core.ids import new_id
from campana.core.message import Status
from campana.store import counters, flows, health, units
from campana.store.schema import flow, inbox, message, recipient, sender, unit
from tests.store.conftest import NOW, Begin, a_run, a_sender

SECOND = 1_000_000
PEOPLE = [(f"+1212200{number:04d}", None) for number in range(6)]


def enrolled(c: Connection, run_id: bytes, since: int) -> list[bytes]:
    """People of a run whose turn came so many microseconds ago, each a second after the one before."""
    run = c.execute(select(flow.c.workspace_id).where(flow.c.run_id == run_id)).first()
    assert run is not None
    rows = [
        {
            "id": new_id(NOW),
            "workspace_id": run.workspace_id,
            "run_id": run_id,
            "number": number,
            "contact_id": new_id(NOW),
            "phone": phone,
            "cells": "[]",
            "flow_id": flows.flow_id(run_id, 0),
            "due_at": NOW - since + number * SECOND,
        }
        for number, (phone, _) in enumerate(PEOPLE)
    ]
    c.execute(insert(recipient), rows)
    return [row["id"] for row in rows]  # type: ignore[misc]


def a_message(run_id: bytes, status: Status, ask_at: int | None) -> dict[str, object]:
    """A message's row, as far as it matters here."""
    ids = {name: new_id(NOW) for name in ("id", "workspace_id", "recipient_id", "sender_id")}
    facts = {"run_id": run_id, "step": 0, "attempt": 1, "channel": "sms", "to": "+12122000000", "content": "{}", "text": "Hi"}
    return {**ids, **facts, "weight": 1, "status": int(status), "started_at": NOW, "ask_at": ask_at}


def test_an_empty_store_has_nothing_to_tell(begin: Begin) -> None:
    with begin() as c:
        found = health.figures(c, NOW)
    assert (found.due, found.oldest_due, found.hooks, found.oldest_hook, list(found.senders)) == (0, 0.0, 0, 0.0, [])


def test_who_is_due_counts_until_they_are_cut_and_only_behind_open_gates(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, PEOPLE)
        enrolled(c, run.id, 3 * SECOND)  # three of them have been due for 3, 2 and 1 seconds, one is due now
        found = health.figures(c, NOW)
        assert (found.due, found.oldest_due) == (4, 3.0)
        (open_flow,) = flows.open_flows(c, NOW)
        assert units.cut(c, open_flow, 1, NOW) == 1
        found = health.figures(c, NOW)
        assert (found.due, found.oldest_due, found.units_ready) == (3, 2.0, 1)
        flows.close(c, flows.flow_id(run.id, 0), NOW + SECOND, "active hours")
        found = health.figures(c, NOW)
        assert (found.due, found.oldest_due, found.flows_held) == (0, 0.0, 1)


def test_counting_ends_where_it_says(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MOST", 2)
    with begin() as c:
        enrolled(c, a_run(c, PEOPLE).id, 10 * SECOND)
        assert health.figures(c, NOW).due == 2


def test_units_are_told_apart_by_who_holds_them(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, PEOPLE)
        enrolled(c, run.id, 10 * SECOND)
        (open_flow,) = flows.open_flows(c, NOW)
        for _ in range(4):
            units.cut(c, open_flow, 1, NOW)
        assert units.claim(c, new_id(NOW), NOW, SECOND)
        held = units.claim(c, new_id(NOW), NOW, SECOND)
        assert held
        c.execute(update(unit).where(unit.c.id == held.id).values(lease_until=0))
        found = health.figures(c, NOW)
    assert (found.units_ready, found.units_in_hands, found.units_lease_over) == (2, 1, 1)


def test_what_nobody_knows_is_counted(begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, PEOPLE)
        rows = [
            a_message(run.id, Status.UNCERTAIN, NOW),
            a_message(run.id, Status.UNCERTAIN, NOW + SECOND),
            a_message(run.id, Status.QUEUED, NOW),
            a_message(run.id, Status.UNKNOWN, None),
        ]
        c.execute(insert(message), rows)
        tally = counters.Tally()
        tally.add(run.id, "messages:unknown", 3)
        tally.add(run.id, "outcome:unknown", 2)
        tally.add(run.id, "outcome:delivered", 7)
        tally.write(c)
        counters.fold(c)
        found = health.figures(c, NOW)
    assert (found.uncertain, found.unknown_messages, found.unknown_people) == (2, 3, 2)


def test_webhooks_that_wait_and_the_age_of_the_first(begin: Begin) -> None:
    with begin() as c:
        for age in (9, 4):
            row = {"id": new_id(NOW - age * SECOND), "at": NOW - age * SECOND, "integration": "sms", "method": "POST"}
            c.execute(insert(inbox).values(**row, url="https://x.test", headers="{}", body=b""))
        found = health.figures(c, NOW)
    assert (found.hooks, found.oldest_hook) == (2, 9.0)


def test_how_far_each_sender_is_ahead(begin: Begin) -> None:
    with begin() as c:
        for name, tat, paused_at in (("busy", NOW + SECOND // 4, None), ("idle", NOW - SECOND, NOW)):
            found_id = a_sender(c, name)
            c.execute(update(sender).where(sender.c.id == found_id).values(tat=tat, paused_at=paused_at))
        found = {one.name: (one.workspace, one.ahead, one.paused) for one in health.figures(c, NOW).senders}
    assert found == {"busy": ("default", 0.25, False), "idle": ("default", 0.0, True)}


def test_no_big_table_is_read_from_end_to_end(begin: Begin) -> None:
    said: list[tuple[str, Any]] = []
    with begin() as c:
        enrolled(c, a_run(c, PEOPLE).id, 10 * SECOND)
        event.listen(c, "before_cursor_execute", lambda _, __, words, values, *___: said.append((words, values)))
        health.figures(c, NOW)
        asked = [one for one in said if one[0].startswith("SELECT")]
        if c.dialect.name == "sqlite":
            plans = [row[3] for words, values in asked for row in c.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values)]
        else:
            c.exec_driver_sql("SET LOCAL enable_seqscan = off")  # six people are read faster from end to end; millions are not
            plans = [row[0].strip() for words, values in asked for row in c.exec_driver_sql(f"EXPLAIN {words}", values)]
    assert any("recipient_due" in step for step in plans)
    assert any("message_ask" in step or "status_ask_at_idx" in step for step in plans)  # a partition's index has its own name
    scans = [step for step in plans if step.startswith(("SCAN", "Seq Scan", "->  Seq Scan"))]
    assert [step for step in scans if "recipient" in step or "message" in step] == []


def test_a_schema_of_another_version_is_no_place_to_work(begin: Begin) -> None:
    with begin() as c:
        assert health.unready(c) is None
        c.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        said = health.unready(c)
    assert said is not None
    assert "schema 9999" in said
