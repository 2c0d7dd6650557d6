"""`send`: the whole pipeline on SQLite (FULL) against the bare wire loop, both into the same dumb sink."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bench.measure import Figure, Stopwatch
from bench.people import ACCOUNT, enrolled, installation
from bench.sink import sink
from campana.channels.twilio_sms import CHANNEL
from campana.clock import boottime
from campana.core.durations import SECOND
from campana.core.ids import new_id
from campana.core.message import Outgoing
from campana.store import counters
from campana.wire import Wire


async def bare(url: str, n: int) -> tuple[float, float]:
    """N requests as fast as the wire takes them."""
    wire = Wire()
    settings = CHANNEL.settings.model_validate({k: v for k, v in ACCOUNT.items() if k != "kind"} | {"base_url": url})
    message = Outgoing(new_id(0), "+15550100", "+525510000000", {"text": "Hi Ana, see you on 2027-01-01."}, "http://x/hooks/sms")
    left = iter(range(n))
    watch = Stopwatch()

    async def loop() -> None:
        for _ in left:
            await wire.exchange(CHANNEL.build_request(settings, [message]), boottime() + 30 * SECOND)

    await asyncio.gather(*(loop() for _ in range(64)))
    found = watch.read(n)
    await wire.close()
    return found


async def pipeline(url: str, n: int, folder: Path) -> tuple[float, float]:
    """The same messages through cut, start, call and settle."""
    async with installation(folder, url) as campana:
        run_id = await enrolled(campana, n)
        watch = Stopwatch()
        working = asyncio.create_task(campana.worker.run())
        while (await campana.house.db.read(counters.figures, [run_id]))[run_id]["people:sent"] < n:
            await campana.bus.woken("live", 0.2)
        found = watch.read(n)
        campana.worker.stop()
        await working
    return found


async def send(n: int) -> list[Figure]:
    """One figure: messages handed over and settled, against bare requests."""
    with sink() as url, tempfile.TemporaryDirectory() as folder:
        await bare(url, min(n, 2000))  # warm
        limit, bare_cpu = await bare(url, n)
        rate, cpu = await pipeline(url, n, Path(folder))
    return [Figure("send, SQLite", "messages", rate, cpu, f"bare wire loop ({bare_cpu:.0f} us)", limit, 0.5, 150)]
