"""One writer that commits what has gathered, readers on snapshots, and trouble told in a sentence."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from campana.store.database import Database, Priority, StoreTrouble, sqlite_path

ADD = text("INSERT INTO workspace (id, name, created_at) VALUES (:id, :name, 0)")


def add(c: Connection, name: str) -> str:
    c.execute(ADD, {"id": name.encode().ljust(16, b"."), "name": name})
    return name


def names(c: Connection) -> set[str]:
    return set(c.scalars(text("SELECT name FROM workspace")))


def fail(c: Connection, name: str) -> None:
    add(c, name)
    raise ValueError("after writing")


class Gate:
    """Holds the writer, so that jobs gather behind it."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def job(self, c: Connection) -> None:
        self.entered.set()
        self.open.wait()


async def gathered(db: Database) -> tuple[Gate, asyncio.Task[None]]:
    gate = Gate()
    holding = asyncio.create_task(db.run(gate.job))
    await asyncio.to_thread(gate.entered.wait)
    return gate, holding


async def test_a_job_that_fails_leaves_those_beside_it_untouched(db: Database) -> None:
    gate, holding = await gathered(db)
    jobs = [
        asyncio.create_task(job)
        for job in (db.run(add, "a"), db.run(fail, "b"), db.run(add, "c"), db.run(add, "a"), db.run(add, "d"))
    ]
    await asyncio.sleep(0)
    gate.open.set()
    await holding
    results = await asyncio.gather(*jobs, return_exceptions=True)
    kinds = [type(one) for one in results]
    assert kinds[1:3] + kinds[4:] == [ValueError, str, str]
    assert {kinds[0], kinds[3]} == {str, IntegrityError}  # with several writers, either of the same name may be the first
    assert await db.read(names) == {"a", "c", "d"}


async def test_the_caller_hears_of_it_only_when_it_is_committed(db: Database, url: str) -> None:
    other = Database(url)
    try:
        for number in range(20):
            await db.run(add, str(number))
            assert str(number) in await other.read(names)
    finally:
        other.close()


@pytest.mark.sqlite_only  # where there is one writer
async def test_a_caller_behind_the_same_commit_hears_nothing_before_it(db: Database) -> None:
    gate, holding = await gathered(db)
    later = asyncio.create_task(db.run(add, "later"))
    await asyncio.sleep(0)
    assert not later.done()
    assert await db.read(names) == set()
    gate.open.set()
    await asyncio.gather(holding, later)
    assert await db.read(names) == {"later"}


@pytest.mark.sqlite_only  # where there is one writer
async def test_the_urgent_goes_first(db: Database) -> None:
    gate, holding = await gathered(db)
    order: list[str] = []
    jobs = [
        asyncio.create_task(db.at(priority, lambda c, name=priority.name: order.append(name))) for priority in reversed(Priority)
    ]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(holding, *jobs)
    assert order == [priority.name for priority in Priority]


async def test_a_read_sees_one_snapshot_while_others_write(db: Database) -> None:
    looking, written = threading.Event(), threading.Event()

    def twice(c: Connection) -> tuple[set[str], set[str]]:
        first = names(c)
        looking.set()
        written.wait()
        return first, names(c)

    await db.run(add, "before")
    reading = asyncio.create_task(db.read(twice))
    await asyncio.to_thread(looking.wait)
    await db.run(add, "meanwhile")
    written.set()
    assert await reading == ({"before"}, {"before"})


async def test_a_caller_who_gives_up_does_not_undo_what_others_asked_for(db: Database) -> None:
    gate, holding = await gathered(db)
    leaving, staying = asyncio.create_task(db.run(add, "leaving")), asyncio.create_task(db.run(add, "staying"))
    await asyncio.sleep(0)
    leaving.cancel()
    gate.open.set()
    await asyncio.gather(holding, staying)
    assert "staying" in await db.read(names)


async def test_closing_finishes_what_was_asked_for(db: Database, url: str) -> None:
    jobs = [asyncio.create_task(db.run(add, str(number))) for number in range(200)]
    await asyncio.sleep(0)
    await asyncio.to_thread(db.close)
    await asyncio.gather(*jobs)
    with pytest.raises(StoreTrouble, match="closed"):
        await db.run(add, "too late")
    again = Database(url)
    assert len(await again.read(names)) == 200
    again.close()


@pytest.mark.sqlite_only
async def test_a_full_disk_is_told_in_a_sentence_and_loses_nothing(url: str) -> None:
    db = Database(url, max_pages=1)  # SQLite takes the pages there are as the least
    kept: list[str] = []

    async def fill() -> None:
        while True:
            name = f"{len(kept)}".ljust(900, "x")
            await db.run(add, name)
            kept.append(name)

    with pytest.raises(StoreTrouble, match="Free some space"):
        await fill()
    assert await db.read(names) == set(kept)
    db.close()
    roomy = Database(url)
    assert await roomy.read(names) == set(kept)
    await roomy.run(add, "goes on")
    assert "goes on" in await roomy.read(names)
    roomy.close()


@pytest.mark.sqlite_only
async def test_a_full_disk_hurts_only_whom_it_must(url: str) -> None:
    db = Database(url, max_pages=1)
    gate, holding = await gathered(db)
    small = asyncio.create_task(db.run(names))
    big = asyncio.create_task(db.run(add, "y" * 4_000_000))
    await asyncio.sleep(0)
    gate.open.set()
    await holding
    assert await small == set()
    with pytest.raises(StoreTrouble):
        await big
    db.close()


def test_the_file_of_a_url() -> None:
    assert sqlite_path("sqlite:////folder/a.db") == Path("/folder/a.db")
    assert sqlite_path("sqlite://") is None
