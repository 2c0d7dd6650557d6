"""`export`: everybody of a campaign as a file, against writing the same rows; and as many people copied into another draft."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TextIO

from sqlalchemy import Connection, select

from bench.archive import archive
from bench.measure import Figure, Floors, Memory, Reading, Stopwatch, memory_of
from bench.people import installation
from bench.places import Asked
from campana.core.ids import Id
from campana.core.missed import Choice
from campana.engine import exporting
from campana.engine.missed import Wish, make
from campana.engine.report import ENGLISH
from campana.store import audiences, drafts, missed
from campana.store.drafts import Author
from campana.store.schema import run
from campana.wiring import Installation

PEOPLE = 100  # for each message
TICK = 0.001  # seconds between two looks at the clock
LEAST = 50_000  # rows a second
MOST_MB = 150.0  # of the process that writes, and more than before of this one
MOST_MS = 50.0  # of a transaction that copies people


class Stalls:
    """The longest time, in milliseconds, in which nothing else could happen here."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Looks at the clock until it is cancelled."""
        before = time.perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            self.longest, before = max(self.longest, 1000 * (now - before - TICK)), now


@contextlib.asynccontextmanager
async def stalls() -> AsyncIterator[Stalls]:
    """How long others had to wait meanwhile."""
    found = Stalls()
    task = asyncio.create_task(found.watch())
    yield found
    task.cancel()


async def written(campana: Installation, campaign_id: Id, path: Path) -> tuple[int, float]:
    """The bytes of the file, and the most MB that the process which writes it held."""
    size, most, begun = 0, 0.0, list[Process]()
    start = exporting._start

    async def seen() -> Process:
        begun.append(await start())
        return begun[-1]

    exporting._start = seen
    with path.open("wb") as file:
        async for piece in exporting.Exports(campana.house.db, campana.settings.database, 0).audience(campaign_id, ENGLISH):
            size += len(piece)
            file.write(piece)
            with contextlib.suppress(OSError):  # it is done
                most = max(most, memory_of(begun[0].pid, "VmHWM"))
    exporting._start = start
    return size, most


def bare(source: TextIO, rows: int) -> Reading:
    """The same rows through csv.writer, and nothing else."""
    lines = list(csv.reader(source))[1:]
    watch, text = Stopwatch(), io.StringIO()
    for at in range(0, len(lines), 5_000):
        text.seek(0)
        csv.writer(text).writerows(lines[at : at + 5_000])
        text.getvalue().encode()
    return watch.read(rows)


def _campaign_of(c: Connection, run_id: Id) -> Id:
    found: Id = c.execute(select(run.c.campaign_id).where(run.c.id == run_id)).scalar_one()
    return found


async def export(asked: Asked) -> list[Figure]:
    """Rows of a file a second, and people a second into a draft. The floors are those of the issue."""
    people = asked.n * PEOPLE
    with tempfile.TemporaryDirectory() as folder:
        async with installation(asked.place.fresh(Path(folder)), Path(folder)) as campana:
            run_id = await archive(campana, people, others=2)
            campaign_id = await campana.house.db.read(_campaign_of, run_id)
            path = Path(folder) / "people.csv"
            memory, watch = Memory(), Stopwatch(asked.place.server_cpu)
            async with stalls() as stalled:
                size, writer = await written(campana, campaign_id, path)
            found, most = watch.read(people), memory.most()
            grown = most - memory.before if most else 0.0
            with path.open(encoding="utf-8-sig", newline="") as file:
                limit = bare(file, people)
            copied = await _copied(asked, campana, campaign_id, people)
    said = (
        f"{size / 1e6:.0f} MB of file, nobody else waited longer than {stalled.longest:.0f} ms, memory of the child that writes"
    )
    said += f" and {grown:.0f} MB more of this process"
    return [
        Figure(
            f"export of {people:,} people",
            asked.place.name,
            "rows",
            found,
            "csv.writer alone",
            limit.per_second,
            Floors(least=LEAST, most_mb=MOST_MB),
            mb=writer + grown,
            beside=said,
        ),
        copied,
    ]


async def _copied(asked: Asked, campana: Installation, campaign_id: Id, people: int) -> Figure:
    """Everybody who was not asked to be left alone, as the audience of a draft."""
    db, workspace_id = campana.house.db, campana.workspace_id
    of = await db.read(missed.source, workspace_id, campaign_id)
    if of is None:
        raise RuntimeError("The campaign is gone.")
    took: list[float] = []
    db._writers.ran = took.append
    watch = Stopwatch(asked.place.server_cpu)
    everybody = Choice(tuple(outcome for outcome in of.outcomes if outcome not in ("opted_out", "suppressed")))
    async with stalls() as stalled:
        made = await make(campana.readings, of, Wish("Copied", True, everybody), Author(None, "bench"), lambda c, made: None)
        await asyncio.gather(*campana.readings._tasks)
    reading, found = watch.read(people), await db.read(_audience, workspace_id, made)
    rows = found.summary.rows
    left_out = found.origin.left_out if found.origin else 0
    if rows + left_out != people:
        raise RuntimeError(f"Of {people:,} people {rows:,} were copied and {left_out:,} left out.")
    longest = 1000 * max(took)
    return Figure(
        f"{people:,} people into a draft",
        asked.place.name,
        "people",
        reading,
        "the floor of an export",
        LEAST,
        Floors(most_ms=MOST_MS if asked.place.name == "SQLite" else None),
        p99_ms=sorted(1000 * one for one in took)[int(0.99 * (len(took) - 1))],
        beside=f"longest transaction {longest:.0f} ms, nobody else waited longer than {stalled.longest:.0f} ms",
    )


def _audience(c: Connection, workspace_id: Id, campaign_id: Id) -> audiences.Audience:
    draft = drafts.load(c, workspace_id, campaign_id)
    found = audiences.load(c, workspace_id, draft.audience_id) if draft else None
    if found is None:
        raise RuntimeError("The draft is gone.")
    return found
