"""The bus of one process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from campana.bus.contract import EVENTS, INGEST, Bus, Full, Parcel
from campana.bus.local import KEPT, LocalBus

LONG = 20.0  # seconds: far away for a test


async def test_a_wake_before_the_waiting_is_not_lost() -> None:
    bus: Bus = LocalBus()
    bus.wake("units")
    bus.wake("units")
    assert await bus.woken("units", LONG)
    assert not await bus.woken("units", 0)


async def test_topics_do_not_wake_each_other() -> None:
    bus = LocalBus()
    bus.wake("units")
    assert not await bus.woken("inbox", 0)
    assert await bus.woken("units", LONG)


async def test_all_who_wait_are_woken() -> None:
    bus = LocalBus()
    waiting = [asyncio.create_task(bus.woken("live", LONG)) for _ in range(3)]
    await asyncio.sleep(0)
    bus.wake("live")
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_a_thread_wakes_the_loop() -> None:
    bus = LocalBus()
    waiting = asyncio.create_task(bus.woken("pump", LONG))
    await asyncio.sleep(0)
    thread = threading.Thread(target=bus.wake, args=("pump",))
    thread.start()
    assert await waiting
    thread.join()


async def test_ingest_goes_to_the_writer_and_is_there_when_put_returns() -> None:
    written: list[bytes] = []

    async def write(bodies: Sequence[bytes]) -> None:
        await asyncio.sleep(0)
        written.extend(bodies)

    bus = LocalBus(write)
    await bus.put(INGEST, "a", b"one")
    assert written == [b"one"]
    assert await bus.woken(INGEST, LONG)
    assert await bus.take(INGEST, 10) == []


async def test_what_the_writer_cannot_keep_is_not_put() -> None:
    async def write(bodies: Sequence[bytes]) -> None:
        raise OSError("the disk is full")

    bus = LocalBus(write)
    with pytest.raises(OSError, match="the disk is full"):
        await bus.put(INGEST, "a", b"one")
    assert not await bus.woken(INGEST, 0)
    with pytest.raises(Full):
        await LocalBus().put(INGEST, "a", b"one")


async def test_other_streams_keep_their_order_and_forget_the_oldest() -> None:
    bus = LocalBus()
    for number in range(KEPT + 2):
        await bus.put(EVENTS, str(number), b"%d" % number)
    assert await bus.take(EVENTS, 2) == [Parcel("2", b"2"), Parcel("3", b"3")]
    assert len(await bus.take(EVENTS, 2 * KEPT)) == KEPT - 2
    assert await bus.take(EVENTS, 1) == []
