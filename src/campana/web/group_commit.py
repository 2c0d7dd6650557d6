"""One durable transaction for all that arrived while the last one committed. Waiting longer for a bigger batch never paid."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from campana.bus.contract import Full as Full

Row = TypeVar("Row")


class Group(Generic[Row]):
    """Commits rows in batches; each caller hears of its own row only, and only once it is durable.

    A batch that fails is halved until the bad row stands alone. An error of a kind in `hopeless` is the store's own trouble,
    which smaller batches would not mend, so all of the batch hear of it at once.
    """

    def __init__(
        self,
        write: Callable[[list[Row]], Awaitable[None]],
        *,
        most_waiting: int = 10_000,
        most_bytes: int = 256 * 1024 * 1024,
        batch: int = 1_000,
        hopeless: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        self._write, self._batch, self._hopeless = write, batch, hopeless
        self._most_waiting, self._most_bytes = most_waiting, most_bytes
        self._waiting: deque[tuple[Row, int, asyncio.Future[None]]] = deque()
        self._bytes = 0  # of all that is not durable yet
        self._rows = 0
        self._task: asyncio.Task[None] | None = None  # kept: a task without a reference can vanish
        self._closed = False

    def add(self, row: Row, size: int = 0) -> asyncio.Future[None]:
        """A future that is done when the row is durable, or has the error that kept it out. Raises Full."""
        if self._closed or self._rows >= self._most_waiting or self._bytes + size > self._most_bytes:
            raise Full("The store cannot keep up with what arrives. Try again in a few seconds.")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, size, done))
        self._rows += 1
        self._bytes += size
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return done

    async def close(self) -> None:
        """Takes nothing more, and returns when all that waits is durable or refused."""
        self._closed = True
        if self._task:
            await asyncio.shield(self._task)

    async def _run(self) -> None:
        batch: list[tuple[Row, int, asyncio.Future[None]]] = []
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
                await self._commit([(row, done) for row, _, done in batch])
                self._rows -= len(batch)
                self._bytes -= sum(size for _, size, _ in batch)
        finally:
            self._task = None
            for _, _, done in (*batch, *self._waiting):
                done.cancel()  # only when this task itself was stopped: then nobody must wait for ever

    async def _commit(self, batch: Sequence[tuple[Row, asyncio.Future[None]]]) -> None:
        try:
            await self._write([row for row, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, self._hopeless):
                half = len(batch) // 2
                await self._commit(batch[:half])
                await self._commit(batch[half:])
                return
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
        else:
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
