"""`send`: the whole pipeline on SQLite (FULL) against the bare wire loop, both into the same dumb sink."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from bench.measure import Figure, Stopwatch
from bench.sink import sink
from campana.channels import twilio_sms
from campana.clock import boottime
from campana.core.campaign import CampaignFile
from campana.core.durations import SECOND
from campana.core.ids import new_id
from campana.core.message import Outgoing
from campana.engine import launch, wake
from campana.settings import Settings
from campana.store import audiences, counters
from campana.wire import Wire
from campana.wiring import Installation, open_installation

ACCOUNT = {"kind": "twilio_sms", "account_sid": "AC" + "0" * 32, "auth_token": "bench"}


async def bare(url: str, n: int) -> tuple[float, float]:
    """N requests as fast as the wire takes them."""
    wire = Wire()
    settings = twilio_sms.CHANNEL.settings.model_validate({k: v for k, v in ACCOUNT.items() if k != "kind"} | {"base_url": url})
    message = Outgoing(new_id(0), "+15550100", "+525510000000", {"text": "Hi Ana, see you on 2027-01-01."}, "http://x/hooks/sms")
    left = iter(range(n))
    watch = Stopwatch()

    async def loop() -> None:
        for _ in left:
            await wire.exchange(twilio_sms.CHANNEL.build_request(settings, [message]), boottime() + 30 * SECOND)

    await asyncio.gather(*(loop() for _ in range(64)))
    found = watch.read(n)
    await wire.close()
    return found


async def prepare(campana: Installation, n: int) -> bytes:
    """A campaign whose people are all enrolled, and which waits for its start."""
    house, db, now = campana.house, campana.house.db, campana.house.clock.now()
    audience_id = new_id(now)
    await db.run(audiences.create, audience_id, campana.workspace_id, "bench", "bench", '["name","phone","day"]', now)
    for first in range(0, n, 1000):
        rows = [
            {
                "number": at + 1,
                "cells": json.dumps([f"Ana {at}", f"+5255{at:08d}", "2027-01-01"]),
                "phone": f"+5255{at:08d}",
                "email": None,
                "issues": None,
                "left_out": None,
            }
            for at in range(first, min(n, first + 1000))
        ]
        await db.run(audiences.add_rows, audience_id, rows)
    await db.run(audiences.finish, audience_id, n, n, "{}")
    file = CampaignFile.model_validate({"name": "bench", "primary": {"from": "s", "text": "Hi {{name}}, see you on {{day}}."}})
    run_id = await db.run(launch.launch, house, campana.workspace_id, file, "{}", audience_id, now, now)
    await db.run(wake.start_runs, house, now)
    while await db.run(wake.enrol, house, house.clock.now()):
        pass
    return run_id


async def pipeline(url: str, n: int, folder: Path) -> tuple[float, float]:
    """The same messages through cut, start, call and settle."""
    settings = Settings(
        database=f"sqlite:///{folder / 'bench.db'}",
        data=folder,
        port=0,
        integrations={"sms": {**ACCOUNT, "base_url": url}},
        senders={"s": {"integration": "sms", "address": "+15550100", "pace": 1e6}},
    )
    async with open_installation(settings) as campana:
        run_id = await prepare(campana, n)
        watch = Stopwatch()
        working = asyncio.create_task(campana.worker.run())
        while (await campana.house.db.read(counters.figures, [run_id]))[run_id]["people:sent"] < n:
            await campana.bus.woken("live", 0.2)
        found = watch.read(n)
        campana.worker.stop()
        await working
    return found


async def send(n: int) -> list[Figure]:
    """One figure: messages handed over and settled, against bare requests."""
    with sink() as url, tempfile.TemporaryDirectory() as folder:
        await bare(url, min(n, 2000))  # warm
        limit, bare_cpu = await bare(url, n)
        rate, cpu = await pipeline(url, n, Path(folder))
    return [Figure("send, SQLite", "messages", rate, cpu, f"bare wire loop ({bare_cpu:.0f} us)", limit, 0.5, 150)]
