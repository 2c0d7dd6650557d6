"""`viewers`: what two hundred people cost who watch one campaign while it changes. The browsers are a process of their own."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from sqlalchemy import Connection, select, update

from bench.archive import archive
from bench.console import served
from bench.measure import Figure, Floors, Stopwatch
from bench.people import installation
from bench.places import Asked
from campana.core.ids import Id
from campana.store import counters
from campana.store.schema import run
from campana.web.access import COOKIE

VIEWERS = 200
WATCHED = 20  # seconds, and the campaign changes in each
MOST_CORE = 0.1  # of a core, for all of them


async def viewers(asked: Asked) -> list[Figure]:
    """Viewers a second of watching; the floor is what each may cost, so that all of them cost a tenth of a core."""
    with tempfile.TemporaryDirectory() as folder:
        async with installation(asked.place.fresh(Path(folder)), Path(folder)) as campana:
            db, run_id = campana.house.db, await archive(campana, 10_000, 10)
            await db.run(lambda c: c.execute(update(run).where(run.c.id == run_id).values(status="paused", finished_at=None)))
            campaign: Id = await db.read(lambda c: c.scalar(select(run.c.campaign_id).where(run.c.id == run_id)))
            async for _ in served(campana):
                path = f"/campaigns/{campaign.hex()}/stream?lang=en"
                browsers = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "bench.viewers", str(campana.port), path, stdin=-1, stdout=-1
                )
                if browsers.stdout is None or not await browsers.stdout.readline():
                    raise RuntimeError("The viewers could not connect.")
                watch = Stopwatch(asked.place.server_cpu)
                for _ in range(WATCHED):
                    await db.run(_one_more, run_id)
                    campana.house.wake("live")
                    await asyncio.sleep(1)
                reading = watch.read(VIEWERS * WATCHED)
                frames = int((await browsers.communicate(b"enough\n"))[0])
    core = 100 * reading.cpu_us * VIEWERS / 1e6
    said = f"{frames / VIEWERS:.0f} frames each in {WATCHED} s; all of them cost {core:.1f} % of a core"
    floors = Floors(most_us=MOST_CORE * 1e6 / VIEWERS)
    return [
        Figure(
            f"{VIEWERS} viewers of a campaign",
            asked.place.name,
            "viewers",
            reading,
            "as many a second",
            VIEWERS,
            floors,
            beside=said,
        )
    ]


def _one_more(c: Connection, run_id: Id) -> None:
    tally = counters.Tally()
    tally.add(run_id, "people:read")
    tally.write(c)


async def _browsers(port: int, path: str) -> None:
    """Connects them all, says so, and counts the frames that come until a line is read."""
    frames = 0

    async def browser(connected: asyncio.Event) -> None:
        nonlocal frames
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {COOKIE}=bench\r\n\r\n".encode())
        while line := await reader.readline():
            frames += line.startswith(b"event: stats")
            connected.set()

    events = [asyncio.Event() for _ in range(VIEWERS)]
    tasks = [asyncio.create_task(browser(one)) for one in events]
    await asyncio.gather(*(one.wait() for one in events))
    frames = 0
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for one in tasks:
        one.cancel()
    print(frames, flush=True)


if __name__ == "__main__":
    asyncio.run(_browsers(int(sys.argv[1]), sys.argv[2]))
