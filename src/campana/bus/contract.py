"""What carries news between the parts: copies and hints. Whoever hears nothing looks for itself; a lost hint costs only time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

INGEST = "ingest"  # webhooks as they arrived, on their way to the store
EVENTS = "events"  # what happened, for live pages and outgoing webhooks


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing put into a stream. The same key twice is the same thing."""

    key: str
    body: bytes


class Full(RuntimeError):
    """The stream takes nothing more for now: the sender must come again later."""


class Bus(Protocol):
    """Streams that keep what is put into them, and topics that only wake."""

    async def put(self, stream: str, key: str, body: bytes) -> None:
        """Keeps `body` as durably as the stream promises, then returns; raises Full when it cannot."""
        ...

    async def take(self, stream: str, n: int) -> Sequence[Parcel]:
        """Up to `n` of what waits in the stream, oldest first; empty when nothing does."""
        ...

    def wake(self, topic: str) -> None:
        """Tells whoever waits for `topic`, or else the next one who will, that there is something to do."""
        ...

    async def woken(self, topic: str, timeout: float) -> bool:
        """Returns when `topic` was woken, or False after `timeout` seconds."""
        ...
