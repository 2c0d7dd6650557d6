"""`restart`: how soon a process with a backlog sends again."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench.audience import FILE
from bench.backlog import backlog, known_to_planner
from bench.measure import Figure, Floors, Reading
from bench.people import installation
from bench.places import Asked
from bench.send import sent, until_sent
from bench.sink import sink


async def restart(asked: Asked) -> list[Figure]:
    """Opening with a backlog and settling the first message, against opening alone. Units are openings."""
    people, alone, found = asked.n * FILE, [], []
    with sink() as vendor, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = asked.place.fresh(folder)
        async with installation(database, folder, vendor.url) as campana:
            run_id = await backlog(campana, people, "bench")
            await campana.house.db.run(known_to_planner)
            already = 0
        for _ in range(asked.rounds):
            began, cpu, beside = time.perf_counter(), time.process_time(), asked.place.server_cpu()
            async with installation(database, folder, vendor.url) as campana:
                alone.append(Reading(1 / (time.perf_counter() - began), 0))
                working = asyncio.create_task(campana.worker.run())
                await until_sent(campana, run_id, already + 1)
                sending = time.perf_counter() - began
                used, theirs = (time.process_time() - cpu) * 1e6, (asked.place.server_cpu() - beside) * 1e6
                found.append(Reading(1 / sending, used, theirs))
                campana.worker.stop()
                await working
                already = await sent(campana, run_id)
    limit = Reading.middle(alone).per_second
    said = f"restart with {people:,} queued"
    return [Figure(said, asked.place.name, "openings", Reading.middle(found), "open alone", limit, Floors(least=1 / 5))]
