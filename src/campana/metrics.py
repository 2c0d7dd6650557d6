"""What one process counts of its own work: plain numbers from its start on, read when somebody asks for them."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CALL_BOUNDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
STORE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """How long things took, up to now: how many were no longer than each bound, and the sum of all."""

    bounds: Sequence[float]
    counts: Sequence[int]  # of each bound alone, and one more for what took longer than the last
    total: float


class Stopwatch:
    """Gathers how long things took."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def took(self, seconds: float) -> None:
        """One more, that took so long."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._total += seconds

    def spread(self) -> Spread:
        """All so far."""
        return Spread(self._bounds, tuple(self._counts), self._total)


class Metrics:
    """Counted by the event loop's thread; only `store_ran` may be called by any."""

    def __init__(self) -> None:
        self.results: Counter[tuple[str, str]] = Counter()  # attempts by channel and result
        self.hooks: Counter[str] = Counter()  # webhooks by what they were answered
        self.stumbles: Counter[str] = Counter()  # errors by wheel
        self._calls: dict[str, Stopwatch] = {}
        self._store = Stopwatch(STORE_BOUNDS)
        self._lock = threading.Lock()

    def called(self, channel: str, results: Iterable[str], seconds: float) -> None:
        """One request to a vendor was answered, or given up, after so long; one result for each attempt in it."""
        for result in results:
            self.results[channel, result] += 1
        calls = self._calls.get(channel)
        if calls is None:
            calls = self._calls[channel] = Stopwatch(CALL_BOUNDS)
        calls.took(seconds)

    def hooked(self, answer: str) -> None:
        """One webhook was taken, refused, or could not be kept."""
        self.hooks[answer] += 1

    def stumbled(self, wheel: str) -> None:
        """A wheel met an error, and goes on."""
        self.stumbles[wheel] += 1

    def store_ran(self, seconds: float) -> None:
        """One writing transaction took so long, from any thread."""
        with self._lock:
            self._store.took(seconds)

    def calls(self) -> dict[str, Spread]:
        """How long requests to vendors took, by channel."""
        return {channel: calls.spread() for channel, calls in self._calls.items()}

    def store(self) -> Spread:
        """How long writing transactions took."""
        with self._lock:
            return self._store.spread()
