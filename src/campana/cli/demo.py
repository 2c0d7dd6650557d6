"""`campana demo`: the main job on this machine, with invented people and stand-in vendors that make trouble."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import typer

from campana.cli.people import demo_link
from campana.cli.run import follow, prepare, tell
from campana.cli.words import on_signals, say
from campana.core.campaign import CampaignFile
from campana.core.ids import Id
from campana.core.journey import OUTCOMES
from campana.settings import Settings
from campana.standin.balance import Balance, Person, balance
from campana.standin.config import StandinConfig, demo_config
from campana.standin.faults import Faults, Odds, ReceiptOdds, Reply, Rule
from campana.store import recipients
from campana.store.progress import Progress
from campana.wiring import Installation, open_installation

DAY_IN_DEMO = 10  # seconds
PACE = 2000  # a second, of each sender
NAMES = ("Ana", "Bruno", "Carla", "Diego", "Elena", "Fábio", "Gabriela", "Hugo", "Inês", "João", "Karina", "Luis")
CAMPAIGN = {
    "name": "Visit reminders",
    "tags": ["demo"],
    "audience": {"duplicates": "first", "flagged": "leave_out"},
    "primary": {
        "from": "clinic-whatsapp",
        "template": "visit_reminder",
        "language": "en_US",
        "values": {"first_name": "{{name}}", "appointment_date": "{{appointment_date}}"},
        "not_delivered_after": "24h",
    },
    "fallbacks": [{"from": "clinic-sms", "text": "Hi {{name}}, we expect you on {{appointment_date}}. Reply YES to confirm."}],
    "follow_ups": [{"from": "clinic-sms", "after": "1 day", "text": "{{name}}, will you come on {{appointment_date}}?"}],
}
TROUBLE = Faults(
    latency=(0.005, 0.03),
    odds=Odds(throttled=0.01, broken=0.005, cut_before=0.005, cut_after=0.005),
    receipts=ReceiptOdds(doubled=0.03, reordered=0.03, missing=0.01),
    rules=(Rule(vendor="whatsapp", share=0.12, code=131026), Rule(vendor="twilio", share=0.03, code=30005)),
    people=(
        Reply(share=0.25, text="Yes, see you then", after=(1.0, 6.0)),
        Reply(share=0.02, text="STOP", after=(1.0, 6.0)),
    ),
)


async def demo(contacts: int, leave: bool, as_json: bool) -> int:
    """Runs the sample campaign to its end; goes on serving unless told to leave."""
    folder = Path(tempfile.mkdtemp(prefix="campana-demo-"))
    began = time.monotonic()
    try:
        port = _free_port()
        people = _write_people(folder / "people.csv", contacts)
        async with _standin(folder, _vendors(port)) as vendors, open_installation(_settings(folder, port, vendors)) as campana:
            on_signals(campana.stop)
            run_id = await prepare(campana, CampaignFile.model_validate(CAMPAIGN), people)
            campana.port = port
            say(f"The console, signed in: {await demo_link(campana)}")
            progress, books = await _send(campana, run_id, folder / "ledger.jsonl", leave)
            result = _result(progress, books, time.monotonic() - began)
        tell(progress, time.monotonic() - began, False)
        say(f"Counted by the stand-in vendors: lost {books.lost}, twice {books.twice}.")
        if as_json:
            typer.echo(json.dumps(result))
        return 0 if _closed(progress, books, contacts) else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _send(campana: Installation, run_id: Id, ledger: Path, leave: bool) -> tuple[Progress, Balance]:
    progress = await follow(campana, run_id, stay=not leave)
    people = await campana.house.db.read(_people, run_id)
    return progress, await asyncio.to_thread(balance, [ledger], people)


def _people(c: Any, run_id: Id) -> list[Person]:
    """Everybody as our own books have them, for the stand-in's balance."""
    found = []
    number = 0
    while page := recipients.after(c, run_id, number, 5000):
        for row in page:
            outcome = OUTCOMES[row.outcome]
            found.append(Person(row.phone, owed=outcome not in recipients.OWED_NOTHING, unknown=outcome == "unknown"))
        number = page[-1].number
    return found


def _result(progress: Progress, books: Balance, seconds: float) -> dict[str, Any]:
    counted = {"lost": books.lost, "twice": books.twice, "seconds": round(seconds, 3)}
    return {"recipients": progress.line.people, **progress.outcomes, **counted}


def _closed(progress: Progress, books: Balance, contacts: int) -> bool:
    """Everybody asked for has an end, and the vendors' books agree."""
    outcomes = progress.outcomes
    everybody = sum(outcomes.values()) == progress.line.people == contacts
    return everybody and not outcomes["waiting"] + outcomes["sending"] + books.lost + books.twice


def _settings(folder: Path, port: int, vendors: str) -> Settings:
    known = demo_config()
    return Settings(
        database=f"sqlite:///{folder / 'campana.db'}",
        data=folder,
        port=port,
        time_scale=float(os.environ.get("CAMPANA_TIME_SCALE", 86_400 / DAY_IN_DEMO)),
        integrations={
            "whatsapp": {
                "kind": "whatsapp",
                "base_url": vendors,
                "token": known.whatsapp.token,
                "app_secret": known.whatsapp.app_secret,
                "verify_token": known.whatsapp.verify_token,
                "waba_id": known.whatsapp.waba_id,
            },
            "sms": {
                "kind": "twilio_sms",
                "base_url": vendors,
                "account_sid": known.twilio.account_sid,
                "auth_token": known.twilio.auth_token,
            },
        },
        senders={
            "clinic-whatsapp": {"integration": "whatsapp", "address": next(iter(known.whatsapp.phone_numbers)), "pace": PACE},
            "clinic-sms": {"integration": "sms", "address": known.twilio.numbers[0], "pace": PACE},
        },
    )


def _vendors(port: int) -> StandinConfig:
    hooks = f"http://127.0.0.1:{port}/hooks"
    return demo_config(whatsapp_hook=f"{hooks}/whatsapp", twilio_hook=f"{hooks}/sms", faults=TROUBLE)


@contextlib.asynccontextmanager
async def _standin(folder: Path, config: StandinConfig) -> AsyncIterator[str]:
    """The vendors as a process of their own; yields where they listen."""
    file = folder / "standin.json"
    file.write_text(config.model_dump_json())
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "campana.standin", "--config", str(file), "--ledger", str(folder / "ledger.jsonl")),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is ours: the vendors outlive the campaign's last calls
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        address = (await process.stdout.readline()).decode().strip().split()[-1]
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _write_people(path: Path, contacts: int) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["name", "phone", "appointment_date"])
        out.writerows(_people_rows(contacts))
    return path


def _people_rows(contacts: int) -> Iterator[tuple[str, str, str]]:
    """Invented people of Mexico, Brazil, Argentina and the United States, every number once."""
    for number in range(contacts):
        series, at = number % 4, number // 4
        phone = (
            f"+5255{10_000_000 + at:08d}",
            f"+5511{910_000_000 + at:09d}",
            f"+5411{40_000_000 + at:08d}",
            f"+1212{2_000_000 + at:07d}",
        )[series]
        yield NAMES[number % len(NAMES)], phone, f"2027-01-{number % 28 + 1:02d}"
