"""`console`: a file uploaded by the console's form; how soon its first problems show, and how long a page takes meanwhile."""

from __future__ import annotations

import asyncio
import csv
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx

from bench.measure import Figure, Floors, Memory, Stopwatch
from bench.people import COLUMNS, installation, row
from bench.places import Asked
from bench.preview import previewed
from campana.core.access import Role
from campana.core.draft import Draft
from campana.core.ids import Id
from campana.store import drafts, sessions, users, workspaces
from campana.store.drafts import Author
from campana.store.workbench import Bench, look
from campana.web.access import COOKIE, hash_of
from campana.wiring import Installation
from tests.web.forms import filled

FILE = 100  # people for each message
BROKEN = 50  # every so many people have no number
FIRST = 2.0  # seconds until the first problems are to be seen
PAGE_MS = 200.0  # 95th percentile of a page while the file is read
REST = 0.2  # seconds between two pages: the page itself asks once a second
PAGES = ("", "?show=problems", "?from={}", "?show=missing")


def write_file(path: Path, people: int) -> Path:
    """People as a file; some of them cannot be reached."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        for at in range(people):
            name, phone, *rest = row(at)
            out.writerow([name, "" if at % BROKEN == BROKEN - 1 else phone, *rest])
    return path


def _member(c: Any, workspace_id: Id, now: int) -> None:
    user_id = users.create(c, "bench@example.com", "Bench", None, now)
    workspaces.join(c, workspace_id, user_id or b"", Role.OWNER, now)
    sessions.begin(c, hash_of("bench"), user_id or b"", workspace_id, "bench", "127.0.0.1", now)


async def served(campana: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is signed in to the console, over a socket."""
    bound = asyncio.Event()
    serving = asyncio.create_task(campana.serve(bound))
    await bound.wait()
    now = campana.house.clock.now()
    await campana.house.db.run(_member, campana.workspace_id, now)
    async with httpx.AsyncClient(base_url=campana.console_url, cookies={COOKIE: "bench"}, timeout=120) as http:
        yield http
    campana.stop.set()
    await serving


async def uploaded(campana: Installation, http: httpx.AsyncClient, path: Path) -> tuple[Id, float, float]:
    """The draft; seconds from the first byte sent until the server answered, and until the workbench showed a problem."""
    made = (campana.workspace_id, "bench", Draft(), Author(None, "bench"), campana.house.clock.now())
    campaign_id: Id = await campana.house.db.run(drafts.create, *made)
    home = f"/campaigns/{campaign_id.hex()}"
    fields = filled((await http.get(f"{home}/setup")).text, "upload")
    fields.pop("file", None)
    began = time.perf_counter()
    with path.open("rb") as file:
        answer = await http.post(f"{home}/audience/upload", data=fields, files={"file": (path.name, file)})
    taken = time.perf_counter() - began
    if answer.status_code != 303:
        raise RuntimeError(f"The file was refused: {answer.text[:500]}")
    shown = ""
    while "nobody can be reached" not in shown:
        shown = (await http.get(f"{home}/audience?show=problems")).text
        await asyncio.sleep(REST)
    return campaign_id, taken, time.perf_counter() - began


async def looked_at(campana: Installation, http: httpx.AsyncClient, campaign_id: Id) -> tuple[list[float], Bench]:
    """Milliseconds of each page while the file is read, and the bench at the end."""
    took: list[float] = []
    home = f"/campaigns/{campaign_id.hex()}/audience"
    while True:
        bench = await campana.house.db.read(look, campana.workspace_id, campaign_id)
        if bench is None or bench.reading is None:
            raise RuntimeError("The draft is gone.")
        if bench.reading.finished_at is not None:
            return took, bench
        for page in PAGES:
            began = time.perf_counter()
            answer = await http.get(home + page.format(max(1, bench.last - 500)))
            took.append(1000 * (time.perf_counter() - began))
            answer.raise_for_status()
            await asyncio.sleep(REST)


async def console(asked: Asked) -> list[Figure]:
    """Rows a second of an upload that people look at; the limits are seconds and milliseconds of the issue."""
    people = asked.n * FILE
    with tempfile.TemporaryDirectory() as folder:
        path = write_file(Path(folder) / "people.csv", people)
        async with installation(asked.place.fresh(Path(folder)), Path(folder)) as campana:
            async for http in served(campana):
                memory, watch = Memory(), Stopwatch(asked.place.server_cpu)
                campaign_id, taken, first = await uploaded(campana, http, path)
                took, bench = await looked_at(campana, http, campaign_id)
                reading = watch.read(people)
                most = memory.most()
                typing = await previewed(asked, campana, http, campaign_id, people)
    if bench.audience is None or bench.audience.summary.rows != people:
        raise RuntimeError("Not all rows of the file were read.")
    p95, p99 = (quantiles(took, n=100)[at - 1] for at in (95, 99)) if len(took) > 1 else (0.0, 0.0)
    said = f"{taken:.1f} s to take the file, first problems after {first:.1f} s (at most {FIRST:.0f})"
    said += f", {len(took)} pages meanwhile, p95 {p95:.0f} ms (at most {PAGE_MS:.0f})"
    met = Floors(least=people / first / FIRST if first > FIRST else None, most_ms=PAGE_MS if p95 > PAGE_MS else None)
    return [
        Figure(
            f"upload of {people:,} rows",
            asked.place.name,
            "rows",
            reading,
            "taking the file alone",
            people / taken,
            met,
            p50_ms=quantiles(took, n=2)[0] if len(took) > 1 else None,
            p99_ms=p99,
            mb=most,
            beside=said,
        ),
        *typing,
    ]
