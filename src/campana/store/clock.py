"""One time for all processes of an installation: the database's, whatever the clock of each machine says."""

from __future__ import annotations

from sqlalchemy import Connection

from campana.clock import boottime
from campana.store.database import Database
from campana.store.dialect import database_clock

SAMPLES = 5


class DatabaseClock:
    """The database's time, read now and then and counted on from there by the time since the machine started.

    Nobody's clock can then be off by a minute: a process that believes a call to have ended long ago would send it again.
    """

    def __init__(self) -> None:
        self._ahead = 0  # microseconds from the time since the machine started to the database's time

    def now(self) -> int:
        return boottime() + self._ahead

    async def set(self, db: Database) -> None:
        """Reads the time anew; wrong by no more than half of the quickest answer took."""
        _, self._ahead = await db.read(_sample)


def _sample(c: Connection) -> tuple[int, int]:
    """How long the quickest of some answers took, and how far the database's time is ahead, in microseconds."""
    samples = []
    for _ in range(SAMPLES):
        before = boottime()
        there = database_clock(c)
        took = boottime() - before
        samples.append((took, there - before - took // 2))
    return min(samples)
