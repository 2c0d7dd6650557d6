"""Figures of a run, kept as deltas so that workers never queue for one row; the pump folds them now and then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, insert, select

from campana.core.ids import Id
from campana.store.dialect import run_many, upsert
from campana.store.schema import counter, counter_delta


class Tally:
    """Counts of one transaction, gathered and written once."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[Id, str]] = Counter()

    def add(self, run_id: Id, key: str, n: int = 1) -> None:
        """`n` more of `key` in that run."""
        self.counts[run_id, key] += n

    def write(self, c: Connection) -> None:
        """Appends what was gathered."""
        rows = [{"run_id": run_id, "key": key, "n": n} for (run_id, key), n in self.counts.items() if n]
        run_many(c, "delta", insert(counter_delta), rows)


def fold(c: Connection, at_most: int = 5000) -> int:
    """Adds deltas to the counters. Returns how many deltas it took."""
    rows = c.execute(select(counter_delta).order_by(counter_delta.c.number).limit(at_most)).all()
    if not rows:
        return 0
    sums: Counter[tuple[Id, str]] = Counter()
    for row in rows:
        sums[row.run_id, row.key] += row.n
    statement = upsert(c, counter)
    c.execute(
        statement.on_conflict_do_update(index_elements=["run_id", "key"], set_={"n": counter.c.n + statement.excluded.n}),
        [{"run_id": run_id, "key": key, "n": n} for (run_id, key), n in sums.items()],
    )
    c.execute(delete(counter_delta).where(counter_delta.c.number <= rows[-1].number))
    return len(rows)


def figures(c: Connection, run_ids: Iterable[Id]) -> dict[Id, Counter[str]]:
    """All counts of these runs, folded or not."""
    ids = list(run_ids)
    found: dict[Id, Counter[str]] = {run_id: Counter() for run_id in ids}
    for table in (counter, counter_delta):
        rows = c.execute(
            select(table.c.run_id, table.c.key, func.sum(table.c.n))
            .where(table.c.run_id.in_(ids))
            .group_by(table.c.run_id, table.c.key)
        )
        for run_id, key, n in rows:
            found[run_id][key] += int(n)
    return found
