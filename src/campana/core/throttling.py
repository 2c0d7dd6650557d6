"""How long somebody waits who guesses: not at all at first, then twice as long each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from campana.core.durations import DAY, HOUR, MINUTE, SECOND

FORGOTTEN = DAY  # failures count together when there is no more than this between them


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries are free; after that each failure makes the next try wait, up to `longest`."""

    free: int
    longest: int

    def delay(self, failures: int) -> int:
        """How long nothing is tried after so many failures."""
        if failures < self.free:
            return 0
        return min(self.longest, SECOND << min(failures - self.free, 30))


def faded(failures: int, idle: int) -> int:
    """How many failures still count when nothing was tried for so long though it could be: half of them after each hour."""
    return failures >> min(idle // HOUR, 30) if idle > 0 else failures


class Wait(NamedTuple):
    """Somebody has tried too often: how long they wait, and until when."""

    seconds: int
    until: int

    @classmethod
    def read(cls, until: int, now: int) -> Wait | None:
        """The wait until a moment; None when it is over, or there was none."""
        return cls(-(-(until - now) // SECOND), until) if until > now else None


PER_GUESSER = Limit(free=5, longest=5 * MINUTE)  # from one address for one account
PER_EMAIL = Limit(free=5, longest=30 * SECOND)  # from anywhere: so short that nobody keeps another out
PER_CODE = Limit(free=5, longest=15 * MINUTE)
PER_ADDRESS = Limit(free=20, longest=15 * MINUTE)  # many people may share one
PER_LETTER = Limit(free=3, longest=60 * MINUTE)  # mails to one person that they did not ask for
