"""What one process has put into a stream and does not know to be done."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime


class Holdings:
    """Numbers of parcels, in the order they were put. Those of a stream made later are higher than all before."""

    def __init__(self) -> None:
        self.last = 0
        self.wiped = 0
        self._open: dict[int, None] = {}
        self._gone: set[int] = set()
        self._made: datetime | None = None

    @property
    def lost(self) -> int:
        """How many were in a stream that is no more. One that turns out to have been done is none of them."""
        return len(self._gone)

    @property
    def open(self) -> int:
        """How many are not known to be done."""
        return len(self._open)

    def put(self, number: int) -> None:
        """The stream has acknowledged this one."""
        self._open[number] = None
        self.last = max(self.last, number)

    def done(self, numbers: Iterable[int]) -> None:
        """These are done, whoever put them."""
        for number in numbers:
            self._open.pop(number, None)
            self._gone.discard(number)

    def look(self, made: datetime | None, first: int, oldest: int) -> int | None:
        """What is seen of the stream: when it was made, its first number ever, and the oldest it still holds.

        Returns how many are lost when it is another stream than before, else None.
        """
        another = self._made is not None and made != self._made
        self._made = made
        lost = [number for number in self._open if number < first] if another else []
        for number in lost:
            del self._open[number]
        self._gone.update(lost)
        while self._open and (number := next(iter(self._open))) < oldest:
            del self._open[number]
        if not another:
            return None
        self.wiped += 1
        return len(lost)
