"""The one clock. Everything else is given `now`: UTC microseconds since 1970, zones only at the rim."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time. The real one cannot be set; a rehearsal brings its own."""

    def now(self) -> int:
        """UTC microseconds since 1970."""
        ...


class SystemClock:
    """The machine's time."""

    def now(self) -> int:
        return time.time_ns() // 1000


class VirtualClock:
    """A clock that stands still until it is moved: rehearsals and tests live by it."""

    def __init__(self, now: int) -> None:
        self.time = now

    def now(self) -> int:
        return self.time

    def advance_to(self, moment: int) -> None:
        """Moves on to `moment`; never back."""
        self.time = max(self.time, moment)


def boottime() -> int:
    """Microseconds since the machine started, sleep included: leases and deadlines of this process live by it."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1000
