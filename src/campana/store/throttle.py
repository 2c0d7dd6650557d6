"""How often something was tried in vain. A try counts before its outcome is known, so that many at once gain nothing."""

from __future__ import annotations

from sqlalchemy import Connection, case, delete, insert, select, update

from campana.core.throttling import FORGOTTEN, Limit, faded
from campana.store.dialect import in_turn
from campana.store.schema import throttle


def attempt(c: Connection, key: str, limit: Limit, now: int) -> int:
    """Counts a try as a failure and returns 0, or returns the moment before which nothing is tried."""
    in_turn(c, f"throttle {key}")
    t = throttle.c
    row = c.execute(select(t.failures, t.since, t.until).where(t.key == key)).first()
    if row is not None and row.until > now:
        return row.until
    known = row is not None and row.since > now - FORGOTTEN
    failures = faded(row.failures, now - max(row.since, row.until)) + 1 if row is not None and known else 1
    c.execute(delete(throttle).where(t.key == key))
    c.execute(insert(throttle).values(key=key, failures=failures, since=now, until=now + limit.delay(failures)))
    return 0


def forgive(c: Connection, key: str) -> None:
    """It was no guess: nothing is held against the key."""
    c.execute(delete(throttle).where(throttle.c.key == key))


def uncount(c: Connection, key: str) -> None:
    """The last try was no guess; those before it still count."""
    t = throttle.c
    left = case((t.failures > 0, t.failures - 1), else_=0)
    c.execute(update(throttle).where(t.key == key).values(failures=left, until=0))


def tidy(c: Connection, now: int) -> None:
    """What was forgiven by time is gone."""
    c.execute(delete(throttle).where(throttle.c.since <= now - FORGOTTEN, throttle.c.until <= now))
