"""`ingest`: webhooks taken, verified and durable, against the same server answering a constant."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median

from litestar.types import ASGIApp, Receive, Scope, Send

from bench.load import Load
from bench.measure import Figure, Floors, Reading, Stopwatch
from bench.people import installation
from bench.places import Asked, Place
from bench.sink import sink
from campana.store import inbox
from campana.web.listen import serve_until
from campana.wiring import Installation

FLOORS = Floors(least=6000, most_ms=50)


async def constant(scope: Scope, receive: Receive, send: Send) -> None:
    """Hears the whole request, and answers the same always."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


@contextlib.asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """Serves on a free port of loopback; yields the address."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_until(stop, app, "127.0.0.1", 0, port.set_result))
    try:
        yield f"http://127.0.0.1:{await port}"
    finally:
        stop.set()
        await serving


@contextlib.asynccontextmanager
async def gateway(campana: Installation) -> AsyncIterator[str]:
    """The installation's web side alone, no wheel turning; yields where an account's webhooks come to."""
    async with served(campana.app) as address:
        campana.public_url = address
        yield f"{address}/hooks/sms"
    await campana.gateway.close()


async def measured(
    url: str, n: int, place: Place | None = None, meanwhile: AbstractAsyncContextManager[None] | None = None
) -> tuple[Reading, dict[str, float]]:
    """What N webhooks come to: by the load's own clock, as this process's CPU, and how long each took."""
    load = await Load.prepare(url, n)
    async with meanwhile or contextlib.nullcontext():
        watch = Stopwatch(place.server_cpu if place else lambda: 0.0)
        facts = await load.go()
        used = watch.read(n)
    return Reading(facts["n"] / facts["seconds"], used.cpu_us, used.server_us), facts


async def bare(n: int) -> Reading:
    """The same server answering a constant."""
    async with served(constant) as url:
        return (await measured(f"{url}/hooks/sms", n))[0]


async def ingest(asked: Asked) -> list[Figure]:
    """One figure: webhooks that were answered 200, all of them in the inbox afterwards."""
    limits, found, times = [], [], []
    with sink() as other:
        alone = (await measured(f"{other.url}/hooks/sms", asked.n))[0].per_second  # accepts: the load process's own limit
    for _ in range(asked.rounds):
        limits.append(await bare(asked.n))
        with tempfile.TemporaryDirectory() as folder:
            async with installation(asked.place.fresh(Path(folder)), Path(folder)) as campana, gateway(campana) as url:
                reading, facts = await measured(url, asked.n, asked.place)
                kept = await campana.house.db.read(inbox.size)
        if kept != asked.n:
            raise RuntimeError(f"{asked.n} webhooks were answered 200, and {kept} are in the inbox.")
        found.append(reading)
        times.append(facts)
    limit = Reading.middle(limits)
    figure = Figure(
        "ingest",
        asked.place.name,
        "webhooks",
        Reading.middle(found),
        f"the same server answering a constant ({limit.cpu_us:.0f} us)",
        limit.per_second,
        FLOORS,
        p50_ms=median(one["p50_ms"] for one in times),
        p99_ms=median(one["p99_ms"] for one in times),
        beside=f"the load process alone {alone:,.0f}/s",
    )
    return [figure]
