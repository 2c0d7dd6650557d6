"""What carries news between the parts: copies and hints. Whoever hears nothing looks for itself; a lost hint costs only time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

INGEST = "ingest"  # webhooks as they arrived, on their way to the store
EVENTS = "events"  # what happened, for live pages and outgoing webhooks
LIVE = "live"  # the topic that live pages wait for


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing put into a stream. The same key twice is the same thing."""

    key: str
    body: bytes
    mark: Any = field(default=None, compare=False, repr=False)  # by which its bus knows it again


class Full(RuntimeError):
    """The stream takes nothing more for now: the sender must come again later."""


class Away(RuntimeError):
    """The bus cannot be reached. What was put may or may not be kept: the sender must come again later."""


class Bus(Protocol):
    """Streams that keep what is put into them, and topics that only wake."""

    async def start(self) -> None:
        """Connects and makes the streams. A bus that cannot be reached yet is tried again by itself."""
        ...

    async def close(self) -> None:
        """Lets go of everything; who still waits for a topic waits in vain."""
        ...

    async def put(self, stream: str, key: str, body: bytes) -> None:
        """Keeps `body` as durably as the stream promises, then returns; raises Full or Away when it cannot."""
        ...

    async def take(self, stream: str, n: int) -> Sequence[Parcel]:
        """Up to `n` of what waits in the stream, oldest first; empty when nothing does, or the bus is away.

        A parcel is handed to one taker; what is not `done` after a while is handed out again.
        """
        ...

    async def done(self, parcels: Sequence[Parcel]) -> None:
        """These are never handed out again, but for one whose bus died at this moment. Never raises."""
        ...

    async def held(self, stream: str) -> int:
        """How many parcels of the stream are not done; raises Away."""
        ...

    def wake(self, topic: str) -> None:
        """Tells whoever waits for `topic`, or else the next one who will, that there is work. Never waits or raises."""
        ...

    async def woken(self, topic: str, timeout: float) -> bool:
        """Returns when `topic` was woken, or False after `timeout` seconds."""
        ...

    @property
    def lost(self) -> int:
        """How many parcels this process put into INGEST that were gone before they were done."""
        ...

    @property
    def wiped(self) -> int:
        """How often this process saw that INGEST had lost everything."""
        ...
