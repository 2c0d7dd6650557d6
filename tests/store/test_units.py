"""Cutting, claiming and leases; figures that are folded; and statements that must never look through everybody."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Connection

from campana.core.ids import new_id
from campana.engine.cut import AHEAD_SECONDS, cut
from campana.store import accounts, campaigns, counters, flows, messages, recipients, units
from campana.store.campaigns import RunRow
from campana.store.flows import OpenFlow
from tests.store.conftest import NOW, Begin, a_run, a_sender

SECOND = 1_000_000


def people(count: int) -> list[tuple[str, None]]:
    return [(f"+1212{2_000_000 + number}", None) for number in range(count)]


def enrolled(c: Connection, count: int, **more: Any) -> RunRow:
    run = a_run(c, people(count), **more)
    recipients.enrol(c, run, count, NOW)
    return run


def the_flow(c: Connection, run: RunRow) -> OpenFlow:
    return next(one for one in flows.open_flows(c, NOW) if one.run_id == run.id)


def in_units(c: Connection) -> dict[bytes, int]:
    """People in units, by run."""
    rows = c.exec_driver_sql("SELECT flow.run_id, sum(unit.size) FROM unit JOIN flow ON flow.id = unit.flow_id GROUP BY 1")
    return dict(rows.all())  # type: ignore[arg-type]


def test_a_person_is_in_one_unit_at_a_time(begin: Begin) -> None:
    with begin() as c:
        run = enrolled(c, 10)
        flow = the_flow(c, run)
        assert [units.cut(c, flow, 4, NOW) for _ in range(4)] == [4, 4, 2, 0]
        taken = [units.claim(c, new_id(NOW), NOW, SECOND) for _ in range(3)]
        ids = [one for unit in taken if unit for one in unit.ids(0, unit.size)]
        assert len(ids) == len(set(ids)) == 10


def test_only_what_is_due_is_cut(begin: Begin) -> None:
    with begin() as c:
        run = enrolled(c, 3)
        assert units.cut(c, the_flow(c, run), 10, NOW - 1) == 0
        assert units.cut(c, the_flow(c, run), 10, NOW) == 3


SHARES = [
    ("two alike", [100, 100], [25, 25]),
    ("a small one leaves its rest", [4, 100], [4, 46]),
    ("many", [100, 100, 100, 100, 100], [10, 10, 10, 10, 10]),
    ("one alone", [100], [50]),
]


@pytest.mark.parametrize(("label", "sizes", "shares"), SHARES, ids=[row[0] for row in SHARES])
def test_campaigns_share_what_a_sender_sends_in_some_seconds(
    begin: Begin, label: str, sizes: list[int], shares: list[int]
) -> None:
    with begin() as c:
        sender = a_sender(c, rate=10)
        runs = [enrolled(c, size, senders=[sender]) for size in sizes]
        assert cut(c, NOW) == sum(shares) == min(sum(sizes), 10 * AHEAD_SECONDS)
        assert [in_units(c).get(run.id, 0) for run in runs] == shares
        assert cut(c, NOW) == 0  # until some of it is sent


def test_a_slow_sender_does_not_hold_another_back(begin: Begin) -> None:
    with begin() as c:
        slow, fast = a_sender(c, "slow", 1), a_sender(c, "fast", 100)
        first, second = enrolled(c, 50, senders=[slow]), enrolled(c, 50, senders=[fast])
        accounts.slow_down(c, slow, NOW + 60 * SECOND)
        cut(c, NOW)
        assert in_units(c) == {second.id: 50}
        accounts.pause_sender(c, fast, "why", NOW)
        assert [one.run_id for one in flows.open_flows(c, NOW)] == [first.id]


@pytest.mark.parametrize("status", ["scheduled", "paused", "sent", "ended"])
def test_nothing_is_cut_of_a_run_that_is_not_sending(begin: Begin, status: str) -> None:
    with begin() as c:
        enrolled(c, 5, status=status)
        assert cut(c, NOW) == 0


def test_a_closed_flow_costs_nothing_and_opens_by_itself(begin: Begin) -> None:
    with begin() as c:
        run = enrolled(c, 5)
        flows.close(c, flows.flow_id(run.id, 0), NOW + SECOND, "active hours")
        assert cut(c, NOW) == 0
        assert flows.next_opening(c, NOW) == NOW + SECOND
        assert flows.held(c, run.id, NOW) == [(NOW + SECOND, "active hours")]
        assert cut(c, NOW + SECOND) == 5


def claimed(c: Connection) -> units.Unit:
    enrolled(c, 5)
    cut(c, NOW)
    unit = units.claim(c, new_id(NOW), NOW, SECOND)
    assert unit is not None
    return unit


@pytest.mark.sqlite_only  # elsewhere leases go by the database's clock
def test_a_claimed_unit_is_nobody_elses_until_its_lease_ends(begin: Begin) -> None:
    with begin() as c:
        unit = claimed(c)
        assert units.claim(c, new_id(NOW), NOW, SECOND) is None
        assert units.abandoned(c, NOW + SECOND - 1) == []
        assert units.look(c, unit, NOW + SECOND - 1) is not None
        units.move(c, unit, 0, NOW + SECOND - 1, SECOND + 1)
        assert units.abandoned(c, NOW + SECOND) == []
        assert [one.id for one in units.abandoned(c, NOW + 2 * SECOND)] == [unit.id]


def test_a_lease_that_is_over_or_taken_cannot_be_held_moved_or_released(begin: Begin) -> None:
    with begin() as c:
        unit = claimed(c)
        assert units.look(c, unit, NOW) is not None
        assert units.abandoned(c, NOW) == []
        c.exec_driver_sql("UPDATE unit SET lease_until = 0")
        assert units.look(c, unit, NOW) is None
        assert [one.id for one in units.abandoned(c, NOW)] == [unit.id]
        units.release(c, unit, NOW)
        other = units.claim(c, new_id(NOW), NOW, SECOND)
        assert other is not None
        assert units.look(c, unit, NOW) is None
        units.move(c, unit, 3, NOW, 9 * SECOND)
        units.release(c, unit, NOW)
        found = units.look(c, other, NOW)
        assert found is not None
        assert found.cursor == 0


def test_people_of_a_dissolved_unit_wait_again(begin: Begin) -> None:
    with begin() as c:
        unit = claimed(c)
        units.dissolve(c, unit, 2)
        assert units.next_ready(c) is None
        assert cut(c, NOW) == 3  # the first two had been dealt with


def test_a_unit_is_taken_when_it_is_ready_and_not_before(begin: Begin) -> None:
    with begin() as c:
        unit = claimed(c)
        units.release(c, unit, NOW + SECOND)
        assert units.next_ready(c) == NOW + SECOND
        assert units.claim(c, new_id(NOW), NOW, SECOND) is None
        assert units.claim(c, new_id(NOW), NOW + SECOND, SECOND) is not None


def test_folding_figures_changes_none_of_them(begin: Begin) -> None:
    with begin() as c:
        run = campaigns.get_run(c, a_run(c, people(1)).id)
        assert run is not None
        chance, sums = random.Random(1), dict.fromkeys("abc", 0)
        for _ in range(50):
            tally = counters.Tally()
            for key in sums:
                n = chance.randint(-3, 5)
                tally.add(run.id, key, n)
                sums[key] += n
            tally.write(c)
            if chance.random() < 0.2:
                counters.fold(c, chance.randint(1, 20))
            assert {key: n for key, n in counters.figures(c, [run.id])[run.id].items() if n} == {
                k: n for k, n in sums.items() if n
            }
        while counters.fold(c):
            pass
        assert c.exec_driver_sql("SELECT count(*) FROM counter_delta").scalar() == 0
        assert dict(counters.figures(c, [run.id])[run.id]) == sums


ONE, SOME = b"1" * 16, [b"1" * 16, b"2" * 16]
HOT = [
    ("take what is due", lambda c: c.execute(units.TAKE, {"flow": ONE, "now": NOW, "n": 9, "unit": ONE})),
    ("people by id", lambda c: recipients.load(c, SOME)),
    ("clocks that are due", lambda c: recipients.due_clocks(c, [ONE], NOW, 9)),
    ("next clock or step", lambda c: recipients.next_due(c, [ONE], NOW)),
    ("open people of a run", lambda c: recipients.open_people(c, ONE, 9)),
    ("whether all is over", lambda c: recipients.all_done(c, ONE)),
    ("a page of people", lambda c: recipients.after(c, ONE, 0, 9)),
    ("journeys of a contact", lambda c: recipients.of_contact(c, ONE)),
    ("messages by id", lambda c: messages.load(c, SOME)),
    ("messages of people", lambda c: messages.of_people(c, SOME)),
    ("messages left open", lambda c: messages.open_in_unit(c, ONE)),
    ("messages to ask about", lambda c: messages.take_askable(c, NOW, NOW, 9)),
    ("when to ask next", lambda c: messages.next_ask(c)),
    ("news of a message", lambda c: messages.tell(c, [messages.News(ONE, messages.Status.SENT, NOW)])),
]
SORTED_BY_INDEX = {"take what is due", "clocks that are due", "open people of a run", "a page of people"}
SORTED_BY_INDEX |= {"messages to ask about", "when to ask next"}
OWN_INDEX = {
    "open people of a run": "recipient_open",
    "whether all is over": "recipient_open",
    "messages to ask about": "message_ask",
    "when to ask next": "message_ask",
}
BIG = ("recipient", "message", "audience_row", "address", "decision")


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("label", "work"), HOT, ids=[row[0] for row in HOT])
def test_what_runs_all_the_time_looks_through_no_big_table(begin: Begin, label: str, work: Any) -> None:
    seen: list[str] = []
    with begin() as c:
        driver: Any = c.connection.driver_connection
        driver.set_trace_callback(seen.append)
        work(c)
        driver.set_trace_callback(None)
        plans = [
            (row[3], statement)
            for statement in seen
            if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH"))
            for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
    assert plans
    for plan, statement in plans:
        words = plan.split()
        whole = words[0] == "SCAN" and words[1] in BIG and "INDEX" not in words
        assert not whole, f"{plan}: {statement}"
        assert "TEMP B-TREE" not in plan or label not in SORTED_BY_INDEX, f"{plan}: {statement}"
        searched = words[0] == "SEARCH" and OWN_INDEX.get(label, "") in words
        assert searched or label not in OWN_INDEX, f"{plan}: {statement}"
