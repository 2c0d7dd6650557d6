"""`import`: a CSV read, checked and stored, against only parsing it. `cut`: waiting people into units, against bare inserts."""

from __future__ import annotations

import csv
import resource
import tempfile
from pathlib import Path

from bench.measure import Figure, Stopwatch
from bench.people import enrolled, installation, write_csv
from campana.core.campaign import AudienceSpec
from campana.engine.cut import cut
from campana.engine.load import load_audience
from campana.store.units import SIZE

COPY = "INSERT INTO bare SELECT id, due_at FROM recipient LIMIT ?"


async def audience(n: int) -> list[Figure]:
    """Rows of a file checked and stored. CPU is this process's; the child that reads is beside it."""
    rows = n * 10
    with tempfile.TemporaryDirectory() as folder:
        path = write_csv(Path(folder) / "people.csv", rows)
        watch = Stopwatch()
        with path.open(newline="") as file:
            parsed = sum(1 for _ in csv.reader(file)) - 1
        limit, _ = watch.read(parsed)
        async with installation(Path(folder), "http://127.0.0.1:9") as campana:
            watch = Stopwatch()
            await load_audience(campana.house, campana.workspace_id, path, AudienceSpec())
            rate, cpu = watch.read(rows)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [Figure(f"import (child {memory:.0f} MB)", "rows", rate, cpu, "parse only", limit, least=40_000)]


async def cutting(n: int) -> list[Figure]:
    """People cut into units from a backlog, against copying as many ids with one statement."""
    people = n * 10
    with tempfile.TemporaryDirectory() as folder:
        async with installation(Path(folder), "http://127.0.0.1:9") as campana:
            await enrolled(campana, people)
            db = campana.house.db
            await db.run(lambda c: c.exec_driver_sql("CREATE TABLE bare (id BLOB, due_at INTEGER)"))
            watch = Stopwatch()
            await db.run(lambda c: c.exec_driver_sql(COPY, (people // 2,)))
            limit, _ = watch.read(people // 2)
            watch, done = Stopwatch(), 0
            while done < people // 2:
                done += await db.run(cut, campana.house.clock.now())
                await db.run(lambda c: c.exec_driver_sql("UPDATE unit SET cursor = size"))  # as if they were sent at once
            rate, cpu = watch.read(done)
    return [Figure(f"cut, units of {SIZE}", "people", rate, cpu, "one INSERT ... SELECT", limit, least=15_000)]
