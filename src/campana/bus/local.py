"""The bus of a single process: topics are events of its loop, ingest goes straight to the store."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence

from campana.bus.contract import INGEST, Full, Parcel

KEPT = 10_000  # parcels of a stream; the oldest give way, for they are copies


async def _nobody(bodies: Sequence[bytes]) -> None:
    raise Full("Nothing takes in webhooks on this bus. Give LocalBus a writer.")


class LocalBus:
    """See Bus. What is put into INGEST is durable when `write` returns; all other streams live as long as the process."""

    def __init__(self, write: Callable[[Sequence[bytes]], Awaitable[None]] = _nobody) -> None:
        self._write = write
        self._streams: dict[str, deque[Parcel]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._topics: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._home: tuple[int, asyncio.AbstractEventLoop] | None = None

    async def put(self, stream: str, key: str, body: bytes) -> None:
        """Keeps `body`: in the store for INGEST, else in memory."""
        if stream == INGEST:
            await self._write([body])
        else:
            self._streams[stream].append(Parcel(key, body))
        self.wake(stream)

    async def take(self, stream: str, n: int) -> Sequence[Parcel]:
        """Up to `n` parcels, oldest first. INGEST holds none: they are in the store already."""
        waiting = self._streams[stream]
        return [waiting.popleft() for _ in range(min(n, len(waiting)))]

    def wake(self, topic: str) -> None:
        """Wakes who waits for `topic`, or who will wait next. May be called from any thread."""
        if self._home and self._home[0] != threading.get_ident():
            self._home[1].call_soon_threadsafe(self._topics[topic].set)
        else:
            self._topics[topic].set()

    async def woken(self, topic: str, timeout: float) -> bool:
        """True as soon as `topic` was woken since somebody last waited for it; False after `timeout` seconds."""
        self._home = (threading.get_ident(), asyncio.get_running_loop())
        event = self._topics[topic]
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
        except TimeoutError:
            return False
        event.clear()
        return True
