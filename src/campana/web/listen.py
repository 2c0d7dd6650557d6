"""Serves an ASGI application inside the running event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from litestar.types import ASGIApp

GRACE = 5  # seconds that answers in flight have when the server stops


class PortTaken(OSError):
    """The address cannot be listened on. The sentence says what to do."""


class _Server(uvicorn.Server):
    """Signals belong to whoever owns the event loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sentence = f"Port {port} is taken by another program. Stop it, or choose another port with {setting}."
        else:
            sentence = f"Cannot listen on {host} port {port}: {error.strerror}. Choose others with CAMPANA_HOST and {setting}."
        raise PortTaken(sentence) from error


async def serve_until(
    stop: asyncio.Event,
    app: ASGIApp,
    host: str,
    port: int,
    bound: Callable[[int], None] = lambda port: None,
    ending: Callable[[], None] = lambda: None,
    setting: str = "CAMPANA_PORT",
) -> None:
    """Serves until `stop` is set. `bound` is told the port, once requests are taken; `ending` ends answers that have no end.

    Raises PortTaken when the address is not free; `setting` is what the sentence tells to change.
    """
    listener = _listen(host, port, setting)
    server = _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody's word for who asks is taken
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
    )

    async def end_when_told() -> None:
        await stop.wait()
        ending()
        server.should_exit = True

    told = asyncio.create_task(end_when_told())
    bound(listener.getsockname()[1])  # connections wait in the backlog until the server takes them
    try:
        await server.serve(sockets=[listener])
    finally:
        told.cancel()
        ending()
        listener.close()
