"""`restart`: how soon a process that is started anew sends again, with a backlog behind it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import uvloop

from bench.audience import FILE
from bench.backlog import backlog, known_to_planner
from bench.measure import Figure, Floors, Reading
from bench.people import installation
from bench.places import Asked
from bench.send import sent, until_sent
from bench.sink import sink
from campana.core.ids import Id


async def restarted(database: str, folder: Path, vendor: str, run_id: Id) -> None:
    """What the new process does: opens, says so, sends, says so with the CPU it has used by then."""
    async with installation(database, folder, vendor) as campana:
        already = await sent(campana, run_id)
        print("open", flush=True)
        working = asyncio.create_task(campana.worker.run())
        await until_sent(campana, run_id, already + 1)
        print(time.process_time(), flush=True)
        campana.worker.stop()
        await working


async def once(asked: Asked, database: str, folder: str, vendor: str, run_id: Id) -> tuple[Reading, Reading]:
    """Opening alone, and opening and having sent, from the moment the process was started."""
    began, beside = time.perf_counter(), asked.place.server_cpu()
    command = [sys.executable, "-m", "bench.restart", database, folder, vendor, run_id.hex()]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    said = process.stdout
    if said is None or not await said.readline():
        raise RuntimeError("The process that was started anew has ended; what it said stands above.")
    opened = time.perf_counter() - began
    cpu = float(await said.readline())
    sending, theirs = time.perf_counter() - began, asked.place.server_cpu() - beside
    await process.wait()
    return Reading(1 / opened, 0), Reading(1 / sending, cpu * 1e6, theirs * 1e6)


async def restart(asked: Asked) -> list[Figure]:
    """Starting with a backlog until the first message is settled, against starting and opening alone. Units are starts."""
    people = asked.n * FILE
    with sink() as vendor, tempfile.TemporaryDirectory() as folder:
        database = asked.place.fresh(Path(folder))
        async with installation(database, Path(folder), vendor.url) as campana:
            run_id = await backlog(campana, people, "bench")
            await campana.house.db.run(known_to_planner)
        rounds = [await once(asked, database, folder, vendor.url, run_id) for _ in range(asked.rounds)]
    limit = Reading.middle([opened for opened, _ in rounds]).per_second
    found = Reading.middle([sending for _, sending in rounds])
    floors, beside = Floors(least=1 / 5), f"sending after {1 / found.per_second:.1f} s"
    return [
        Figure(f"restart with {people:,} queued", asked.place.name, "starts", found, "open alone", limit, floors, beside=beside)
    ]


if __name__ == "__main__":
    database_, folder_, vendor_, run_ = sys.argv[1:]
    uvloop.run(restarted(database_, Path(folder_), vendor_, bytes.fromhex(run_)))
