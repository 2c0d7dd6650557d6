"""What the databases we run on say differently, and how one statement is run for many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

_COMPILED: dict[tuple[Any, ...], tuple[str, Sequence[str], Mapping[str, Any]]] = {}


def upsert(c: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can be told what to do when the row is already there."""
    return postgresql.insert(table) if c.dialect.name == "postgresql" else sqlite.insert(table)


def run_many(c: Connection, name: str, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Runs one statement for many rows of the same keys, handing the values to the driver as they are.

    It is compiled once for a `name` and the keys of its rows; our column types convert nothing, so that the rows need no
    further treatment: this is a third of the cost of a message.
    """
    if not rows:
        return
    keys = tuple(rows[0])
    known = _COMPILED.get((c.dialect.name, name, keys))
    if known is None:
        compiled = statement.compile(dialect=c.dialect, column_keys=list(keys))  # type: ignore[attr-defined]
        known = (str(compiled), tuple(compiled.positiontup), dict(compiled.params))
        _COMPILED[c.dialect.name, name, keys] = known
    sql, order, fixed = known
    c.exec_driver_sql(sql, [tuple(row[key] if key in row else fixed[key] for key in order) for row in rows])
