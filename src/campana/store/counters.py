"""Figures of a run, kept as deltas so that workers never queue for one row; the pump folds them now and then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, func, select, union_all

from campana.core.ids import Id
from campana.core.journey import Outcome
from campana.store.dialect import in_parts, insert_many, upsert
from campana.store.schema import counter, counter_delta

OUTCOMES = tuple(f"outcome:{one}" for one in Outcome)  # each of the people enrolled has one
FAIL = "fail:"  # and channel:code
MINUTE, QUARTER = "minute:", "quarter:"  # and a number: minutes since 1970, and quarters of an hour


def fail_key(channel: str, code: str | None) -> str:
    """The name under which messages of a channel are counted that failed with a code."""
    return f"{FAIL}{channel}:{code}"


def failures(counts: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """How many messages failed, by (channel, code)."""
    told = ((key.removeprefix(FAIL).split(":", 1), n) for key, n in counts.items() if key.startswith(FAIL) and n > 0)
    return {(channel, code): n for (channel, code), n in told}


class Tally:
    """Counts of one transaction, gathered and written once."""

    def __init__(self) -> None:
        self.counts: dict[tuple[Id, str], int] = {}

    def add(self, run_id: Id, key: str, n: int = 1) -> None:
        """`n` more of `key` in that run."""
        key_of_run = (run_id, key)
        self.counts[key_of_run] = self.counts.get(key_of_run, 0) + n

    def write(self, c: Connection) -> None:
        """Appends what was gathered."""
        rows = [{"run_id": run_id, "key": key, "n": n} for (run_id, key), n in self.counts.items() if n]
        insert_many(c, counter_delta, rows)


def fold(c: Connection, at_most: int = 5000) -> int:
    """Adds deltas to the counters. Returns how many deltas it took.

    Minutes are added to their quarter of an hour too: days are summed from those, as every zone's day begins with one.
    """
    oldest = select(counter_delta.c.number).order_by(counter_delta.c.number).limit(at_most).scalar_subquery()
    # Exactly those that are added are removed: on PostgreSQL a lower number may be committed after a higher one.
    taken = delete(counter_delta).where(counter_delta.c.number.in_(oldest))
    rows = c.execute(taken.returning(counter_delta.c.run_id, counter_delta.c.key, counter_delta.c.n)).all()
    if not rows:
        return 0
    sums: Counter[tuple[Id, str]] = Counter()
    for run_id, key, n in rows:
        sums[run_id, key] += n
        if key.startswith(MINUTE):
            sums[run_id, f"{QUARTER}{int(key.removeprefix(MINUTE)) // 15}"] += n
    statement = upsert(c, counter)
    c.execute(
        statement.on_conflict_do_update(index_elements=["run_id", "key"], set_={"n": counter.c.n + statement.excluded.n}),
        [{"run_id": run_id, "key": key, "n": n} for (run_id, key), n in sorted(sums.items())],
    )
    return len(rows)


def figures(c: Connection, run_ids: Iterable[Id]) -> dict[Id, Counter[str]]:
    """All counts of these runs, folded or not: one statement, so that nothing is folded between two of its parts."""
    ids = list(run_ids)
    found: dict[Id, Counter[str]] = {run_id: Counter() for run_id in ids}
    parts = (
        select(table.c.run_id, table.c.key, func.sum(table.c.n))
        .where(table.c.run_id.in_(ids))
        .group_by(table.c.run_id, table.c.key)
        for table in (counter, counter_delta)
    )
    for run_id, key, n in c.execute(union_all(*parts)):
        found[run_id][key] += int(n)
    return found


def figures_named(c: Connection, run_ids: Iterable[Id], keys: Sequence[str]) -> dict[Id, Counter[str]]:
    """The counts of these names of these runs, folded or not; the thousands of minutes that a run has are not looked at."""
    ids = list(run_ids)
    found: dict[Id, Counter[str]] = {run_id: Counter() for run_id in ids}
    for some in in_parts(ids):
        parts = (
            select(table.c.run_id, table.c.key, table.c.n).where(table.c.run_id.in_(some), table.c.key.in_(keys))
            for table in (counter, counter_delta)
        )
        for run_id, key, n in c.execute(union_all(*parts)).all():
            found[run_id][key] += n
    return found


def figures_but_minutes(c: Connection, run_id: Id) -> Counter[str]:
    """All counts of a run, folded or not, but the thousands of its minutes and quarters: the database leaves those out."""
    found: Counter[str] = Counter()
    parts = (
        select(table.c.key, table.c.n).where(
            table.c.run_id == run_id, ~table.c.key.startswith(MINUTE), ~table.c.key.startswith(QUARTER)
        )
        for table in (counter, counter_delta)
    )
    for key, n in c.execute(union_all(*parts)):
        found[key] += n
    return found


def last_minutes(c: Connection, run_id: Id, most: int) -> list[tuple[int, int]]:
    """The messages of each of the last so many minutes in which something was handed over, quiet minutes between them too."""
    of_run = (counter.c.run_id == run_id, counter.c.key.startswith(MINUTE))
    folded = select(counter.c.key, counter.c.n).where(*of_run).order_by(counter.c.key.desc()).limit(most).subquery()
    fresh = select(counter_delta.c.key, counter_delta.c.n)
    fresh = fresh.where(counter_delta.c.run_id == run_id, counter_delta.c.key.startswith(MINUTE))
    handed: Counter[int] = Counter()
    for key, n in c.execute(union_all(select(folded.c.key, folded.c.n), fresh)):
        handed[int(key.removeprefix(MINUTE))] += n
    if not handed:
        return []
    last = max(handed)
    return [(minute, handed[minute]) for minute in range(max(min(handed), last - most + 1), last + 1)]
