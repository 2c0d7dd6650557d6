"""`life`: a message from the backlog to its last receipt: sent, delivered, for every second also read, all of them durable."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from bench import ingest, send
from bench.measure import Figure, Floors, Reading, Stopwatch
from bench.people import enrolled, installation
from bench.places import Asked
from bench.sink import RECEIPTS, Process, sink
from campana.core.ids import Id
from campana.store import counters, inbox
from campana.wiring import Installation

FLOORS = Floors(most_us=500)


async def whole_lives(campana: Installation, vendor: Process, run_id: Id, asked: Asked) -> tuple[Reading, dict[str, float]]:
    """Serves until all is sent, all receipts are told, and the last of them is understood."""
    db = campana.house.db
    watch = Stopwatch(asked.place.server_cpu)
    serving = asyncio.create_task(campana.serve())
    told = asyncio.create_task(asyncio.to_thread(vendor.line))
    await send.until_sent(campana, run_id, asked.n)
    await asyncio.wait({serving, told}, timeout=send.PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    while await db.read(inbox.size):  # noqa: ASYNC110 - looking whenever something is told would cost what is measured
        await asyncio.sleep(send.PAUSE)
    found = watch.read(asked.n)
    figures = (await db.read(counters.figures, [run_id]))[run_id]
    campana.stop.set()
    await serving
    if figures["outcome:delivered"] != asked.n:
        raise RuntimeError(f"{asked.n} messages were told delivered, and the books say {dict(figures)}.")
    facts: dict[str, float] = json.loads(await told)
    if facts["bad"]:
        raise RuntimeError(f"Not every receipt was taken: {facts['bad']}. A figure of refusals would say nothing.")
    return found, facts


async def life(asked: Asked) -> list[Figure]:
    """One figure: whole lives a second, against the bare wire and the bare server one after the other."""
    limits, found, p99 = [], [], []
    for _ in range(asked.rounds):
        with sink(tell=asked.n) as vendor, tempfile.TemporaryDirectory() as folder:
            async with installation(asked.place.fresh(Path(folder)), Path(folder), vendor.url) as campana:
                run_id = await enrolled(campana, asked.n)
                reading, facts = await whole_lives(campana, vendor, run_id, asked)
        found.append(reading)
        p99.append(facts["p99_ms"])
        with sink() as vendor:
            out, back = await send.bare(vendor.url, asked.n), await ingest.bare(asked.n)
        limits.append(Reading(1 / (1 / out.per_second + RECEIPTS / back.per_second), out.cpu_us + RECEIPTS * back.cpu_us))
    limit = Reading.middle(limits)
    said = f"bare wire and {RECEIPTS} x bare ingest ({limit.cpu_us:.0f} us)"
    beside = f"receipts answered p99 {sorted(p99)[len(p99) // 2]:.0f} ms"
    name = asked.place.name
    return [Figure("life", name, "messages", Reading.middle(found), said, limit.per_second, FLOORS, beside=beside)]
