"""A vendor reduced to nothing: accepts whatever is posted to it, as fast as one process can, and remembers nothing.

With `tell` it tells receipts of what it accepted (sent, delivered, and read for every second message) by signed webhooks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import cast
from urllib.parse import unquote_plus, urlsplit

import httptools
import uvloop

from bench.hooks import told
from bench.lines import Clocked, Line

BODY = b'{"sid":"SM%032x","status":"queued"}'
HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY % 0)
ANSWER = HEAD + BODY
TO = re.compile(rb"\bTo=([^&]+)")
CALLBACK = re.compile(rb"\bStatusCallback=([^&]+)")
LINES = 64
RECEIPTS = 2.5


class Sink(asyncio.Protocol):
    """Accepts each request under a number of its own."""

    accepted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        Sink.accepted += 1
        self.transport.write(ANSWER % Sink.accepted)


class Telling(Sink):
    """Hands on what it accepted to somebody who tells receipts."""

    def __init__(self, accepted: Callable[[int, bytes], None]) -> None:
        self.hand_on = accepted
        self.body = b""

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.hand_on(Sink.accepted, self.body)
        self.body = b""


class Teller:
    """Tells the receipts of N messages, those of one message one after the other, and says on stdout when all are told."""

    def __init__(self, n: int) -> None:
        self.left = int(n * RECEIPTS)
        self.due: deque[tuple[int, str, str, int]] = deque()  # number, callback, to, step
        self.lines: list[Line] = []
        self.under_way: dict[Line, tuple[int, str, str, int]] = {}
        self.clocked = Clocked()

    async def connect(self, callback: str) -> None:
        """Opens its lines to where the first message says."""
        where, loop = urlsplit(callback), asyncio.get_running_loop()
        for _ in range(LINES):
            self.lines.append((await loop.create_connection(self._line, where.hostname, where.port))[1])
        for line in self.lines:
            line.go()

    def accepted(self, number: int, body: bytes) -> None:
        """One more message to tell of."""
        callback, to = CALLBACK.search(body), TO.search(body)
        if not callback or not to:
            raise RuntimeError(f"A message without a callback or an address: {body!r}.")
        self.due.append((number, unquote_plus(callback[1].decode()), unquote_plus(to[1].decode()), 0))
        if number == 1:
            self.connecting = asyncio.create_task(self.connect(self.due[0][1]))
        for line in self.lines:
            if not line.busy:
                line.go()
                break

    def _line(self) -> Line:
        line = Line(lambda: self._next(line), self._answered)
        return line

    def _next(self, line: Line) -> bytes | None:
        if not self.due:
            return None
        self.under_way[line] = number, callback, to, step = self.due.popleft()
        return told(callback, f"SM{number:032x}", to, ("sent", "delivered", "read")[step])

    def _answered(self, line: Line, code: int, seconds: float) -> None:
        self.clocked.note(code, seconds)
        number, callback, to, step = self.under_way[line]
        if step < 1 or (step == 1 and number % 2 == 0):
            self.due.append((number, callback, to, step + 1))
        self.left -= 1
        if not self.left:
            print(json.dumps(self.clocked.facts()), flush=True)


async def serve(tell: int) -> None:
    """Serves until the process is ended; says its port first."""
    teller = Teller(tell) if tell else None
    factory: Callable[[], Sink] = (lambda: Telling(teller.accepted)) if teller else Sink
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Process:
    """A sink in a process of its own."""

    def __init__(self, tell: int) -> None:
        command = [sys.executable, "-m", "bench.sink", str(tell)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.line())}"

    def line(self) -> str:
        """The next line it says: with `tell`, how telling went, once all is told."""
        if self.process.stdout is None or not (said := self.process.stdout.readline()):
            raise RuntimeError("The sink has ended; what it said stands above.")
        return said


@contextlib.contextmanager
def sink(tell: int = 0) -> Iterator[Process]:
    """A sink; with `tell` it tells the receipts of so many messages."""
    found = Process(tell)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
