"""One Store on SQLite: all writing through one thread that commits what has gathered, reading beside it.

A job is a plain function of a connection. It runs in one transaction and its caller hears of it only after the commit, so
whatever was answered is durable. Jobs that wait are committed together; one that fails leaves the others untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from campana.core.ids import numbered_id

P = ParamSpec("P")
T = TypeVar("T")

GATHER_SECONDS = 0.015  # a group stops growing after this long: no write transaction over 50 ms
READERS = 4


class Priority(IntEnum):
    """Whose writing comes first when several wait."""

    GATEWAY = 0
    SETTLE = 1
    RECEIVE = 2
    PUMP = 3
    LOAD = 4


class StoreTrouble(RuntimeError):
    """The store cannot do its work; the sentence says what to do."""


@dataclass(order=True)
class Job:
    priority: int
    number: int
    work: Callable[[Connection], Any] = field(compare=False)
    done: Future[Any] = field(compare=False)


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL, None for another database or one in memory."""
    parsed = _known_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def _known_url(url: str) -> URL:
    """The URL, when it names a database that the store works with."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreTrouble(f"{url!r} names no database. Write for example sqlite:///campana.db in CAMPANA_DATABASE.") from error
    if parsed.get_backend_name() != "sqlite":
        raise StoreTrouble(
            f"{parsed.render_as_string()} names a database that this version does not work with. "
            "Write for example sqlite:///campana.db in CAMPANA_DATABASE."
        )
    return parsed


def create_store_engine(url: str, max_pages: int | None = None) -> Engine:
    """An engine with the settings our promises need: WAL, a synced commit, transactions begun by us."""
    connect_args = {"check_same_thread": False, "timeout": 30, "cached_statements": 512}
    engine = create_engine(_known_url(url), connect_args=connect_args, hide_parameters=True)  # people's data stays out of logs

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        pragmas = {
            "journal_mode": "WAL",
            "synchronous": "FULL",
            "foreign_keys": "ON",
            "temp_store": "MEMORY",
            "cache_size": "-65536",
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


class Database:
    """The store of one process."""

    def __init__(self, url: str, max_pages: int | None = None) -> None:
        self.engine = create_store_engine(url, max_pages)
        self._numbers = itertools.count()
        self._waiting: list[Job] = []
        self._arrived = threading.Condition()
        self._closing = False
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._local = threading.local()
        self._writer = threading.Thread(target=self._write_all, name="store-write", daemon=True)
        self._writer.start()

    async def run(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of `work(connection, ...)`, whose transaction is committed."""
        return await self.at(Priority.PUMP, work, *args, **kwargs)

    async def at(self, priority: Priority, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `run`, at a given place in the queue of writers."""
        done: Future[T] = Future()
        job = Job(priority, next(self._numbers), lambda connection: work(connection, *args, **kwargs), done)
        with self._arrived:
            if self._closing:
                raise StoreTrouble("The store is closed.")
            heapq.heappush(self._waiting, job)
            self._arrived.notify()
        return await asyncio.wrap_future(done)

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of `work(connection, ...)` on one snapshot; it must not write."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self._read(lambda c: work(c, *args, **kwargs)))

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self.engine.connect().execution_options(reading=True) as connection, connection.begin():
            return work(connection)

    def close(self) -> None:
        """Finishes what was asked for, then closes."""
        with self._arrived:
            self._closing = True
            self._arrived.notify()
        self._writer.join()
        self._readers.shutdown()
        self.engine.dispose()

    def _write_all(self) -> None:
        with contextlib.ExitStack() as open_while_we_write:
            connection: Connection | None = None
            while job := self._next(wait=True):
                try:
                    connection = connection or open_while_we_write.enter_context(self.engine.connect())
                except DBAPIError as error:
                    _tell([(job, None, _in_words(error))])
                else:
                    self._commit_group(connection, job)

    def _next(self, wait: bool) -> Job | None:
        with self._arrived:
            while wait and not self._waiting and not self._closing:
                self._arrived.wait()
            return heapq.heappop(self._waiting) if self._waiting else None

    def _commit_group(self, connection: Connection, first: Job) -> None:
        """One transaction for all jobs that wait. When the database itself fails, each job gets one of its own."""
        group: list[tuple[Job, Any, BaseException | None]] = []
        until = time.monotonic() + GATHER_SECONDS
        job: Job | None = first
        try:
            with connection.begin():
                while job:
                    group.append((job, None, None))
                    group[-1] = (job, *self._attempt(connection, job))
                    job = self._next(wait=False) if time.monotonic() < until else None
        except Exception as error:
            if len(group) == 1:
                group = [(first, None, _in_words(error))]
            else:
                self._commit_alone(connection, [job for job, _, _ in group])
                return
        _tell(group)

    def _attempt(self, connection: Connection, job: Job) -> tuple[Any, BaseException | None]:
        savepoint = connection.begin_nested()
        try:
            answer = job.work(connection)
        except DBAPIError as error:
            if isinstance(error, OperationalError) or not savepoint.is_active:
                raise
            savepoint.rollback()
            return None, error
        except Exception as error:
            savepoint.rollback()
            return None, error
        savepoint.commit()
        return answer, None

    def _commit_alone(self, connection: Connection, jobs: Sequence[Job]) -> None:
        for job in jobs:
            try:
                with connection.begin():
                    answer = job.work(connection)
            except Exception as error:
                _tell([(job, None, _in_words(error))])
            else:
                _tell([(job, answer, None)])


def _tell(group: Sequence[tuple[Job, Any, BaseException | None]]) -> None:
    for job, answer, error in group:
        if not job.done.set_running_or_notify_cancel():
            continue
        if error is None:
            job.done.set_result(answer)
        else:
            job.done.set_exception(error)


def _in_words(error: Exception) -> Exception:
    """A sentence instead of the driver's words, where people can do something about it."""
    said = str(error)
    if "disk is full" in said or "disk I/O error" in said:
        return StoreTrouble("The disk of the database is full. Free some space and start again: nothing was lost.")
    if "readonly" in said:
        return StoreTrouble("The database cannot be written. Check the rights of its file and folder, then start again.")
    return error
