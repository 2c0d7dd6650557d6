"""What a vendor has to tell and when: webhooks by time, and those of one message one after the other."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from campana.core.exchange import Request

What = TypeVar("What")


@dataclass(slots=True)
class Webhook:
    """One request of the vendor to us. `key` is the message or inbound it tells of, `step` which receipt."""

    vendor: str
    key: str
    step: int
    request: Request
    timeout: int  # microseconds
    tries: int = 0


class Outbox(Generic[What]):
    """Things to tell, by time. While a webhook for a key is under way, the next one for it waits."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, What | Webhook]] = []  # when, and in which turn it was put: no two are alike
        self._turn = 0
        self._under_way: set[str] = set()
        self._waiting: dict[str, deque[Webhook]] = {}

    def __len__(self) -> int:
        return len(self._due) + len(self._under_way) + sum(map(len, self._waiting.values()))

    def put(self, at: int, what: What | Webhook) -> None:
        """At that moment this is to be told."""
        self._turn += 1
        heapq.heappush(self._due, (at, self._turn, what))

    def next(self) -> int | None:
        """When the next thing is to be told."""
        return self._due[0][0] if self._due else None

    def pop(self, now: int) -> What | Webhook | None:
        """The earliest of what is to be told by now."""
        return heapq.heappop(self._due)[2] if self._due and self._due[0][0] <= now else None

    def start(self, webhook: Webhook) -> bool:
        """True when this webhook may go out; otherwise it waits for the one before it."""
        if webhook.key in self._under_way:
            self._waiting.setdefault(webhook.key, deque()).append(webhook)
            return False
        self._under_way.add(webhook.key)
        return True

    def end(self, key: str, now: int) -> None:
        """The webhook under way for this key is through; the one behind it takes its turn."""
        self._under_way.discard(key)
        if line := self._waiting.get(key):
            self.put(now, line.popleft())
            if not line:
                del self._waiting[key]
