"""On PostgreSQL messages lie in a partition a month, by their ids: what is old is dropped whole, and indexes stay small."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, text

from campana.core.ids import Id, first_id
from campana.store.dialect import in_turn, is_postgresql

KNOWN = text("SELECT to_regclass(:name) IS NOT NULL")
STRAYED = text("SELECT EXISTS (SELECT FROM message_default WHERE id >= :first AND id < :last)")


def month_of(now: int) -> tuple[int, int]:
    """The year and month of a moment."""
    day = datetime.fromtimestamp(now / 1_000_000, UTC)
    return day.year, day.month


def following(month: tuple[int, int]) -> tuple[int, int]:
    """The month after it."""
    year, number = month
    return (year + 1, 1) if number == 12 else (year, number + 1)


def bounds(month: tuple[int, int]) -> tuple[Id, Id]:
    """The first id of the month, and the first of the next."""
    first, last = (datetime(*one, 1, tzinfo=UTC) for one in (month, following(month)))
    return first_id(int(first.timestamp()) * 1_000_000), first_id(int(last.timestamp()) * 1_000_000)


def ensure(c: Connection, now: int) -> int:
    """There are partitions for this month and the next. Returns how many were made.

    Messages that came before theirs was made lie in the default one, and their month has none then.
    """
    if not is_postgresql(c):
        return 0
    this = month_of(now)
    return sum(_make(c, month) for month in (this, following(this)))


def _make(c: Connection, month: tuple[int, int]) -> int:
    name = f"message_{month[0]}_{month[1]:02d}"
    first, last = bounds(month)
    if c.scalar(KNOWN, {"name": name}):
        return 0
    in_turn(c, "partitions")
    if c.scalar(KNOWN, {"name": name}) or c.scalar(STRAYED, {"first": first, "last": last}):
        return 0
    c.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF message FOR VALUES FROM ('\\x{first.hex()}') TO ('\\x{last.hex()}')"
    )
    return 1
