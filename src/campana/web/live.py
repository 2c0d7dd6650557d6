"""Live pages: each topic is read once, each view of it drawn once, and the frame is shared by all who watch.

While nobody watches, nothing is read and nothing waits. A frame is whole, never a difference, so a reader who was away or
slow just gets the newest one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import structlog

BEAT = b"event: beat\ndata: .\n\n"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Topic:
    """Something to watch. `read` fetches it whole; None means that it is gone."""

    key: Hashable
    read: Callable[[], Awaitable[Any]] = field(compare=False)


@dataclass(slots=True)
class _Frame:
    """The newest drawing of a topic in one view."""

    draw: Callable[[Any], bytes]
    body: bytes = b""
    number: int = 0
    viewers: int = 0
    turned: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, body: bytes) -> None:
        """Hands a new drawing to all who watch; the same one again is nothing new."""
        if body != self.body:
            self.body, self.number = body, self.number + 1
            self.wake()

    def wake(self) -> None:
        """Lets everybody who waits look again."""
        done, self.turned = self.turned, asyncio.Event()
        done.set()


@dataclass(slots=True)
class _Watched:
    topic: Topic
    value: Any = None
    frames: dict[Hashable, _Frame] = field(default_factory=dict)


class Live:
    """The streams of one process. `changed(seconds)` returns when something changed, or after that time."""

    def __init__(
        self, changed: Callable[[float], Awaitable[object]], *, tick: float = 1.0, idle: float = 5.0, beat: float = 15.0
    ) -> None:
        self._changed, self._tick, self._idle, self._beat = changed, tick, idle, beat
        self._watched: dict[Hashable, _Watched] = {}
        self._stirred = asyncio.Event()
        self._turning: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return sum(frame.viewers for watched in self._watched.values() for frame in watched.frames.values())

    def stop(self) -> None:
        """Ends every stream, so that a server that waits for its answers can stop."""
        self._stopped = True
        if self._turning is not None:
            self._turning.cancel()
        for watched in self._watched.values():
            for frame in watched.frames.values():
                frame.wake()

    async def watch(self, topic: Topic, view: Hashable, draw: Callable[[Any], bytes]) -> AsyncIterator[bytes]:
        """Server-sent events of one viewer: a frame at once, one after each change, and a heartbeat in between."""
        frame, seen = self._join(topic, view, draw), 0
        try:
            while not self._stopped:
                if frame.number != seen:
                    seen = frame.number
                    yield frame.body
                    continue
                try:
                    async with asyncio.timeout(self._beat):
                        await frame.turned.wait()
                except TimeoutError:
                    yield BEAT
        finally:
            self._leave(topic, view)

    def _join(self, topic: Topic, view: Hashable, draw: Callable[[Any], bytes]) -> _Frame:
        watched = self._watched.setdefault(topic.key, _Watched(topic))
        frame = watched.frames.setdefault(view, _Frame(draw))
        frame.viewers += 1
        self._stirred.set()
        if self._turning is None or self._turning.done():
            self._turning = asyncio.create_task(self._turn())
        return frame

    def _leave(self, topic: Topic, view: Hashable) -> None:
        watched = self._watched[topic.key]
        watched.frames[view].viewers -= 1
        if not watched.frames[view].viewers:
            del watched.frames[view]
        if not watched.frames:
            del self._watched[topic.key]
        self._stirred.set()

    async def _turn(self) -> None:
        """Reads and draws while somebody watches: after each change, and no more than once a tick."""
        while self._watched and not self._stopped:
            self._stirred.clear()
            # Asked before the reading, so that what changes during it is not missed.
            waiting = [asyncio.ensure_future(self._changed(self._idle)), asyncio.ensure_future(self._stirred.wait())]
            try:
                for watched in list(self._watched.values()):
                    await self._refresh(watched)
                await asyncio.sleep(self._tick)
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waiting:
                    each.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)

    async def _refresh(self, watched: _Watched) -> None:
        """Reads one topic, and draws what is new to whom. A failed reading leaves the last frame standing."""
        try:
            value = await watched.topic.read()
            fresh, watched.value = value != watched.value, value
            for frame in list(watched.frames.values()):
                if value is not None and (fresh or not frame.number):
                    frame.show(frame.draw(value))
        except Exception:
            log.exception("a live page could not be drawn", topic=str(watched.topic.key))


def message(html: str) -> bytes:
    """An unnamed server-sent event: fragments that the page morphs in."""
    return b"".join(b"data: " + line.encode() + b"\n" for line in html.splitlines() if line.strip()) + b"\n"


def named(event: str, data: str) -> bytes:
    """A server-sent event with a name, its data on one line."""
    return f"event: {event}\ndata: {data}\n\n".encode()
