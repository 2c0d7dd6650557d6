"""`busy`: `send` and `ingest` while a file of a million people is read into the same store, against the calm of the same run."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import cast

from bench.ingest import gateway, measured
from bench.measure import Figure, Reading
from bench.people import enrolled, installation, write_csv
from bench.places import Asked
from bench.send import pipeline
from bench.sink import sink
from campana.core.campaign import AudienceSpec
from campana.engine.load import Stopped, load_audience
from campana.wiring import Installation

ROWS = 100  # people of the file for each message
LEAST = 200_000


@contextlib.asynccontextmanager
async def importing(campana: Installation, file: Path | None) -> AsyncIterator[None]:
    """Meanwhile the file is read and stored; without one, nothing is. It must last until the measuring is over."""
    if file is None:
        yield
        return
    begun, stop = asyncio.Event(), asyncio.Event()
    reading = asyncio.create_task(
        load_audience(campana.house, campana.workspace_id, file, AudienceSpec(), lambda rows: begun.set(), stop.is_set)
    )
    await asyncio.wait({reading, asyncio.create_task(begun.wait())}, return_when=asyncio.FIRST_COMPLETED)
    yield
    if reading.done():
        raise RuntimeError("The file was read to its end before the measuring was over. Give fewer --messages.")
    stop.set()
    with contextlib.suppress(Stopped):
        await reading


async def sending(asked: Asked, vendor: str, file: Path | None) -> Reading:
    """The pipeline of `send`."""
    with tempfile.TemporaryDirectory() as folder:
        async with installation(asked.place.fresh(Path(folder)), Path(folder), vendor) as campana:
            run_id = await enrolled(campana, asked.n)
            async with importing(campana, file):
                return await pipeline(campana, run_id, asked.n, asked.place)


async def taking(asked: Asked, file: Path | None) -> tuple[Reading, dict[str, float]]:
    """The gateway of `ingest`."""
    with tempfile.TemporaryDirectory() as folder:
        async with installation(asked.place.fresh(Path(folder)), Path(folder)) as campana, gateway(campana) as url:
            return await measured(url, asked.n, asked.place, importing(campana, file))


async def busy(asked: Asked) -> list[Figure]:
    """Two figures without floors: what is left of each while a child parses and the store takes rows."""
    sent: dict[bool, list[Reading]] = {False: [], True: []}
    taken: dict[bool, list[tuple[Reading, dict[str, float]]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder, sink() as vendor:
        file = write_csv(Path(folder) / "people.csv", max(LEAST, asked.n * ROWS))
        for _ in range(asked.rounds):
            for hard in (False, True):
                sent[hard].append(await sending(asked, vendor.url, file if hard else None))
                taken[hard].append(await taking(asked, file if hard else None))
    name = asked.place.name
    calm = Reading.middle(sent[False])
    figures = [Figure("send during an import", name, "messages", Reading.middle(sent[True]), "calm", calm.per_second)]
    calm = Reading.middle([reading for reading, _ in taken[False]])
    p50, p99 = (median(facts[at] for _, facts in taken[True]) for at in ("p50_ms", "p99_ms"))
    found = Reading.middle([reading for reading, _ in taken[True]])
    figures.append(
        Figure("ingest during an import", name, "webhooks", found, "calm", calm.per_second, p50_ms=p50, p99_ms=cast(float, p99))
    )
    return figures
