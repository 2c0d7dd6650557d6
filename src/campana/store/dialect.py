"""What the databases we run on say differently, and how one statement is run for many rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
Ready = tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]  # the words, and what brings a row into their order
_READY: dict[tuple[Any, ...], Ready] = {}


def upsert(c: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can be told what to do when the row is already there."""
    return postgresql.insert(table) if c.dialect.name == "postgresql" else sqlite.insert(table)


def in_parts(values: Iterable[T], size: int = 500) -> Iterator[list[T]]:
    """The values in lists that fit into one IN."""
    left = list(values)
    for at in range(0, len(left), size):
        yield left[at : at + size]


def run_many(c: Connection, name: str, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Runs one statement for many rows of the same keys, handing the values to the driver as they are.

    It is compiled once for a `name` and the keys of its rows; our column types convert nothing, so that the rows need no
    further treatment: this is a third of the cost of a message.
    """
    if not rows:
        return
    keys = tuple(rows[0])
    ready = _READY.get((c.dialect.name, name, keys))
    if ready is None:
        ready = _READY[c.dialect.name, name, keys] = _compile(c, statement, keys)
    words, in_order = ready
    c.exec_driver_sql(words, [in_order(row) for row in rows])


def _compile(c: Connection, statement: Executable, keys: Sequence[str]) -> Ready:
    compiled = statement.compile(dialect=c.dialect, column_keys=list(keys))  # type: ignore[attr-defined]
    order = compiled.positiontup
    fixed = {key: value for key, value in compiled.params.items() if key not in keys}
    if not fixed and len(order) > 1:
        return str(compiled), itemgetter(*order)
    return str(compiled), lambda row: tuple(row[key] if key in row else fixed[key] for key in order)
