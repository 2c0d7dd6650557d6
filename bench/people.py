"""Invented people, and an installation that knows one sender."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from campana.core.campaign import CampaignFile
from campana.core.ids import Id, new_id
from campana.core.tally import EMPTY
from campana.engine import launch, wake
from campana.settings import SenderSettings, Settings
from campana.store import audiences
from campana.wiring import Installation, open_installation

ACCOUNT = {"kind": "twilio_sms", "account_sid": "AC" + "0" * 32, "auth_token": "bench"}
COLUMNS = ("name", "phone", "day", "plan")
PLAN = {"name": "bench", "primary": {"from": "s", "text": "Hi {{name}}, see you on {{day}}."}}


def row(at: int) -> tuple[str, str, str, str]:
    """The person of that number."""
    return f"Ana {at}", f"+5255{10_000_000 + at:08d}", "2027-01-01", "Home 1G"


def write_csv(path: Path, n: int) -> Path:
    """N people as a file."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        out.writerows(row(at) for at in range(n))
    return path


@contextlib.asynccontextmanager
async def installation(
    database: str, folder: Path, vendor: str = "http://127.0.0.1:9", pace: float = 1e6
) -> AsyncIterator[Installation]:
    """An installation whose one sender is as fast as it can be, unless told otherwise."""
    settings = Settings(
        database=database,
        data=folder,
        port=0,
        integrations={"sms": {**ACCOUNT, "base_url": vendor}},
        senders={"s": SenderSettings(integration="sms", address="+15550100", pace=pace)},
    )
    async with open_installation(settings) as campana:
        yield campana


async def launched(campana: Installation, audience_id: Id, name: str = "bench") -> Id:
    """The run of a campaign to an audience, begun, and nobody enrolled yet."""
    house, now = campana.house, campana.house.clock.now()
    file = CampaignFile.model_validate({**PLAN, "name": name})
    run_id = await house.db.run(launch.launch, house, campana.workspace_id, file, "{}", audience_id, now, now)
    await house.db.run(wake.start_runs, house, now)
    return run_id


def everybody(n: int) -> str:
    """The summary of an audience in which everybody has a phone."""
    return msgspec.json.encode(replace(EMPTY, rows=n, offered=n, phones=n)).decode()


async def enrolled(campana: Installation, n: int) -> Id:
    """The run of a campaign whose N people are enrolled and wait."""
    house, db, now = campana.house, campana.house.db, campana.house.clock.now()
    audience_id = new_id(now)
    await db.run(audiences.create, audience_id, campana.workspace_id, "bench", "bench", json.dumps(COLUMNS), now)
    for first in range(0, n, 1000):
        rows = [
            {"number": at + 1, "cells": json.dumps(row(at)), "phone": row(at)[1], "email": None, "issues": None, "left_out": None}
            for at in range(first, min(n, first + 1000))
        ]
        await db.run(audiences.add_rows, audience_id, rows)
    await db.run(audiences.finish, audience_id, n, n, everybody(n))
    run_id = await launched(campana, audience_id)
    while await db.run(wake.enrol, house, house.clock.now()):
        pass
    return run_id
