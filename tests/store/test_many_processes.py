"""What several processes on one database may do to each other, and texts that a database does not take."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from campana.core.ids import new_id
from campana.engine.cut import cut
from campana.store import accounts, campaigns, contacts, inbox, partitions, recipients, units
from campana.store.database import Database
from tests.store.conftest import NOW, Begin, a_run

SECOND = 1_000_000
MONTHS = ("message_2026_12", "message_2027_01")  # of NOW and after


def test_a_sign_that_no_database_keeps_in_a_text_stops_nothing(begin: Begin) -> None:
    with begin() as c:
        workspace_id = accounts.ensure_workspace(c, "default", NOW)
        inbox.keep_strays(c, workspace_id, "sms", ["before\0after"], NOW)
        kept = c.execute(text("SELECT words FROM stray")).scalar_one()
    assert kept.replace("\0", "") == "beforeafter"


@pytest.mark.postgresql_only
async def test_processes_that_start_together_make_room_for_a_month_once(new_store: Callable[[Path], str], tmp_path: Path) -> None:
    url = new_store(tmp_path)
    stores = [Database(url) for _ in range(4)]
    try:
        await asyncio.gather(*(store.run(partitions.ensure, NOW) for store in stores))
        months = await stores[0].read(lambda c: [bool(c.scalar(partitions.KNOWN, {"name": name})) for name in MONTHS])
    finally:
        for store in stores:
            store.close()
    assert months == [True, True]


@pytest.mark.postgresql_only  # on SQLite one transaction writes at a time
def test_who_waited_for_a_sender_sees_the_finish_that_came_meanwhile(engine: Engine, begin: Begin) -> None:
    with begin() as c:
        run = a_run(c, [("+525510000000", None)])
        sender_id = c.execute(text("SELECT id FROM sender")).scalar_one()
        recipients.enrol(c, run, 10, NOW)
        assert cut(c, NOW) == 1
        unit = units.claim(c, new_id(NOW), NOW, 60 * SECOND)
    assert unit is not None
    seen: list[units.Gates | None] = []
    with engine.connect() as other, other.begin():
        other.execute(text("SELECT 1 FROM sender WHERE id = :id FOR UPDATE"), {"id": sender_id})
        waiting = threading.Thread(target=lambda: seen.append(_look(engine, unit)))
        waiting.start()
        _until_somebody_waits(engine)
        with begin() as c:
            assert campaigns.change_run(c, run.id, ["sending"], status="ended", finished_at=NOW)
    waiting.join()
    assert seen[0] is not None
    assert seen[0].run_status == "ended"


@pytest.mark.postgresql_only
def test_a_person_who_writes_while_they_are_enrolled_stays_one_person(engine: Engine, begin: Begin) -> None:
    names = ["wa_id:525510000000", "phone:+525510000000"]
    with begin() as c:
        run = a_run(c, [("+525510000000", None)])
    found: list[bytes] = []
    with engine.connect() as other, other.begin():
        recipients.enrol(other, run, 10, NOW)
        writing = threading.Thread(target=lambda: found.append(_find(engine, run.workspace_id, names)))
        writing.start()
        _until_somebody_waits(engine)
    writing.join()
    with begin() as c:
        owners = {contacts.find(c, run.workspace_id, [name]) for name in names}
        people = c.execute(text("SELECT id FROM contact")).scalars().all()
    assert owners == set(people) == set(found)


def _find(engine: Engine, workspace_id: bytes, names: list[str]) -> bytes:
    with engine.connect() as c, c.begin():
        return contacts.find_or_make(c, workspace_id, names, NOW)


def _look(engine: Engine, unit: units.Unit) -> units.Gates | None:
    with engine.connect() as c, c.begin():
        return units.look(c, unit, NOW)


def _until_somebody_waits(engine: Engine) -> None:
    waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
    with engine.connect() as c:
        while not c.scalar(waits):
            c.rollback()
