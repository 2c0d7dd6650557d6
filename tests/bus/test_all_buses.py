"""What every bus does, in one process or in many: the same stories on LocalBus, one NATS server, and three."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from campana.bus.contract import Bus, Parcel
from tests.bus.conftest import Place

LONG = 20.0  # seconds: far away for a test


async def take(bus: Bus, stream: str, n: int, at_once: int = 100) -> list[Parcel]:
    """Takes until there are `n`."""
    found: list[Parcel] = []
    async with asyncio.timeout(LONG):
        while len(found) < n:
            found += await bus.take(stream, min(at_once, n - len(found)))
            await asyncio.sleep(0)
    return found


async def reached(what: Callable[[], bool]) -> None:
    """Returns when something is so that nobody can be asked to tell."""
    async with asyncio.timeout(LONG):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def put(bus: Bus, stream: str, keys: Sequence[str]) -> None:
    for key in keys:
        await bus.put(stream, key, f"body of {key}".encode())


async def test_what_is_put_is_taken_in_its_order_and_held_until_it_is_done(place: Place) -> None:
    bus = await place.bus()
    keys = [f"k{number}" for number in range(7)]
    await put(bus, place.stream, keys)
    assert await bus.held(place.stream) == 7
    found = await take(bus, place.stream, 7, at_once=3)
    assert found == [Parcel(key, f"body of {key}".encode()) for key in keys]
    assert await bus.held(place.stream) == 7
    await bus.done(found)
    assert await bus.held(place.stream) == 0
    assert await bus.take(place.stream, 5) == []
    assert (bus.lost, bus.wiped) == (0, 0)


async def test_the_same_key_twice_is_the_same_thing(place: Place) -> None:
    bus, other = await place.bus(), await place.bus()
    await put(bus, place.stream, ["a", "b"])
    await put(other, place.stream, ["a", "c"])
    assert [parcel.key for parcel in await take(bus, place.stream, 3)] == ["a", "b", "c"]
    assert await bus.held(place.stream) == 3


async def test_what_is_not_done_is_handed_out_again_and_what_is_done_never(place: Place) -> None:
    place.again = 1.5
    bus, other = await place.bus(), await place.bus()
    await put(bus, place.stream, ["a", "b", "c", "d"])
    first = await take(bus, place.stream, 4)
    await bus.done([first[0], first[2]])
    again = await take(other, place.stream, 2)
    assert sorted(parcel.key for parcel in again) == ["b", "d"]
    await other.done(again)
    await put(other, place.stream, ["e"])
    assert [parcel.key for parcel in await take(bus, place.stream, 1)] == ["e"]
    assert await bus.held(place.stream) == 1


async def test_takers_share_what_there_is(place: Place) -> None:
    buses = [await place.bus() for _ in range(3)]
    keys = [f"k{number}" for number in range(300)]
    await asyncio.gather(*(buses[0].put(place.stream, key, b"x") for key in keys))
    seen: Counter[str] = Counter()

    async def work(bus: Bus) -> None:
        while len(seen) < len(keys):
            found = await bus.take(place.stream, 20)
            seen.update(parcel.key for parcel in found)
            await bus.done(found)
            await asyncio.sleep(0)

    async with asyncio.timeout(LONG):
        await asyncio.gather(*map(work, buses))
    assert set(seen) == set(keys)
    assert await buses[1].held(place.stream) == 0


async def test_nothing_done_is_nothing(place: Place) -> None:
    bus = await place.bus()
    await bus.done([])
    assert await bus.take(place.stream, 10) == []


async def test_a_wake_is_heard_here_at_once_also_by_who_waits_later(place: Place) -> None:
    bus = await place.bus()
    bus.wake("units")
    bus.wake("units")
    assert await bus.woken("units", 0.0)
    assert not await bus.woken("units", 0.0)
    waiting = asyncio.create_task(bus.woken("pump", LONG))
    await asyncio.sleep(0)
    thread = threading.Thread(target=bus.wake, args=("pump",))
    thread.start()
    assert await waiting
    thread.join()


async def test_what_is_put_wakes_who_takes(place: Place) -> None:
    bus, other = await place.bus(), await place.bus()
    waiting = asyncio.create_task(other.woken(place.stream, LONG))
    await asyncio.sleep(0)
    await put(bus, place.stream, ["a"])
    assert await waiting
