"""How long a journey waits for things. All of them pass through one scale, so that a demo lives a week in seconds."""

from __future__ import annotations

from dataclasses import dataclass

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Durations:
    """Microseconds of journey time, divided by `scale`. Leases and pace are real time and do not pass here."""

    scale: float = 1.0

    def of(self, microseconds: float) -> int:
        """That much journey time, as the clock will show it; at least one microsecond."""
        return max(1, int(microseconds / self.scale))
