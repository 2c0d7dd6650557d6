"""The stand-ins as a real HTTP server that really sends its webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from campana.clock import Clock, SystemClock, boottime
from campana.core.exchange import Request, Response
from campana.standin.config import StandinConfig, demo_config, load_config
from campana.standin.connection import Connection
from campana.standin.control import PREFIX, Control
from campana.standin.infobip import Infobip
from campana.standin.ledger import LedgerFile, Line, Notes, read_lines
from campana.standin.messages import Reply
from campana.standin.telling import Webhook
from campana.standin.twilio import Twilio
from campana.standin.vendors import Vendors
from campana.standin.whatsapp import WhatsApp
from campana.wire import Wire

log = logging.getLogger(__name__)
HOST = "127.0.0.1"  # a stand-in is no fortress: it is for this machine only


class _Watched:
    """A ledger that wakes those who wait for something to happen."""

    def __init__(self, ledger: LedgerFile | Notes, wake: Callable[[], None]) -> None:
        self.ledger, self._wake = ledger, wake

    def write(self, line: Line) -> None:
        self.ledger.write(line)
        self._wake()


class Standin:
    """All vendors on one port of this machine. Use it as `async with Standin(config) as standin`."""

    def __init__(self, config: StandinConfig, port: int = 0, ledger: Path | None = None, clock: Clock | None = None) -> None:
        self.config, self.port, self.path = config, port, ledger
        self._clock = clock or SystemClock()
        self._ledger = LedgerFile(ledger) if ledger else Notes()
        self.vendors = Vendors(config, _Watched(self._ledger, self._changed))
        self._control = Control(self.vendors, ledger)
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiters: set[asyncio.Future[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: int | None = None
        self._closing = False

    @property
    def url(self) -> str:
        """The address of this stand-in, for all vendors."""
        return f"http://{HOST}:{self.port}"

    @property
    def twilio(self) -> Twilio:
        """Twilio's part."""
        return self.vendors.twilio

    @property
    def whatsapp(self) -> WhatsApp:
        """WhatsApp's part."""
        return self.vendors.whatsapp

    @property
    def infobip(self) -> Infobip:
        """Infobip's part."""
        return self.vendors.infobip

    @property
    def lines(self) -> list[Line]:
        """The whole ledger."""
        return self._ledger.lines if isinstance(self._ledger, Notes) else list(read_lines(self._ledger.path))

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._wire = Wire(self.config.connections)
        self.vendors.open(read_lines(self.path) if self.path else (), self._clock.now())
        self._server = await self._loop.create_server(lambda: Connection(self._handle, self._connections), HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._set_alarm()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing = True
        self._server.close()
        if self._alarm:
            self._alarm.cancel()
        for connection in tuple(self._connections):
            connection.leave()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._wire.close()
        for connection in tuple(self._connections):
            connection.cut()
        self.vendors.close(self._clock.now())
        if isinstance(self._ledger, LedgerFile):
            self._ledger.close()

    def _handle(self, request: Request) -> Reply:
        now = self._clock.now()
        try:
            if urlsplit(request.url).path.startswith(PREFIX):
                reply = Reply(self._control.answer(request, now))
            else:
                reply = self.vendors.handle(request, now)
        except Exception:
            log.exception("The stand-in could not answer %s %s", request.method, request.url)
            reply = Reply(Response(500, {"content-type": "text/plain"}, b"The stand-in itself is broken; see its log."))
        self._set_alarm()
        return reply

    # Webhooks

    def _set_alarm(self) -> None:
        """Sees to it that somebody wakes up when the next webhook is due."""
        at = self.vendors.next_due()
        if at is None or len(self._tasks) >= self.config.connections or (self._alarm_at is not None and self._alarm_at <= at):
            return
        if self._alarm:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_later(max(0, at - self._clock.now()) / 1_000_000, self._ring)

    def _ring(self) -> None:
        self._alarm = self._alarm_at = None
        # What waits for a connection waits here: a webhook's time limit begins when it goes out.
        for webhook in self.vendors.due(self._clock.now(), self.config.connections - len(self._tasks)):
            task = self._loop.create_task(self._tell(webhook))
            self._tasks.add(task)
            task.add_done_callback(self._told)
        self._set_alarm()

    async def _tell(self, webhook: Webhook) -> None:
        result = await self._wire.exchange(webhook.request, boottime() + webhook.timeout)
        answer = result.code if isinstance(result, Response) else None
        self.vendors.done(webhook, answer, self._clock.now())

    def _told(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("The stand-in could not tell something", exc_info=error)
        if not self._closing:
            self._set_alarm()

    # For tests

    def poke(self) -> None:
        """To be called after the vendors were asked directly for something that is to be told."""
        self._set_alarm()

    def hear(self, vendor: str, person: str, text: str, to: str = "", quotes: str = "") -> str:
        """A person writes, now. Returns the vendor's id of what they wrote."""
        known = self.vendors.by_name[vendor]
        key = known.hear(person, to or known.senders[0], text, self._clock.now(), quotes)
        self._set_alarm()
        return key

    async def until(self, reached: Callable[[Counter[str]], bool]) -> Counter[str]:
        """Waits until the counts are as wished, and returns them; it looks whenever something has happened."""
        while not reached(counts := self.vendors.counts()):
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            await waiter
        return counts

    def _changed(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)  # it looks in the loop's next turn, when what was noted is done with
        self._waiters.clear()


async def serve(config: StandinConfig, port: int, ledger: Path | None) -> None:
    """Runs until SIGINT or SIGTERM; the address is the first line of stdout."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    async with Standin(config, port, ledger) as standin:
        print(standin.url, flush=True)  # noqa: T201 - whoever started us reads it
        await stop.wait()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it runs; it does not on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(config_path: Path | None, port: int, ledger_path: Path | None) -> int:
    """The command: serves until it is told to stop. Returns the exit code."""
    try:
        config = load_config(config_path) if config_path else demo_config()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(config, port, ledger_path))
    except OSError as error:
        print(f"Cannot serve on port {port}: {error.strerror}. Choose another with --port.", file=sys.stderr)  # noqa: T201
        return 1
    except ValueError as error:  # a bad configuration, a damaged ledger
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0
