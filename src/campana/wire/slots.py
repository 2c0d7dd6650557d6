"""So many exchanges at a time."""

from __future__ import annotations

import asyncio
from collections import deque

from campana.clock import boottime


class Slots:
    """So many exchanges at a time; the others wait in line, each no longer than its deadline."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[tuple[int, asyncio.Future[bool]]] = deque()  # with their deadlines
        self._timer: asyncio.TimerHandle | None = None  # one for all: a timer for each would cost more than the waiting
        self._timed = 0  # the deadline that it rings for
        self._closed = False

    async def take(self, deadline: int) -> bool:
        """True with a slot that must be given back; False when the time was up or the wire closed."""
        if self._closed:
            return False
        if self._free:
            self._free -= 1
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((deadline, turn))
        if self._timer is None or deadline < self._timed:
            self._ring_at(deadline)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Hands the slot to whoever waited longest."""
        while self._waiting:
            if _decide(self._waiting.popleft()[1], True):
                return
        self._free += 1

    def close(self) -> None:
        """Sends everybody in line away."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        while self._waiting:
            _decide(self._waiting.popleft()[1], False)

    def _ring_at(self, deadline: int) -> None:
        if self._timer:
            self._timer.cancel()
        self._timed = deadline
        seconds = max(0, deadline - boottime()) / 1e6
        self._timer = asyncio.get_running_loop().call_later(seconds, self._send_away)

    def _send_away(self) -> None:
        """Those whose time is up leave the line; the timer rings again for whoever is next."""
        self._timer, now = None, boottime()
        left = [(deadline, turn) for deadline, turn in self._waiting if not turn.done()]
        for deadline, turn in left:
            if deadline <= now:
                _decide(turn, False)
        self._waiting = deque((deadline, turn) for deadline, turn in left if deadline > now)
        if self._waiting:
            self._ring_at(min(deadline for deadline, _ in self._waiting))


def _decide(turn: asyncio.Future[bool], answer: bool) -> bool:
    if turn.done():
        return False
    turn.set_result(answer)
    return True
