"""So many exchanges at a time."""

from __future__ import annotations

import asyncio
from collections import deque

from campana.clock import boottime


class Slots:
    """So many exchanges at a time; the others wait in line, each no longer than its deadline."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._closed = False

    async def take(self, deadline: int) -> bool:
        """True with a slot that must be given back; False when the time was up or the wire closed."""
        if self._free:
            self._free -= 1
            return True
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(max(0, deadline - boottime()) / 1e6, _decide, turn, False)
        self._waiting.append(turn)
        try:
            return False if self._closed else await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.give_back()
            raise
        finally:
            timer.cancel()

    def give_back(self) -> None:
        """Hands the slot to whoever waited longest."""
        while self._waiting:
            if _decide(self._waiting.popleft(), True):
                return
        self._free += 1

    def close(self) -> None:
        """Sends everybody in line away."""
        self._closed = True
        while self._waiting:
            _decide(self._waiting.popleft(), False)


def _decide(turn: asyncio.Future[bool], answer: bool) -> bool:
    if turn.done():
        return False
    turn.set_result(answer)
    return True
