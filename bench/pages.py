"""`pages`: how long a page takes when there is very much to look back at."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

import httpx
from sqlalchemy import Connection, select

from bench.archive import archive
from bench.console import served
from bench.measure import Figure, Floors, Stopwatch
from bench.people import installation
from bench.places import Asked
from campana.core.ids import Id
from campana.store.recipients import id_range
from campana.store.schema import message, run

PEOPLE = 100  # for each message that is asked for; each of them got five
VISITS = 30  # of each page
MOST_MS = 150.0  # 95th percentile of every page


def addresses(campaign: str, people: int, messages: Sequence[tuple[str, str]], dice: random.Random) -> dict[str, str]:
    """A page of each kind, by what it is called; the people and messages in them are others each time."""
    home, someone = f"/campaigns/{campaign}", dice.randrange(2, people)
    person, one = dice.choice(messages)
    phone = f"%2B5255{10_000_000 + someone:08d}"
    return {
        "list": "/campaigns",
        "list, searched": f"/campaigns?q=after+{dice.randrange(50)}",
        "bar": "/bar",
        "progress": home,
        "people": f"{home}/people",
        "people who answered": f"{home}/people?outcome=replied",
        "people skipped, very few": f"{home}/people?outcome=skipped",
        "people by phone": f"{home}/people?q={phone}",
        "people by a word": f"{home}/people?q=Ana+{someone}",
        "a person": f"{home}/people/{person}",
        "messages": "/messages",
        "messages of a campaign": f"{home}/messages",
        "messages not delivered": f"{home}/messages?status=not_delivered",
        "messages by a rare code": f"{home}/messages?code=30034",
        "messages unknown": f"{home}/messages?status=unknown",
        "messages to a phone": f"/messages?to={phone}",
        "a message": f"/messages/{one}",
        "missed": f"{home}/missed",
        "reports": "/reports?period=30",
        "audit log": "/settings/audit",
    }


def _some(c: Connection, run_id: Id, people: int) -> list[tuple[str, str]]:
    """Messages here and there, as pairs: whose it is, and its own id."""
    low, _ = id_range(run_id)
    found = []
    for at in range(2, people, max(1, people // 50)):
        person = low[:8] + at.to_bytes(8, "big")
        one = c.scalar(select(message.c.id).where(message.c.recipient_id == person).limit(1))
        found += [(person.hex(), one.hex())] if one else []
    return found


async def pages(asked: Asked) -> list[Figure]:
    """Pages a second, one after the other; the slowest by their 95th percentile, and every one that misses the floor."""
    people, dice = asked.n * PEOPLE, random.Random(1)
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with installation(asked.place.fresh(Path(folder)), Path(folder)) as campana:
            db, run_id = campana.house.db, await archive(campana, people)
            campaign: Id = await db.read(lambda c: c.scalar(select(run.c.campaign_id).where(run.c.id == run_id)))
            messages = await db.read(_some, run_id, people)
            async for http in served(campana):
                for name, address in addresses(campaign.hex(), people, messages, dice).items():
                    await _visited(http, name, address)  # once unmeasured: a server that has just started compiles its templates
                watch = Stopwatch(asked.place.server_cpu)
                for _ in range(VISITS):
                    for name, address in addresses(campaign.hex(), people, messages, dice).items():
                        took.setdefault(name, []).append(await _visited(http, name, address))
                reading = watch.read(VISITS * len(took))
    p95 = {name: quantiles(times, n=20)[18] for name, times in took.items()}
    slowest = sorted(p95.items(), key=lambda pair: -pair[1])
    every = sorted(time for times in took.values() for time in times)
    said = f"p95 at most {MOST_MS:.0f} ms; the slowest: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in slowest[:6])
    name = f"{len(took)} pages among {people:,} people and {5 * people:,} messages"
    floors = Floors(most_ms=MOST_MS)
    p50, worst = quantiles(every, n=2)[0], slowest[0][1]
    limit = ("the bar alone", 1000 / quantiles(took["bar"], n=2)[0])
    return [Figure(name, asked.place.name, "pages", reading, *limit, floors, p50, worst, beside=said)]


async def _visited(http: httpx.AsyncClient, name: str, address: str) -> float:
    """Milliseconds until the page was there."""
    began = time.perf_counter()
    answer = await http.get(address)
    if answer.status_code != 200:
        raise RuntimeError(f"{name} answered {answer.status_code}: {answer.text[:300]}")
    return 1000 * (time.perf_counter() - began)
