"""HTTP as a stand-in needs it: answers in order, and full control over when a connection is cut or left without an answer."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

import httptools

from campana.core.exchange import Request, Response
from campana.standin.messages import Reply

MAX_BODY = 2 * 1024 * 1024
MAX_HEAD = 64 * 1024
HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")
BACKLOG = 128  # requests on one connection that wait for their turn

Handle = Callable[[Request], Reply]


class Connection(asyncio.Protocol):
    """One connection: requests are handled one after the other, as they came."""

    def __init__(self, handle: Handle, open_ones: set[Connection]) -> None:
        self._handle, self._open_ones = handle, open_ones
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._queue: deque[tuple[Request, bool]] = deque()
        self._late: tuple[Response, bool] | None = None
        self._busy = self._last = False
        self._start()

    def _start(self) -> None:
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._size = self._head = 0

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own transports are no subclass of it
        self._open_ones.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._open_ones.discard(self)
        if self._timer:
            self._timer.cancel()
        self._transport = None
        self._queue.clear()

    def data_received(self, data: bytes) -> None:
        """Bytes of one or more requests."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(HTTPStatus.NOT_IMPLEMENTED)
        except httptools.HttpParserError:
            self._fail(HTTPStatus.BAD_REQUEST)
        self._next()

    # httptools

    def on_url(self, url: bytes) -> None:
        """A part of the path."""
        self._url += url
        self._grow_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))
        self._grow_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """The client may wait for a word before it sends the body."""
        if self._transport and any(name == "expect" for name, _ in self._headers):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._size += len(body)
        if self._size > MAX_BODY:
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """One request is whole."""
        host = next((value for name, value in self._headers if name == "host"), "localhost")
        path = self._url.decode("latin-1")
        if not path.startswith("/") or not HOST.fullmatch(host):
            self._fail(HTTPStatus.BAD_REQUEST)
            return
        request = Request(
            self._parser.get_method().decode("latin-1"),
            f"http://{host}{path}",
            tuple(self._headers),
            b"".join(self._body),
        )
        self._queue.append((request, self._parser.should_keep_alive()))
        if len(self._queue) > BACKLOG:
            self._fail(HTTPStatus.TOO_MANY_REQUESTS)
        self._start()

    def _grow_head(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            self._fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    # Answering

    def _next(self) -> None:
        while self._queue and not self._busy and self._transport and not self._transport.is_closing():
            request, keep = self._queue.popleft()
            self._end(self._handle(request), keep)

    def _end(self, reply: Reply, keep: bool) -> None:
        if not (reply.cut or reply.hang or reply.delay):
            self._answer(reply.response, keep)
            return
        self._busy = True
        loop = asyncio.get_running_loop()
        if reply.cut or reply.hang:
            self._timer = loop.call_later((reply.hang or reply.delay) / 1_000_000, self.cut)
        else:
            self._late = (reply.response, keep)
            self._timer = loop.call_later(reply.delay / 1_000_000, self._answer_late)

    def _answer_late(self) -> None:
        late, self._late, self._busy = self._late, None, False
        if late:
            self._answer(*late)
        self._next()

    def _answer(self, response: Response, keep: bool) -> None:
        if not self._transport:
            return
        keep = keep and not self._last
        self._transport.write(encode(response, keep))
        if not keep:
            self._transport.close()

    def cut(self) -> None:
        """Cuts the connection, whatever is under way on it."""
        if self._transport:
            self._transport.abort()

    def leave(self) -> None:
        """Ends the connection; an answer that was to come late leaves now."""
        self._last = True
        if self._late:
            self._answer_late()
        elif self._transport:
            self._transport.close()

    def _fail(self, status: HTTPStatus) -> None:
        self._queue.clear()
        if self._transport and not self._transport.is_closing():
            self._transport.write(encode(Response(status, {"content-type": "text/plain"}, status.phrase.encode()), False))
            self._transport.close()


def encode(response: Response, keep: bool) -> bytes:
    """The bytes of one answer."""
    phrase = HTTPStatus(response.code).phrase
    lines = [f"HTTP/1.1 {response.code} {phrase}", *(f"{name}: {value}" for name, value in response.headers.items())]
    lines.append(f"content-length: {len(response.body)}")
    if not keep:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + response.body
