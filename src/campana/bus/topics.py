"""Topics of one process: events of its loop, which any thread may set."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict


class Topics:
    """Who waits for what. A wake that nobody waits for is kept for the next who does."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._home: tuple[int, asyncio.AbstractEventLoop] | None = None

    def wake(self, topic: str) -> None:
        """Wakes who waits for `topic`, or who will wait next. May be called from any thread."""
        if self._home and self._home[0] != threading.get_ident():
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self._home[1].call_soon_threadsafe(self._events[topic].set)
        else:
            self._events[topic].set()

    async def woken(self, topic: str, timeout: float) -> bool:
        """True as soon as `topic` was woken since somebody last waited for it; False after `timeout` seconds."""
        self._home = (threading.get_ident(), asyncio.get_running_loop())
        event = self._events[topic]
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
        except TimeoutError:
            return False
        event.clear()
        return True
