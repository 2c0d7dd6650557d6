"""What is old is removed, what is young stays, and what a process did not survive is not left lying."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import Connection, func, select

from campana.core.ids import new_id
from campana.engine import tidy
from campana.engine.tidy import BATCH, KEPT
from campana.store import audiences, inbox, messages, uploads
from campana.store.schema import audience, audience_row, exchange, stray, upload
from tests.engine.world import DAY, SECOND, World, sms

WORKSPACE = b"w" * 16


def count(c: Connection) -> list[int]:
    return [c.scalar(select(func.count()).select_from(table)) or 0 for table in (exchange, stray)]


async def test_what_is_older_than_a_month_goes_and_the_rest_stays(world: World) -> None:
    young, old = BATCH + 3, 2 * BATCH + 3  # more than one go

    def write(c: Connection, many: int, now: int) -> None:
        strays = ["something"] * many
        inbox.keep_strays(c, WORKSPACE, "sms", strays, now)
        messages.record_exchanges(c, [(WORKSPACE, b"m" * 16, "request", "answer")] * many, now)

    await world.house.db.run(write, old, world.clock.now())
    await world.play(days=1)
    await world.house.db.run(write, young, world.clock.now())
    await world.play()
    assert await world.house.db.read(count) == [old + young, old + young]
    await world.play(days=KEPT / DAY - 0.5)
    await world.play()
    assert await world.house.db.read(count) == [young, young]
    await world.play(days=1)
    await world.play()
    assert await world.house.db.read(count) == [0, 0]


def begin_audience(c: Connection, now: int) -> None:
    """An audience of nine rows so far."""
    half = new_id(now)
    audiences.create(c, half, WORKSPACE, "people.csv", "", "[]", now)
    row = {"cells": "[]", "phone": None, "email": None, "issues": None, "left_out": None}
    audiences.add_rows(c, half, [{"number": number, **row} for number in range(1, 10)])


def left(c: Connection) -> list[int]:
    return [c.scalar(select(func.count()).select_from(table)) or 0 for table in (audience, audience_row)]


@pytest.mark.sqlite_only  # where one process is all there is: elsewhere another may be reading still
async def test_an_audience_that_was_not_read_to_its_end_is_gone_with_the_next_start(world: World) -> None:
    run = await world.launch(sms())
    await world.house.db.run(begin_audience, world.clock.now())
    assert await world.house.db.read(left) == [2, 10]
    await world.restart()
    assert await world.house.db.read(left) == [1, 1]
    await world.play(minutes=1)
    assert await world.status(run) == "sent"


@pytest.mark.both_databases
async def test_an_audience_that_is_not_read_to_its_end_in_time_is_gone(world: World) -> None:
    await world.launch(sms())
    began = world.clock.now()
    await world.house.db.run(begin_audience, began)
    await tidy.discard_unfinished(world.house, began)
    assert await world.house.db.read(left) == [2, 10]  # it may be read still
    await tidy.discard_unfinished(world.house, began + 1)
    assert await world.house.db.read(left) == [1, 1]


def begin_upload(c: Connection, now: int, pieces: int) -> bytes:
    """A file whose sender is gone before it was whole."""
    begun = new_id(now)
    uploads.add(c, begun, 0, [b"name,phone"] * pieces)
    return begun


def pieces_left(c: Connection) -> int:
    return c.scalar(select(func.count()).select_from(upload)) or 0


@pytest.mark.both_databases
async def test_a_file_that_no_audience_was_read_from_in_time_is_gone_and_the_others_stay(world: World) -> None:
    db, began = world.house.db, world.clock.now()
    await db.run(begin_upload, began, 2 * uploads.BATCH + 1)
    read = await db.run(begin_upload, began, 3)
    audience_id = new_id(began)
    await db.run(audiences.create, audience_id, WORKSPACE, "people.csv", "", "[]", began + 2 * SECOND, "{}", read)
    await tidy.discard_unfinished(world.house, began)
    assert await db.read(pieces_left) == 2 * uploads.BATCH + 4  # it may still come
    await tidy.discard_unfinished(world.house, began + SECOND)
    assert await db.read(pieces_left) == 3


@pytest.mark.both_databases
async def test_a_file_is_removed_with_the_last_audience_read_from_it_a_batch_at_a_time(world: World) -> None:
    db, now = world.house.db, world.clock.now()
    read = await db.run(begin_upload, now, uploads.BATCH + 1)
    first, second = new_id(now), new_id(now)
    for one in (first, second):
        await db.run(audiences.create, one, WORKSPACE, "people.csv", "", "[]", now, "{}", read)
    assert not await db.run(audiences.discard, first)
    assert await db.read(pieces_left) == uploads.BATCH + 1
    assert await db.run(audiences.discard, second)
    assert await db.read(pieces_left) == 1
    assert await db.run(audiences.discard, second)
    assert not await db.run(audiences.discard, second)
    assert await db.read(left) == [0, 0]


@pytest.mark.sqlite_only  # where one process is all there is: elsewhere only those a day old are surely nobody's
async def test_files_that_a_killed_process_was_reading_are_gone_with_the_next_start(world: World) -> None:
    folder = world.folder / "readings"
    folder.mkdir(exist_ok=True)
    (folder / "reading-abc").write_bytes(b"name,phone")
    await world.restart()
    assert list(folder.iterdir()) == []


async def test_files_of_other_processes_are_gone_when_they_are_a_day_old(world: World) -> None:
    folder = world.folder / "readings"
    folder.mkdir(exist_ok=True)
    for name in ("reading-old", "reading-new"):
        (folder / name).write_bytes(b"name,phone")
    os.utime(folder / "reading-old", (0, 0))
    world.installation.readings.forget_others()
    assert [path.name for path in folder.iterdir()] == ["reading-new"]
