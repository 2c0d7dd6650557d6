"""Kept-alive connections that say one request after the other, and how long each answer took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

import httptools


class Line(asyncio.Protocol):
    """One connection: it says what `ask` gives as soon as it has its last answer; without any it rests until `go`."""

    def __init__(self, ask: Callable[[], bytes | None], answered: Callable[[Line, int, float], None]) -> None:
        self.ask, self.answered = ask, answered
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpResponseParser(self)

    def go(self) -> None:
        """Says the next thing, unless an answer is still awaited."""
        if self.busy:
            return
        request = self.ask()
        if request is not None:
            self.busy, self.began = True, time.perf_counter()
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.busy = False
        code: int = self.parser.get_status_code()
        self.answered(self, code, time.perf_counter() - self.began)
        self.parser = httptools.HttpResponseParser(self)
        self.go()

    def connection_lost(self, error: Exception | None) -> None:
        if self.busy:
            raise RuntimeError(f"The server hung up on a request it had not answered: {error}.")


class Clocked:
    """Answers by code, and how long they took."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.bad: dict[int, int] = {}
        self.began = time.perf_counter()

    def note(self, code: int, seconds: float) -> None:
        """One more answer."""
        self.took.append(seconds)
        if code not in (200, 201):
            self.bad[code] = self.bad.get(code, 0) + 1

    def facts(self) -> dict[str, object]:
        """What a benchmark asks of it."""
        ordered = sorted(self.took)
        at = {p: ordered[min(len(ordered) - 1, len(ordered) * p // 100)] * 1000 for p in (50, 99)}
        seconds = time.perf_counter() - self.began
        return {"n": len(ordered), "seconds": seconds, "p50_ms": at[50], "p99_ms": at[99], "bad": self.bad}
