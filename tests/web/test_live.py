"""Live pages: what is read, drawn and sent, and when nothing is."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from campana.web.live import BEAT, Live, Topic, message, named


class Source:
    """A value that changes when told, and counts how often it is read."""

    def __init__(self) -> None:
        self.value: int | None = 1
        self.reads = self.draws = self.waits = 0
        self.fault: Exception | None = None
        self.moved, self.asked = asyncio.Event(), asyncio.Event()
        self.topic = Topic("source", self.read)

    async def read(self) -> int | None:
        self.reads += 1
        if self.fault:
            raise self.fault
        return self.value

    def draw(self, value: int) -> bytes:
        self.draws += 1
        return f"data: {value}\n\n".encode()

    def set(self, value: int | None) -> None:
        self.value = value
        self.moved.set()

    async def changed(self, seconds: float) -> None:
        self.waits += 1
        self.asked.set()
        await self.moved.wait()
        self.moved.clear()


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def live(source):
    return Live(source.changed, tick=0)


async def settled(source: Source) -> None:
    """Returns when the turning task waits for the next change."""
    source.asked.clear()
    source.moved.set()
    await source.asked.wait()
    for _ in range(10):
        await asyncio.sleep(0)


async def test_without_viewers_nothing_is_read_and_nothing_waits(live, source):
    async with aclosing(live.watch(source.topic, "en", source.draw)) as events:
        assert await anext(events) == b"data: 1\n\n"
    for _ in range(10):
        await asyncio.sleep(0)
    reads, waits = source.reads, source.waits
    source.set(2)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (source.reads, source.waits, live.viewers) == (reads, waits, 0)
    assert len(asyncio.all_tasks()) == 1


async def test_viewers_share_one_reading_and_one_drawing(live, source):
    streams = [live.watch(source.topic, "en", source.draw) for _ in range(20)]
    assert {await anext(stream) for stream in streams} == {b"data: 1\n\n"}
    draws = source.draws
    source.set(2)
    assert {await anext(stream) for stream in streams} == {b"data: 2\n\n"}
    assert (draws, source.draws, live.viewers) == (1, 2, 20)
    for stream in streams:
        await stream.aclose()


async def test_each_view_is_drawn_by_itself_from_the_same_reading(live, source):
    english = live.watch(source.topic, "en", lambda value: b"en %d" % value)
    spanish = live.watch(source.topic, "es", lambda value: b"es %d" % value)
    assert (await anext(english), await anext(spanish)) == (b"en 1", b"es 1")
    await settled(source)
    reads = source.reads
    source.set(2)
    assert (await anext(english), await anext(spanish)) == (b"en 2", b"es 2")
    assert source.reads == reads + 1
    await english.aclose()
    await spanish.aclose()


async def test_a_slow_viewer_gets_the_newest_and_nothing_twice(live, source):
    events = live.watch(source.topic, "en", source.draw)
    await anext(events)
    for value in (2, 3, 3, 4):
        source.value = value
        await settled(source)
    assert await anext(events) == b"data: 4\n\n"
    following = asyncio.ensure_future(anext(events))
    await settled(source)
    assert not following.done()
    source.set(5)
    assert await following == b"data: 5\n\n"
    await events.aclose()


async def test_a_failed_reading_leaves_the_frame_standing_and_is_tried_again(live, source):
    events = live.watch(source.topic, "en", source.draw)
    await anext(events)
    source.fault = OSError("the disk is gone")
    await settled(source)
    source.fault = None
    source.set(2)
    assert await anext(events) == b"data: 2\n\n"
    await events.aclose()


async def test_what_is_gone_is_not_drawn(live, source):
    events = live.watch(source.topic, "en", source.draw)
    await anext(events)
    source.value = None
    await settled(source)
    assert source.draws == 1
    await events.aclose()


async def test_a_quiet_stream_has_a_heartbeat(source):
    live = Live(source.changed, tick=0, beat=0.001)
    events = live.watch(source.topic, "en", source.draw)
    first = [await anext(events) for _ in range(3)]
    assert first[-1] == BEAT
    await events.aclose()


async def test_stopping_ends_every_stream(live, source):
    streams = [live.watch(source.topic, view, source.draw) for view in ("en", "es")]
    for stream in streams:
        await anext(stream)
    waiting = [asyncio.ensure_future(anext(stream, None)) for stream in streams]
    live.stop()
    assert await asyncio.gather(*waiting) == [None, None]
    assert live.viewers == 0


def test_events_are_written_as_the_standard_says():
    assert message("<p>\n\n one</p>") == b"data: <p>\ndata:  one</p>\n\n"
    assert named("stats", '{"a":1}') == b'event: stats\ndata: {"a":1}\n\n'
