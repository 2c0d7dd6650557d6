"""`restart`: how soon a process with a backlog sends again."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench.measure import Figure
from bench.people import enrolled, installation
from bench.sink import sink
from campana.store import counters


async def restart(n: int) -> list[Figure]:
    """Opening with a backlog and settling the first message, against opening alone. Units are openings."""
    people = n * 10
    with sink() as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with installation(folder, url) as campana:
            run_id = await enrolled(campana, people)
        began, cpu = time.perf_counter(), time.process_time()
        async with installation(folder, url) as campana:
            opened = time.perf_counter() - began
            working = asyncio.create_task(campana.worker.run())
            while not (await campana.house.db.read(counters.figures, [run_id]))[run_id]["people:sent"]:
                await campana.bus.woken("live", 0.02)
            sending = time.perf_counter() - began
            used = (time.process_time() - cpu) * 1e6
            campana.worker.stop()
            await working
    return [Figure(f"restart with {people:,} queued", "openings", 1 / sending, used, "open alone", 1 / opened, least=1 / 5)]
