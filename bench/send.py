"""`send`: the whole pipeline against the bare wire loop, both into the same dumb sink."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench.measure import Figure, Floors, Reading, Stopwatch
from bench.people import ACCOUNT, enrolled, installation
from bench.places import Asked, Place
from bench.sink import sink
from campana.channels.twilio_sms import CHANNEL
from campana.clock import boottime
from campana.core.durations import SECOND
from campana.core.ids import Id, new_id
from campana.core.message import Outgoing
from campana.store import counters
from campana.wire import Wire
from campana.wiring import Installation

FLOORS = {"SQLite": Floors(ratio=0.5, most_us=150), "PostgreSQL": Floors(ratio=0.4, most_us=200)}
PATIENCE = 60.0  # seconds without a message
PAUSE = 0.05


async def bare(url: str, n: int) -> Reading:
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


async def pipeline(campana: Installation, run_id: Id, n: int, place: Place) -> Reading:
    """N more messages through cut, start, call and settle: until so many are with the vendor, since the wheels began to turn."""
    already = await sent(campana, run_id)
    watch = Stopwatch(place.server_cpu)
    working = asyncio.create_task(campana.worker.run())
    found = watch.read(await until_sent(campana, run_id, already + n) - already)
    campana.worker.stop()
    await working
    return found


async def sent(campana: Installation, run_id: Id) -> int:
    """How many messages of the run are with the vendor."""
    return (await campana.house.db.read(counters.figures, [run_id]))[run_id]["people:sent"]


async def until_sent(campana: Installation, run_id: Id, n: int) -> int:
    """Returns when N messages of the run are with the vendor, or a few more: how many."""
    there, until = await sent(campana, run_id), time.monotonic() + PATIENCE
    while there < n:
        await asyncio.sleep(PAUSE)  # not whenever something is told: looking would cost what is measured
        before, there = there, await sent(campana, run_id)
        if there > before:
            until = time.monotonic() + PATIENCE
        elif time.monotonic() > until:
            raise RuntimeError(f"{there} of {n} messages are sent, and no more for {PATIENCE:.0f} s. Look for errors above.")
    return there


async def send(asked: Asked) -> list[Figure]:
    """One figure: messages handed over and settled, against bare requests, in turns."""
    limits, found = [], []
    with sink() as vendor:
        await bare(vendor.url, min(asked.n, 2000))  # warm
        for _ in range(asked.rounds):
            limits.append(await bare(vendor.url, asked.n))
            with tempfile.TemporaryDirectory() as folder:
                async with installation(asked.place.fresh(Path(folder)), Path(folder), vendor.url) as campana:
                    run_id = await enrolled(campana, asked.n)
                    found.append(await pipeline(campana, run_id, asked.n, asked.place))
    limit, name = Reading.middle(limits), asked.place.name
    said = f"bare wire loop ({limit.cpu_us:.0f} us)"
    return [Figure("send", name, "messages", Reading.middle(found), said, limit.per_second, FLOORS[name])]
