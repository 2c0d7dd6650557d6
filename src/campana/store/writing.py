"""Who writes: on SQLite one thread that commits what has gathered, on PostgreSQL several, each with a transaction of its own.

A job is a plain function of a connection. Its caller hears of it only after the commit, so whatever was answered is durable.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from campana.store.engines import SQLITE, WRITERS, StoreAway, StoreTrouble

GATHER_SECONDS = 0.015  # a group stops growing after this long: no write transaction over 50 ms
CONFLICTS = frozenset({"40001", "40P01"})  # serialization failure, deadlock: nothing was done, the job is done again
AWAY = frozenset({"08", "40", "53", "57"})  # connection, conflicts without end, resources, stopping
READ_ONLY = "25006"  # what was the primary server is one no more
ATTEMPTS = 5


class Priority(IntEnum):
    """Whose writing comes first when several wait."""

    GATEWAY = 0
    SETTLE = 1
    RECEIVE = 2
    PUMP = 3
    LOAD = 4


@dataclass(order=True)
class Job:
    priority: int
    number: int
    work: Callable[[Connection], Any] = field(compare=False)
    done: Future[Any] = field(compare=False)


Result = tuple[Job, Any, BaseException | None]


class Writers:
    """The jobs that wait, and the threads that do them."""

    def __init__(self, engine: Engine, ran: Callable[[float], None] = lambda seconds: None) -> None:
        self.engine = engine
        self.ran = ran  # is told how long each transaction took, in seconds
        self._numbers = itertools.count()
        self._waiting: list[Job] = []
        self._arrived = threading.Condition()
        self._closing = False
        alone = engine.dialect.name == SQLITE
        self._commit = self._commit_group if alone else self._commit_one
        self._threads = [
            threading.Thread(target=self._write_all, name=f"store-write-{number}", daemon=True)
            for number in range(1 if alone else WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, priority: Priority, work: Callable[[Connection], Any]) -> Future[Any]:
        """Puts a job in line."""
        done: Future[Any] = Future()
        with self._arrived:
            if self._closing:
                raise StoreTrouble("The store is closed.")
            heapq.heappush(self._waiting, Job(priority, next(self._numbers), work, done))
            self._arrived.notify()
        return done

    def close(self) -> None:
        """Finishes what was asked for; takes nothing more."""
        with self._arrived:
            self._closing = True
            self._arrived.notify_all()
        for thread in self._threads:
            thread.join()

    def _write_all(self) -> None:
        with contextlib.ExitStack() as open_while_we_write:
            connection: Connection | None = None
            while job := self._next(wait=True):
                began = time.perf_counter()
                try:
                    connection = connection or open_while_we_write.enter_context(self.engine.connect())
                except (DBAPIError, PoolTimeout) as error:
                    _tell([(job, None, in_words(error))])
                else:
                    self._commit(connection, job)
                    if connection.invalidated:
                        open_while_we_write.pop_all().close()
                        connection = None
                self.ran(time.perf_counter() - began)

    def _next(self, wait: bool) -> Job | None:
        with self._arrived:
            while wait and not self._waiting and not self._closing:
                self._arrived.wait()
            return heapq.heappop(self._waiting) if self._waiting else None

    # --- several transactions side by side ----------------------------------------------------------------------------------

    def _commit_one(self, connection: Connection, job: Job) -> None:
        """One job, one transaction. A conflict with another one is no failure: the job is done anew."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with connection.begin():
                    answer = job.work(connection)
            except Exception as error:
                if attempt < ATTEMPTS and is_conflict(error):
                    continue
                if _sqlstate(error) == READ_ONLY:
                    connection.invalidate()  # the next connection may lead to the server that is the primary now
                _tell([(job, None, in_words(error))])
            else:
                _tell([(job, answer, None)])
            return

    # --- one transaction for all that wait ----------------------------------------------------------------------------------

    def _commit_group(self, connection: Connection, first: Job) -> None:
        """One transaction for all jobs that wait. When the database itself fails, each job gets one of its own."""
        if not self._waiting:  # those that come from now on are the next group; one job alone needs no savepoint
            self._commit_one(connection, first)
            return
        group: list[Result] = []
        until = time.monotonic() + GATHER_SECONDS
        job: Job | None = first
        try:
            with connection.begin():
                while job:
                    group.append((job, None, None))
                    group[-1] = (job, *_attempt(connection, job))
                    job = self._next(wait=False) if time.monotonic() < until else None
        except Exception as error:
            if len(group) == 1:
                group = [(first, None, in_words(error))]
            else:
                for each, _, _ in group:
                    self._commit_one(connection, each)
                return
        _tell(group)


def _attempt(connection: Connection, job: Job) -> tuple[Any, BaseException | None]:
    """The job's answer or its error, which leaves the others of its group untouched."""
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


def _tell(group: Sequence[Result]) -> None:
    for job, answer, error in group:
        if not job.done.set_running_or_notify_cancel():
            continue
        if error is None:
            job.done.set_result(answer)
        else:
            job.done.set_exception(error)


def is_conflict(error: Exception) -> bool:
    """Whether two transactions stood in each other's way, so that this one was undone."""
    return _sqlstate(error) in CONFLICTS


def _sqlstate(error: Exception) -> str:
    return (getattr(error.orig, "sqlstate", None) or "") if isinstance(error, DBAPIError) else ""


def in_words(error: Exception) -> Exception:
    """A sentence instead of the driver's words, where people can do something about it."""
    said = str(error)
    if isinstance(error, PoolTimeout):
        return StoreAway("The database gives no connection. Check that it runs and allows enough of them (max_connections).")
    if not isinstance(error, DBAPIError):
        return error
    sqlstate = _sqlstate(error)
    if "disk is full" in said or "disk I/O error" in said or sqlstate == "53100":
        return StoreTrouble("The disk of the database is full. Free some space and start again: nothing was lost.")
    if "readonly" in said:
        return StoreTrouble("The database cannot be written. Check the rights of its file and folder, then start again.")
    if error.connection_invalidated or sqlstate[:2] in AWAY or sqlstate == READ_ONLY or (_of_psycopg(error) and not sqlstate):
        return StoreAway(f"The database does not answer: {_first_line(error)}. It is tried again.")
    return error


def _of_psycopg(error: DBAPIError) -> bool:
    return isinstance(error, OperationalError) and type(error.orig).__module__.startswith("psycopg")


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or ["no answer"])[0].rstrip(".")
