"""How the databases go about what the wheels ask of them, among 200,000 people who wait and as many who were written to before.

Whatever statement a wheel runs is heard as it goes to the driver, and its plan is looked at afterwards: a new statement cannot
hide. Small tables may be read from end to end; a big one is found by an index, and nothing sorts a backlog.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Integer, event, insert, literal, select, text, update

from bench.backlog import backlog
from bench.people import installation
from bench.sink import sink
from campana.core.durations import HOUR
from campana.core.ids import Id, new_id
from campana.engine import launch, receive, reconcile, recover, wake
from campana.engine.send import send_unit
from campana.engine.start import start
from campana.engine.worker import claim, house_keeping, next_moment, pump
from campana.store import campaigns, health, inbox, messages, progress
from campana.store.dialect import numbered_id
from campana.store.schema import inbox as inbox_table
from campana.store.schema import unit
from campana.web.gateway import HookRow
from campana.wiring import Installation
from tests.conftest import NewStore

PEOPLE = 200_000
HOOKS = 50_000
BIG = 10_000  # rows
PACE = 10_000.0
DAY = 24 * HOUR
PLANNING = 50.0  # what the server takes its own planning for, at most: a prepared plan that is dearer by more is not used
FEW = 5_000  # rows that may be sorted: no more than the wheels ask for at once
# On SQLite: what a search may be by when its rows are sorted afterwards, because no more than a handful share it.
NARROW = re.compile(
    r"\((id|rowid|unit_id|recipient_id|contact_id|vendor_id)=\?|\(workspace_id=\? AND (contact_id|kind=\? AND value)=\?"
)
WHOLE = re.compile(r"SCAN (\w+)(?! USING)")
WALKED = re.compile(r"SCAN (\w+) USING (?:COVERING )?INDEX")
SAID = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@dataclass
class Heard:
    """Statements as they went to the driver, each with the parameters it was first heard with."""

    statements: dict[str, Any] = field(default_factory=dict)

    def hear(self, c: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.lstrip().upper().startswith(SAID):
            self.statements.setdefault(statement, parameters[0] if many else parameters)


@contextlib.contextmanager
def heard() -> Iterator[Heard]:
    """Hears all stores that are opened meanwhile."""
    found = Heard()
    event.listen(Engine, "before_cursor_execute", found.hear)
    yield found
    event.remove(Engine, "before_cursor_execute", found.hear)


def fill_inbox(c: Connection, now: int) -> None:
    """Webhooks that nobody has understood yet."""
    numbers = select(literal(1, Integer).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < HOOKS))
    words = [literal(one) for one in ("sms", "POST", "http://x/hooks/sms", "{}")]
    at = inbox_table.c
    body = literal(b"MessageSid=SM0&MessageStatus=delivered", at.body.type)
    rows = select(numbered_id(new_id(now), numbers.c.i), *words, body, literal(now, at.at.type))
    c.execute(insert(inbox_table).from_select(["id", "integration", "method", "url", "headers", "body", "at"], rows))


async def filled(campana: Installation) -> Id:
    """A house in the middle of its work; the planner knows how big its tables are."""
    db = campana.house.db
    await backlog(campana, PEOPLE, "history", written_to=True)
    run_id = await backlog(campana, PEOPLE, "bench")
    await db.run(fill_inbox, campana.house.clock.now())
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE")
    return run_id


async def every_wheel(campana: Installation, run_id: Id) -> None:
    """Each wheel has had work of its kind, by the functions that the worker turns."""
    house, db, now = campana.house, campana.house.db, campana.house.clock.now
    assert await pump(house) > 0, "nobody was cut"
    for _ in range(2):
        sending = await db.run(claim, house, now())
        assert sending is not None
        assert await send_unit(house, sending) == sending.size
    told = await db.read(messages.of_people, sending.ids(0, 300))
    hooks = [hook(f"m={row.id.hex()}", f"MessageSid={row.vendor_id}&MessageStatus=delivered", at) for at, row in enumerate(told)]
    hooks += [hook("", f"MessageSid={told[0].vendor_id}&MessageStatus=read&To=%2B{told[0].to[1:]}", 1000)]
    hooks += [
        hook("", f"MessageSid=SM{at}&From=%2B{told[at].to[1:]}&Body={word}", 2000 + at)
        for at, word in enumerate(("hello", "STOP"))
    ]
    await db.run(inbox.put, hooks)
    while (await db.read(lambda c: c.scalar(select(inbox_table.c.at).order_by(inbox_table.c.id).limit(1)))) < DAY:
        assert await receive.receive_all(house) > 0
    lost = await db.run(claim, house, now())
    assert lost is not None
    assert (await db.run(start, house, lost, now())).started
    await db.run(lambda c: c.execute(update(unit).where(unit.c.id == lost.id).values(lease_until=0)))
    assert await db.run(recover.recover, house, now()) == 1
    assert await db.run(wake.deadlines, house, now() + 3 * DAY) > 0, "no receipt was overdue"
    await reconcile.reconcile(house)
    await db.run(house_keeping, house, now())
    await db.read(next_moment, now())
    await db.read(health.figures, now())
    await db.read(messages.by_vendor_id, campana.workspace_id, told[0].vendor_id)
    run = await db.read(campaigns.get_run, run_id)
    assert run is not None
    shown = await db.read(progress.progress, campana.workspace_id, run.campaign_id, now())
    assert shown is not None
    assert shown.queues, "nobody stands in line"
    assert await db.run(launch.finish, run_id, now())
    assert await db.run(wake.sweep, house, now()) > 0, "nobody was left when the run was ended"


def hook(query: str, body: str, at: int) -> HookRow:
    """A webhook that is older than all others."""
    return HookRow(new_id(at), "sms", "POST", f"http://x/hooks/sms?{query}", {}, body.encode(), at)


def flaws_on_sqlite(c: Connection, statement: str, parameters: Any, big: set[str]) -> list[str]:
    """What is wrong with the way SQLite goes."""
    steps = [row.detail for row in c.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    first_ones = "LIMIT" in statement and "WHERE" not in statement
    found = [step for step in steps if (whole := WHOLE.match(step)) and whole[1] in big]
    found += [step for step in steps if (walked := WALKED.match(step)) and walked[1] in big and not first_ones]
    searches = [step for step in steps if step.startswith("SEARCH") and step.split()[1] in big]
    if any(step.startswith("USE TEMP B-TREE FOR") and "ORDER BY" in step for step in steps):
        found += [f"sorts {step}" for step in searches if not NARROW.search(step)]
    return found


def flaws_on_postgresql(c: Connection, statement: str, parameters: Any, big: set[str]) -> list[str]:
    """What is wrong with the way PostgreSQL goes, with these values and, where that seems as cheap to it, without any."""
    (plan,) = c.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    found = list(_flaws(plan["Plan"], big))
    if c.dialect.server_version_info >= (16,):  # type: ignore[operator]
        prepared = _without_values(c, statement)
        if prepared["Total Cost"] <= plan["Plan"]["Total Cost"] + PLANNING:
            found += [f"{flaw}, prepared" for flaw in _flaws(prepared, big)]
    return found


def _without_values(c: Connection, statement: str) -> dict[str, Any]:
    """The plan of a statement that is prepared once and for all."""
    numbers: dict[str, str] = {}

    def numbered(said: re.Match[str]) -> str:
        return numbers.setdefault(said[1] or str(len(numbers)), f"${len(numbers) + 1}")

    with contextlib.closing(c.connection.cursor()) as cursor:
        words = re.sub(r"%(?:\((\w+)\))?[sb]", numbered, statement).replace("%%", "%")
        cursor.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {words}".encode())
        found: dict[str, Any] = cursor.fetchone()[0][0]["Plan"]
        return found


def _flaws(top: dict[str, Any], big: set[str]) -> Iterator[str]:
    left = [("", top)]
    while left:
        above, node = left.pop()
        left += [(node["Node Type"], one) for one in node.get("Plans", ())]
        first_ones = above == "Limit" and "Filter" not in node
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in big and not first_ones:
            yield f"reads all of {node['Relation Name']}"
        if node["Node Type"] in ("Sort", "Incremental Sort") and node["Plans"][0]["Plan Rows"] > FEW:
            yield f"sorts {node['Plans'][0]['Plan Rows']} rows"


def big_tables(c: Connection) -> set[str]:
    """Tables whose rows are many here; on PostgreSQL they may be partitions. On SQLite also those that grow with the years."""
    if c.dialect.name == "sqlite":
        return {"recipient", "message", "inbox", "decision", "exchange", "inbound", "address", "contact", "audience_row"}
    return set(c.execute(text("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > :big"), {"big": BIG}).scalars())


async def test_no_wheel_reads_a_big_table_or_sorts_a_backlog(tmp_path: Path, new_store: NewStore) -> None:
    with sink() as vendor, heard() as said:
        async with installation(new_store(tmp_path), tmp_path, vendor.url, PACE) as campana:
            run_id = await filled(campana)
            said.statements.clear()
            await every_wheel(campana, run_id)
            asked = dict(said.statements)
            with campana.house.db.engine.connect() as c:
                big = big_tables(c)
                assert any(one.startswith("message") for one in big), big
                assert {"recipient", "inbox"} <= big
                look = flaws_on_sqlite if c.dialect.name == "sqlite" else flaws_on_postgresql
                flaws = {statement: found for statement, values in asked.items() if (found := look(c, statement, values, big))}
    assert len(asked) > 50, "fewer statements than the wheels have"
    assert not flaws, "\n\n".join(f"{'; '.join(found)}\n  {statement[-1500:]}" for statement, found in flaws.items())


@pytest.mark.parametrize("asked", ["whole", "sorted"])
async def test_a_statement_that_does_is_found(asked: str, tmp_path: Path, new_store: NewStore) -> None:
    bad = {
        "whole": "SELECT count(*) FROM inbox WHERE url = 'x'",
        "sorted": "SELECT id FROM inbox WHERE id > '' ORDER BY at LIMIT 10",
    }
    async with installation(new_store(tmp_path), tmp_path) as campana:
        db = campana.house.db
        await db.run(fill_inbox, 0)
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
            c.exec_driver_sql("ANALYZE")
            look = flaws_on_sqlite if c.dialect.name == "sqlite" else flaws_on_postgresql
            assert look(c, bad[asked], (), big_tables(c))
