"""How a store is opened: SQLite in one file, or PostgreSQL, each with the settings our promises need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from psycopg.abc import Buffer
from psycopg.types.string import StrDumper
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from campana.core.ids import numbered_id

SQLITE, POSTGRESQL = "sqlite", "postgresql"
DRIVER = "postgresql+psycopg"
WRITERS = 6  # transactions that a process has open at once on PostgreSQL
READERS = 4
# A process that was stopped in the middle of a transaction holds locks; the server ends its transaction after so long.
IDLE_IN_TRANSACTION = "10s"
SESSION = (
    "SELECT set_config('synchronous_commit', 'on', false), set_config('timezone', 'UTC', false), "
    f"set_config('idle_in_transaction_session_timeout', '{IDLE_IN_TRANSACTION}', false)"
)


# A host that vanishes says nothing: so its connections are noticed to be dead within half a minute, not after two hours.
NOTICE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}


class WithoutNul(StrDumper):
    """Texts without the sign that PostgreSQL keeps in no text; vendors' answers and what people write may hold it."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "") if "\0" in obj else obj)


class StoreTrouble(RuntimeError):
    """The store cannot do its work; the sentence says what to do."""


class StoreAway(RuntimeError):
    """The database does not answer just now. What was asked of it may or may not have been done; it is tried again."""


def known_url(url: str) -> URL:
    """The URL, when it names a database that the store works with."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreTrouble(
            f"{_without_credentials(url)!r} names no database. Write for example sqlite:///campana.db or "
            "postgresql://user@host/campana in CAMPANA_DATABASE."
        ) from error
    if parsed.get_backend_name() in (POSTGRESQL, "postgres"):  # many write the latter, as its own tools may
        if "@" in f"{parsed.host}{parsed.database}":
            raise StoreTrouble(
                "The password in CAMPANA_DATABASE holds a character that ends it too early. Write @ as %40, / as %2F, : as %3A "
                "and % as %25 in it."
            )
        return parsed.set(drivername=DRIVER)
    if parsed.get_backend_name() != SQLITE:
        raise StoreTrouble(
            f"{parsed.render_as_string()} names a database that this version does not work with. "
            "Write for example sqlite:///campana.db or postgresql://user@host/campana in CAMPANA_DATABASE."
        )
    return parsed


def _without_credentials(url: str) -> str:
    """A password may hold any sign: everything up to the last @ is struck out."""
    return re.sub(r"^(\w+://)?.*@", r"\1***@", url)


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL, None for another database or one in memory."""
    parsed = known_url(url)
    if parsed.get_backend_name() != SQLITE or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def is_sqlite(url: str) -> bool:
    """Whether the URL names a SQLite store, which has room for one process only."""
    return known_url(url).get_backend_name() == SQLITE


def create_store_engine(url: str, max_pages: int | None = None) -> Engine:
    """An engine whose commits are durable when they return. Its statements keep people's data out of logs."""
    parsed = known_url(url)
    return _sqlite(parsed, max_pages) if parsed.get_backend_name() == SQLITE else _postgresql(parsed)


def _sqlite(url: URL, max_pages: int | None) -> Engine:
    """WAL, a synced commit, transactions begun by us."""
    connect_args = {"check_same_thread": False, "timeout": 30, "cached_statements": 512}
    engine = create_engine(url, connect_args=connect_args, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        pragmas = {
            "journal_mode": "WAL",
            "synchronous": "FULL",
            "foreign_keys": "ON",
            "temp_store": "MEMORY",
            "cache_size": "-24576",
            "wal_autocheckpoint": "4000",
        }
        if max_pages:
            pragmas["max_page_count"] = str(max_pages)
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name}={value}")
        connection.create_function("numbered_id", 2, numbered_id, deterministic=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        kind = "DEFERRED" if connection.get_execution_options().get("reading") else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def _postgresql(url: URL) -> Engine:
    """Read committed, a synced commit, connections whose end is noticed."""
    query = dict(url.query)
    prepare_threshold = query.pop("prepare_threshold", None)  # `none` behind a PgBouncer that pools transactions
    connect_args: dict[str, Any] = {"application_name": "campana", "connect_timeout": 5, **NOTICE}
    if prepare_threshold is not None:
        connect_args["prepare_threshold"] = int(str(prepare_threshold)) if str(prepare_threshold).isdigit() else None
    engine = create_engine(
        url.set(query=query),
        connect_args=connect_args,
        hide_parameters=True,
        pool_size=WRITERS + READERS,
        max_overflow=2,
        pool_timeout=10,
        isolation_level="READ COMMITTED",
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.adapters.register_dumper(str, WithoutNul)
        connection.execute(SESSION)
        connection.commit()

    return engine


def reading_options(engine: Engine) -> dict[str, Any]:
    """The options of a connection whose transaction only reads, all of it from one snapshot."""
    if engine.dialect.name == SQLITE:
        return {"reading": True}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
