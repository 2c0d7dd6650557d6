"""The bus of a single process: topics are events of its loop, ingest goes straight to the store."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence

from campana.bus.contract import INGEST, Full, Parcel
from campana.bus.topics import Topics

KEPT = 10_000  # parcels of a stream; the oldest give way, for they are copies
AGAIN = 10.0  # seconds until what was taken and not done is handed out again


async def _nobody(bodies: Sequence[bytes]) -> None:
    raise Full("Nothing takes in webhooks on this bus. Give LocalBus a writer.")


class _Stream:
    """Parcels in memory: those that wait, those that somebody has taken, and the keys that were put before."""

    def __init__(self) -> None:
        self.waiting: deque[Parcel] = deque(maxlen=KEPT)
        self.taken: dict[str, tuple[Parcel, float]] = {}  # and when it is handed out again; the first one first
        self.keys: dict[str, None] = {}

    def put(self, parcel: Parcel) -> None:
        if parcel.key not in self.keys:
            self.keys[parcel.key] = None
            self.waiting.append(parcel)
        if len(self.keys) > KEPT:
            del self.keys[next(iter(self.keys))]

    def take(self, n: int, now: float, again: float) -> list[Parcel]:
        overdue = [parcel for parcel, until in self.taken.values() if until <= now][:n]
        found = overdue + [self.waiting.popleft() for _ in range(min(n - len(overdue), len(self.waiting)))]
        for parcel in found:
            self.taken.pop(parcel.key, None)
            self.taken[parcel.key] = (parcel, now + again)
        return found


class LocalBus:
    """See Bus. What is put into INGEST is durable when `write` returns; all other streams live as long as the process."""

    lost = 0  # INGEST holds nothing, so nothing can be lost from it
    wiped = 0

    def __init__(self, write: Callable[[Sequence[bytes]], Awaitable[None]] = _nobody, *, again: float = AGAIN) -> None:
        self._write, self._again = write, again
        self._streams: dict[str, _Stream] = defaultdict(_Stream)
        self._topics = Topics()

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """Forgets all parcels."""
        self._streams.clear()

    async def put(self, stream: str, key: str, body: bytes) -> None:
        """Keeps `body`: in the store for INGEST, else in memory."""
        if stream == INGEST:
            await self._write([body])
        else:
            self._streams[stream].put(Parcel(key, body, stream))
        self.wake(stream)

    async def take(self, stream: str, n: int) -> Sequence[Parcel]:
        """Up to `n` parcels, oldest first. INGEST holds none: they are in the store already."""
        return self._streams[stream].take(n, time.monotonic(), self._again)

    async def done(self, parcels: Sequence[Parcel]) -> None:
        """These are not handed out again."""
        for parcel in parcels:
            self._streams[parcel.mark].taken.pop(parcel.key, None)

    async def held(self, stream: str) -> int:
        """How many parcels wait or are in somebody's hand."""
        return len(self._streams[stream].waiting) + len(self._streams[stream].taken)

    def wake(self, topic: str) -> None:
        """Wakes who waits for `topic`, or who will wait next. May be called from any thread."""
        self._topics.wake(topic)

    async def woken(self, topic: str, timeout: float) -> bool:
        """True as soon as `topic` was woken since somebody last waited for it; False after `timeout` seconds."""
        return await self._topics.woken(topic, timeout)
