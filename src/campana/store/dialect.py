"""What the databases we run on say differently, and how one statement is run for many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    CursorResult,
    Executable,
    Select,
    Table,
    TableClause,
    Text,
    column,
    func,
    select,
    table,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeEngine

from campana.store.types import IdType

T = TypeVar("T")
Row = Mapping[str, Any]
AT_ONCE = 500  # rows of one statement


def is_postgresql(c: Connection) -> bool:
    """Whether several processes may be writing beside us."""
    return c.dialect.name == "postgresql"


def upsert(c: Connection, into: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can be told what to do when the row is already there."""
    return postgresql.insert(into) if is_postgresql(c) else sqlite.insert(into)


def counted(c: Connection, change: Executable) -> int:
    """Runs a change and returns how many rows it was: of an INSERT the driver is not asked without this option."""
    result: CursorResult[Any] = c.execute(change, execution_options={"preserve_rowcount": True})
    return result.rowcount


class numbered_id(FunctionElement[bytes]):  # noqa: N801 - written like any SQL function
    """`core.ids.numbered_id` in SQL: (parent, number)."""

    type = IdType()
    inherit_cache = True
    name = "numbered_id"


@compiles(numbered_id, "sqlite")
def _ours(element: Any, compiler: Any, **kw: Any) -> str:
    return f"numbered_id({compiler.process(element.clauses, **kw)})"  # registered with each connection


@compiles(numbered_id, "postgresql")
def _theirs(element: Any, compiler: Any, **kw: Any) -> str:
    parent, number = (compiler.process(one, **kw) for one in element.clauses)
    return f"(substring(CAST({parent} AS bytea) FROM 1 FOR 8) || int8send({number}))"


# --- many processes ---------------------------------------------------------------------------------------------------------


def locked(statement: Select[Any], *of: Table, skip_locked: bool = False) -> Select[Any]:
    """The rows of `of` are ours until the transaction ends; with `skip_locked`, only those that are nobody else's.

    SQLite has one writer, which needs no such words.
    """
    return statement.with_for_update(of=list(of), key_share=True, skip_locked=skip_locked)


def alone(c: Connection, what: str) -> bool:
    """Whether this transaction is the only one that does `what` until it ends: pumps take turns, they do not queue."""
    if not is_postgresql(c):
        return True
    return bool(c.scalar(select(func.pg_try_advisory_xact_lock(_lock(what)))))


def _lock(what: str) -> int:
    """The number under which PostgreSQL knows a lock of ours: all of its 64 bits, so that other programs' are others."""
    return int.from_bytes(blake2b(f"campana {what}".encode(), digest_size=8).digest(), "big", signed=True)


def in_turn(c: Connection, what: str) -> None:
    """Waits until this transaction is the only one that does `what`."""
    if is_postgresql(c):
        c.execute(select(func.pg_advisory_xact_lock(_lock(what))))


class lease_clock(FunctionElement[int]):  # noqa: N801 - written like any SQL function
    """The moment that leases are counted from: on PostgreSQL the database's own, whatever the `now` of a process says."""

    type = BigInteger()
    inherit_cache = True
    name = "lease_clock"


