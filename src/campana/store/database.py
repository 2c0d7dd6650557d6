"""One Store: plain functions of a connection, run in transactions beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from campana.store.engines import (
    READERS,
    StoreAway,
    StoreTrouble,
    create_store_engine,
    is_sqlite,
    reading_options,
    sqlite_path,
)
from campana.store.writing import Priority, Writers, in_words

__all__ = ["Database", "Priority", "StoreAway", "StoreTrouble", "create_store_engine", "is_sqlite", "sqlite_path"]

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """The store of one process. `ran` is told the seconds of each transaction."""

    def __init__(self, url: str, max_pages: int | None = None, ran: Callable[[float], None] = lambda seconds: None) -> None:
        self.engine = create_store_engine(url, max_pages)
        self._reading = reading_options(self.engine)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._writers = Writers(self.engine, ran)

    async def run(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of `work(connection, ...)`, whose transaction is committed.

        Raises StoreAway when the database does not answer; then it may or may not have been committed.
        """
        return await self.at(Priority.PUMP, work, *args, **kwargs)

    async def at(self, priority: Priority, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `run`, at a given place in the queue of writers."""
        done = self._writers.add(priority, lambda connection: work(connection, *args, **kwargs))
        return await asyncio.wrap_future(done)

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of `work(connection, ...)` on one snapshot; it must not write."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self._read(lambda c: work(c, *args, **kwargs)))

    def _read(self, work: Callable[[Connection], T]) -> T:
        """A connection that turns out to be dead is no reason to fail: a reading can be done again."""
        for last in (False, True):
            try:
                with self.engine.connect().execution_options(**self._reading) as connection, connection.begin():
                    return work(connection)
            except (DBAPIError, PoolTimeout) as error:
                if last or not isinstance(error, DBAPIError) or not error.connection_invalidated:
                    raise in_words(error) from error
        raise AssertionError

    def close(self) -> None:
        """Finishes what was asked for, then closes."""
        self._writers.close()
        self._readers.shutdown()
        self.engine.dispose()
