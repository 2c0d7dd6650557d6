"""`import`: a CSV read, checked and stored, against only parsing it. `cut`: waiting people into units, against a bare copy."""

from __future__ import annotations

import csv
import resource
import tempfile
from pathlib import Path
from statistics import median

from sqlalchemy import text

from bench.backlog import backlog, known_to_planner
from bench.measure import Figure, Floors, Memory, Reading, Stopwatch
from bench.people import installation, write_csv
from bench.places import Asked
from campana.core.campaign import AudienceSpec
from campana.engine.cut import cut
from campana.engine.load import load_audience
from campana.store.units import SIZE

FILE = 100  # people for each message
COPY = text("INSERT INTO bare SELECT id, due_at FROM recipient LIMIT :n")


def parsed(path: Path) -> Reading:
    """The file's rows read, and nothing done with them."""
    watch = Stopwatch()
    with path.open(newline="") as file:
        return watch.read(sum(1 for _ in csv.reader(file)) - 1)


async def audience(asked: Asked) -> list[Figure]:
    """Rows of a file checked and stored. CPU and memory are this process's; those of the child that reads are beside it."""
    rows = asked.n * FILE
    limits, found, memories = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = write_csv(Path(folder) / "people.csv", rows)
        for _ in range(max(1, asked.rounds - 1)):
            limits.append(parsed(path))
            with tempfile.TemporaryDirectory() as data:
                async with installation(asked.place.fresh(Path(data)), Path(data)) as campana:
                    memory, watch = Memory(), Stopwatch(asked.place.server_cpu)
                    await load_audience(campana.house, campana.workspace_id, path, AudienceSpec())
                    found.append(watch.read(rows))
                    memories.append(memory.most() or 0.0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    limit = Reading.middle(limits)
    figure = Figure(
        f"import of {rows:,} rows",
        asked.place.name,
        "rows",
        Reading.middle(found),
        "parse only",
        limit.per_second,
        Floors(least=40_000, most_mb=150),
        mb=median(memories) or None,
        beside=f"{memory.before:.0f} MB before, the child that reads {used.ru_maxrss / 1024:.0f} MB",
    )
    return [figure]


async def cutting(asked: Asked) -> list[Figure]:
    """People cut into units from a backlog, against copying as many ids with one statement."""
    people, limits, found = asked.n * FILE, [], []
    with tempfile.TemporaryDirectory() as folder:
        async with installation(asked.place.fresh(Path(folder)), Path(folder)) as campana:
            db = campana.house.db
            await backlog(campana, people, "bench")
            await db.run(known_to_planner)
            kinds = ("BYTEA", "BIGINT") if asked.place.name == "PostgreSQL" else ("BLOB", "INTEGER")
            await db.run(lambda c: c.exec_driver_sql("CREATE TABLE bare (id {}, due_at {})".format(*kinds)))
            for _ in range(asked.rounds):
                share = max(1, people // (2 * asked.rounds))
                watch = Stopwatch(asked.place.server_cpu)
                await db.run(lambda c: c.execute(COPY, {"n": share}))  # noqa: B023 - awaited at once
                limits.append(watch.read(share))
                watch, done = Stopwatch(asked.place.server_cpu), 0
                while done < share:
                    done += await db.run(cut, campana.house.clock.now())
                    await db.run(lambda c: c.exec_driver_sql("UPDATE unit SET cursor = size"))  # as if they were sent at once
                found.append(watch.read(done))
    limit = Reading.middle(limits).per_second
    name = f"cut from {people:,} into units of {SIZE}"
    floors = Floors(least=15_000)
    return [Figure(name, asked.place.name, "people", Reading.middle(found), "one INSERT ... SELECT", limit, floors)]