@compiles(lease_clock, "sqlite")
def _of_the_only_process(element: Any, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


@compiles(lease_clock, "postgresql")
def _of_the_database(*_: Any, **__: Any) -> str:
    return "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


def database_clock(c: Connection) -> int:
    """What time it is on PostgreSQL, in UTC microseconds."""
    return int(c.scalar(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")) or 0)


# --- many rows --------------------------------------------------------------------------------------------------------------


def in_parts(values: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """The values in lists that fit into one IN."""
    left = list(values)
    for at in range(0, len(left), size):
        yield left[at : at + size]


def given(*columns: Column[Any]) -> TableClause:
    """The rows that a statement is run for, as a table to join with: its columns are called like those of `columns`."""
    plain = ((one.name, Text() if isinstance(one.type, Text) else one.type) for one in columns)  # an array has no collation
    return table("given", *(column(name, its) for name, its in plain))


@dataclass(frozen=True)
class SetStatement:
    """One statement for many rows: it joins with `rows`, whose values travel with it.

    It is one call of the database whatever the number of rows. With a call for each row, SQLite would give Python's lock away
    and ask for it again every time, which costs more than the work itself while an event loop is busy beside it.
    """

    statement: Executable
    rows: TableClause

    def run(self, c: Connection, rows: Sequence[Row]) -> None:
        """Runs it for these rows, all with the columns of `rows`."""
        for _ in self._results(c, rows):
            pass

    def fetch(self, c: Connection, rows: Sequence[Row]) -> Iterator[Any]:
        """What a SELECT finds for these rows."""
        return chain.from_iterable(result.all() for result in self._results(c, rows))

    def first(self, c: Connection, **row: Any) -> Any:
        """The first that a statement brings for one row, or None."""
        return next(self.fetch(c, [row]), None)

    def _results(self, c: Connection, rows: Sequence[Row]) -> Iterator[CursorResult[Any]]:
        words = _words(c.dialect, self)
        values = itemgetter(*(one.name for one in self.rows.columns))
        for some in in_parts(rows):
            yield c.exec_driver_sql(*words(list(map(values, some))))


def distinct(rows: Iterable[Row], key: str = "id") -> Iterator[list[Row]]:
    """The rows in sets that hold each key once: of two rows for one, a statement would take just any."""
    rounds: list[list[Row]] = []
    met: Counter[Any] = Counter()
    for row in rows:
        number = met[row[key]]
        met[row[key]] += 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(row)
    return iter(rounds)


def insert_many(c: Connection, into: Table, rows: Sequence[Row], ignore_known: bool = False) -> None:
    """Inserts rows that all have the same keys; with `ignore_known`, those that are not there yet."""
    if rows:
        _insertion(into, tuple(rows[0]), ignore_known).run(c, rows)


@lru_cache(256)
def _insertion(into: Table, names: tuple[str, ...], ignore_known: bool) -> SetStatement:
    columns = [into.c[name] for name in names]
    source = given(*columns)
    rows = select(*source.columns)
    if not ignore_known:
        return SetStatement(into.insert().from_select(list(names), rows), source)
    # SQLite would read ON CONFLICT as a part of the join without a WHERE. Both dialects write the same words here.
    new_ones = postgresql.insert(into).from_select(list(names), rows.where(text("true"))).on_conflict_do_nothing()
    return SetStatement(new_ones, source)


Worded = Callable[[Sequence[Any]], tuple[str, tuple[Any, ...]]]
_WORDS: dict[tuple[str, int], tuple[SetStatement, Worded]] = {}


def _words(dialect: Dialect, of: SetStatement) -> Worded:
    """What turns rows into the words and the parameters of one statement; made once."""
    found = _WORDS.get((dialect.name, id(of)))
    if found is None or found[0] is not of:
        make = _with_arrays if dialect.name == "postgresql" else _with_values
        found = _WORDS[dialect.name, id(of)] = (of, make(dialect, of))
    return found[1]


def _with_values(dialect: Dialect, of: SetStatement) -> Worded:
    """WITH given (a, b) AS (VALUES (?, ?), (?, ?), ...): on SQLite."""
    said = _compiled(dialect, of)
    names = ", ".join(dialect.identifier_preparer.quote(one.name) for one in of.rows.columns)
    one_row = f"({', '.join('?' * len(of.rows.columns))})"
    single = len(of.rows.columns) == 1

    def worded(rows: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
        values = tuple(rows) if single else tuple(chain.from_iterable(rows))
        return f"WITH given ({names}) AS (VALUES {', '.join([one_row] * len(rows))}) {said}", values

    return worded


def _with_arrays(dialect: Dialect, of: SetStatement) -> Worded:
    """WITH given AS (SELECT * FROM unnest(array of a, array of b) AS given (a, b)): the same words for any number of rows."""
    columns = list(of.rows.columns)
    names = ", ".join(dialect.identifier_preparer.quote(one.name) for one in columns)
    arrays = ", ".join(_array_of(_type_name(dialect, one.type)) for one in columns)
    source = f"unnest({arrays}) AS given ({names})"
    words = f"WITH given AS (SELECT * FROM {source}) {_compiled(dialect, of)}"  # noqa: S608 - names of our own columns
    single = len(columns) == 1

    def worded(rows: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
        return words, (list(rows),) if single else tuple(map(list, zip(*rows, strict=True)))

    return worded


def _array_of(kind: str) -> str:
    """Bytes and texts travel as they are: as the text of an array they would be quoted here and taken apart there, at five times
    the cost. Numbers are cheap as text, and in binary each size of number would make another statement to prepare."""
    return f"{'%b' if kind in ('BYTEA', 'TEXT') else '%s'}::{kind}[]"


def _compiled(dialect: Dialect, of: SetStatement) -> str:
    """Its words; constants of ours stand in them, all other values come with the rows."""
    return str(of.statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]


def _type_name(dialect: Dialect, kind: TypeEngine[Any]) -> str:
    return str(kind.compile(dialect=dialect))
