"""What is old is removed, what is young stays, and what a process did not survive is not left lying."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, func, select

from campana.core.ids import new_id
from campana.engine import tidy
from campana.engine.tidy import BATCH, KEPT
from campana.store import audiences, inbox, messages
from campana.store.schema import audience, audience_row, exchange, stray
from tests.engine.world import DAY, World, sms

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
