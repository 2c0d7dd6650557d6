"""What a vendor has to tell and when: webhooks by time, and those of one message one after the other."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from campana.core.exchange import Request

What = TypeVar("What")


@dataclass(slots=True)
class Webhook:
    """One request of the vendor to us. `key` is the message or inbound it tells of, `step` which receipt, `beside` what else
    it tells."""

    vendor: str
    key: str
    step: int
    request: Request
    timeout: int  # microseconds
    tries: int = 0
    beside: tuple[tuple[str, int], ...] = ()

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """All it tells: keys and steps."""
        return ((self.key, self.step), *self.beside)


class Outbox(Generic[What]):
    """Things to tell, by time. While a webhook for a key is under way, the next one for it waits."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, What | Webhook]] = []  # when, and in which turn it was put: no two are alike
        self._turn = 0
        self._under_way: set[str] = set()
        self._waiting: dict[str, deque[What | Webhook]] = {}

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
        keys = [key for key, _ in webhook.parts]
        if ahead := next((key for key in keys if key in self._under_way), None):
            self.wait(ahead, webhook)
            return False
        self._under_way.update(keys)
        return True

    def busy(self, key: str) -> bool:
        """Whether a webhook for this key is under way."""
        return key in self._under_way

    def wait(self, key: str, what: What | Webhook) -> None:
        """This is told when the webhook under way for that key is through."""
        self._waiting.setdefault(key, deque()).append(what)

    def gather(self, now: int, most: int, fits: Callable[[What | Webhook], bool]) -> list[What | Webhook]:
        """What else is to be told by now and fits, at most so many. The others stay where they are."""
        found: list[What | Webhook] = []
        left: list[tuple[int, int, What | Webhook]] = []
        while self._due and self._due[0][0] <= now and len(found) < most and len(left) <= most:
            entry = heapq.heappop(self._due)
            if fits(entry[2]):
                found.append(entry[2])
            else:
                left.append(entry)
        for entry in left:
            heapq.heappush(self._due, entry)
        return found

    def end(self, webhook: Webhook, now: int) -> None:
        """A webhook under way is through; those behind it take their turn."""
        for key, _ in webhook.parts:
            self._under_way.discard(key)
            if line := self._waiting.get(key):
                self.put(now, line.popleft())
                if not line:
                    del self._waiting[key]
