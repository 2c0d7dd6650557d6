"""Webhooks that are refused: an account's card tells of them. It is written down every few seconds at most, in one row each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from campana.bus.tasks import end_all
from campana.store.database import StoreAway, StoreTrouble
from campana.store.integrations import Heard

EVERY = 3.0  # seconds between two writings, however much comes

log = structlog.get_logger(__name__)


class Hearing:
    """What came to the addresses of accounts since it was last written down. Only addresses of accounts may be told of."""

    def __init__(self, keep: Callable[[list[Heard]], Awaitable[None]], every: float = EVERY) -> None:
        self._keep, self._every = keep, every
        self._told: dict[str, Heard] = {}
        self._task: asyncio.Task[None] | None = None

    def good(self, hook: str) -> None:
        """A webhook was the vendor's: what was refused before it says nothing any more."""
        self._told[hook] = Heard(hook, True)
        self._write_soon()

    def refused(self, hook: str, now: int) -> None:
        """A webhook was refused, by whomever it was sent."""
        known = self._told.get(hook) or Heard(hook, False)
        first = known.first if known.first is not None else now
        self._told[hook] = replace(known, refused=known.refused + 1, first=first, last=now)
        self._write_soon()

    async def close(self) -> None:
        """What was told is written down."""
        if self._task is not None:
            await end_all([self._task])
            await self._write()

    def _write_soon(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_later())

    async def _write_later(self) -> None:
        while self._told:
            await asyncio.sleep(self._every)
            await self._write()

    async def _write(self) -> None:
        told, self._told = list(self._told.values()), {}
        try:
            if told:
                await self._keep(told)
        except (StoreAway, StoreTrouble) as error:  # the next one that is refused tells it again
            log.warning("refused_webhooks_untold", error=str(error))
        except Exception as error:
            log.exception("refused_webhooks_untold", error=type(error).__name__)
