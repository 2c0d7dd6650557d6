"""What machines ask of a process: does it turn (/healthz), may it be given work (/readyz), how is it doing (/metrics).

The first two are answered to anybody, for they name nobody and show nothing; /metrics is for this machine, or for who knows the
token of CAMPANA_METRICS_TOKEN.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any, Generic, TypeVar

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from campana import __version__
from campana.bus.contract import INGEST, Bus
from campana.clock import Clock
from campana.core.exchange import Answer
from campana.metrics import Metrics
from campana.store import health as store
from campana.web.exposition import CONTENT_TYPE, expose, of_bus, of_process, of_store
from campana.web.gateway import headers_of, say
from campana.web.hosts import is_local
from campana.web.listen import serve_until

ANSWER_SECONDS = 1.0  # the store and the bus answer within this, or count as away
FIGURES_SECONDS = 5.0  # the store's figures are read no more often than this, however often they are asked for
READY_SECONDS = 0.5
HEALTHY = Answer(200, b"It works.\n")
READY = Answer(200, b"It is ready.\n")
METHOD = Answer(405, b"Ask with GET.\n")
NOT_YOURS = Answer(
    403, b"Figures are told to this machine. Elsewhere ask with Authorization: Bearer and the token of CAMPANA_METRICS_TOKEN.\n"
)
NOTHING = Answer(404, b"Only /healthz, /readyz and /metrics are here.\n")
STOPPING = "It is stopping: what was handed over is being settled, and nothing new is taken."
STORE_LATE = "The database did not answer within a second. See whether it runs, and how busy it is."
STORE_AWAY = "The database cannot be asked. See whether it runs; Campana goes on as soon as it answers."
BUS_AWAY = "The bus cannot be asked. See whether its servers run; Campana goes on as soon as they answer."
T = TypeVar("T")

log = structlog.get_logger("campana.health")


class Shared(Generic[T]):
    """A reading for all who ask within some seconds. It is never made twice at once."""

    def __init__(self, read: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._read, self._seconds = read, seconds
        self._reading: asyncio.Task[T] | None = None
        self._fresh_until = 0.0

    async def get(self) -> T:
        """What was read last; read anew when that is too long ago."""
        if self._reading is None or (self._reading.done() and asyncio.get_running_loop().time() >= self._fresh_until):
            self._reading = asyncio.create_task(self._once())
            self._reading.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever asked may be gone
        return await asyncio.shield(self._reading)

    async def _once(self) -> T:
        try:
            return await self._read()
        finally:
            self._fresh_until = asyncio.get_running_loop().time() + self._seconds


@dataclass
class Health:
    """One process, as machines may ask after it."""

    role: str
    metrics: Metrics
    read: Callable[..., Awaitable[Any]]  # the store's: a function of a connection, and its arguments
    clock: Clock
    bus: Bus
    stopping: Callable[[], bool] = lambda: False
    dead: Callable[[], Sequence[str]] = list  # wheels that turn no more, though nobody stopped them
    token: str | None = field(default=None, repr=False)  # who knows it may ask for figures from elsewhere
    _trouble: Shared[str | None] = field(init=False)
    _figures: Shared[store.Figures] = field(init=False)
    _holds: Shared[int] = field(init=False)

    def __post_init__(self) -> None:
        self._trouble = Shared(self._look_for_trouble, READY_SECONDS)
        self._figures = Shared(lambda: self.read(store.figures, self.clock.now()), FIGURES_SECONDS)
        self._holds = Shared(lambda: self.bus.held(INGEST), READY_SECONDS)

    def healthy(self) -> Answer:
        """200 as long as every wheel turns. That there is an answer says that the event loop does."""
        dead = self.dead()
        if not dead:
            return HEALTHY
        return Answer(500, f"Turns no more: {', '.join(dead)}. Start the process again; nothing is lost by that.\n".encode())

    async def ready(self) -> Answer:
        """200 when this process may be given work, else 503 with a sentence that says why not."""
        trouble = None if self.stopping() else await self._trouble.get()
        if self.stopping():
            trouble = STOPPING
        return READY if trouble is None else Answer(503, f"{trouble}\n".encode())

    async def _look_for_trouble(self) -> str | None:
        bus_says = in_time(self._holds)
        of_store, held = await asyncio.gather(self._store_trouble(), bus_says)
        return of_store or (BUS_AWAY if held is None else None)

    async def _store_trouble(self) -> str | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found: str | None = await self.read(store.unready)
                return found
        except TimeoutError:
            return STORE_LATE
        except Exception as error:
            log.warning("not_ready", error=type(error).__name__)
            return STORE_AWAY

    async def exposition(self) -> Answer:
        """Everything that is counted. What cannot be asked just now is left away, and said to be away."""
        store_says, bus_says = in_time(self._figures), in_time(self._holds)
        figures, held = await asyncio.gather(store_says, bus_says)
        of_us = of_process(self.metrics, __version__, self.role, self.stopping())
        of_streams = of_bus(held, self.bus.lost, self.bus.wiped)
        return Answer(200, expose([*of_us, *of_streams, *of_store(figures)]), CONTENT_TYPE)


async def in_time(reading: Shared[T]) -> T | None:
    """What was read; None when there is no answer, or it takes too long."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await reading.get()
    except Exception as error:
        log.warning("not_read", error=type(error).__name__)
        return None


def probed(health: Health, app: ASGIApp) -> ASGIApp:
    """The application with /healthz and /readyz before it, for whoever asks and by whatever name."""

    async def healthy() -> Answer:
        return health.healthy()

    return _answering({"/healthz": healthy, "/readyz": health.ready}, app)


def measured(health: Health, app: ASGIApp) -> ASGIApp:
    """The application with /metrics before it."""
    figures, refusal = _answering({"/metrics": health.exposition}, app), _answering({"/metrics": _not_yours}, app)

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        may = scope["type"] == ScopeType.HTTP and (is_local(scope) or _knows(scope, health.token))
        await (figures if may else refusal)(scope, receive, send)

    return asked


def _knows(scope: Scope, token: str | None) -> bool:
    said = headers_of(scope).get("authorization", "")
    return bool(token) and compare_digest(said.encode(), f"Bearer {token}".encode())


async def _not_yours() -> Answer:
    return NOT_YOURS


def _answering(known: dict[str, Callable[[], Awaitable[Answer]]], app: ASGIApp) -> ASGIApp:
    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["path"] not in known:
            await app(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            await say(send, await known[scope["path"]]())
        else:
            await say(send, METHOD)

    return answering


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == ScopeType.HTTP:
        await say(send, NOTHING)


async def serve_health(
    health: Health, host: str, port: int, stop: asyncio.Event, bound: Callable[[int], None] = lambda port: None
) -> None:
    """Answers machines, and nobody else, until `stop` is set: for a process that has no web side. Raises PortTaken."""
    app = probed(health, measured(health, _nothing))
    await serve_until(stop, app, host, port, bound, setting="CAMPANA_HEALTH_PORT")
