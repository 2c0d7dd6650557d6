"""Very many rows into a table: COPY on PostgreSQL, where an INSERT costs three times as much of our own time."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from campana.core.ids import Id
from campana.store.dialect import insert_many, is_postgresql


def load_many(c: Connection, into: Table, rows: Sequence[Mapping[str, Any]], **same: Id) -> None:
    """Inserts new rows that all have the same keys: numbers, None, or texts on one line that are not empty.

    `same` is so in all of them.
    """
    if not is_postgresql(c):
        insert_many(c, into, [{**row, **same} for row in rows])
    elif rows:
        _copy(c, into, tuple(rows[0]), rows, same)


def _copy(c: Connection, into: Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]], same: Mapping[str, Id]) -> None:
    quote = c.dialect.identifier_preparer.quote
    words = f"COPY {quote(into.name)} ({', '.join(map(quote, (*names, *same)))}) FROM STDIN (FORMAT csv)"
    driver = cast("psycopg.Connection[Any]", c.connection.driver_connection)
    try:
        with driver.cursor() as cursor, cursor.copy(words) as copy:
            copy.write(_as_csv(names, rows, [rf"\x{one.hex()}" for one in same.values()]))
    except psycopg.Error as error:
        if driver.broken:
            c.invalidate()
        said = DBAPIError.instance(words, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=driver.broken)
        raise said from error


def _as_csv(names: Sequence[str], rows: Sequence[Mapping[str, Any]], same: Sequence[str]) -> str:
    """What csv writes of None is what COPY reads as NULL. No text of PostgreSQL may hold the sign 0."""
    text = io.StringIO()
    csv.writer(text).writerows((*values, *same) for values in map(itemgetter(*names), rows))
    return text.getvalue().replace("\0", "")
