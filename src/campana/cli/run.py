"""`campana run` and `campana serve`: the wheels, for one campaign or for all."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer
import yaml
from pydantic import ValidationError

from campana.cli.logs import logs_to_stderr, secrets_of
from campana.cli.people import welcome
from campana.cli.words import bar, on_signals, outcome_words, say, speak_as_service
from campana.core.campaign import CampaignFile
from campana.core.canary import Breach, Trouble
from campana.core.flaws import flaws
from campana.core.ids import Id
from campana.core.schedule import start_moment
from campana.engine import careful, launch
from campana.engine.load import Stopped, discard_audience, fingerprint, load_audience
from campana.engine.vendors import check_accounts, sync_templates
from campana.engine.worker import EVERYTHING, Role, role_name
from campana.settings import Settings
from campana.store import audiences, campaigns, reports
from campana.store import progress as store_progress
from campana.store.accounts import senders
from campana.store.campaigns import RunRow
from campana.store.database import StoreAway
from campana.store.progress import Progress
from campana.web.hosts import is_exposed, is_loopback
from campana.wiring import Installation, open_installation

PAUSED = 130  # the exit code of a process that was asked to stop
OVER = ("sent", "ended")
WAITING = ("paused", "scheduled")
EXPOSED = (
    "Others can reach this address, and nothing is encrypted: passwords travel in the open. Let a proxy speak https before it "
    "and name that in CAMPANA_PUBLIC_URL, or set CAMPANA_HOST to 127.0.0.1."
)


def read_campaign(path: Path) -> CampaignFile:
    """The campaign file; raises Refused with a sentence for every line that is wrong."""
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise launch.Refused(f"The campaign file {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise launch.Refused(f"The campaign file {path} is not YAML in UTF-8: {_where(error)}. Mend that place.") from error
    if not isinstance(facts, dict):
        raise launch.Refused(f"The campaign file {path} holds no campaign. `campana schema` says what must stand in it.")
    try:
        return CampaignFile.model_validate(facts)
    except ValidationError as error:
        raise launch.Refused(f"The campaign file {path} cannot be used: {'; '.join(flaws(error))}.") from error


def _where(error: Exception) -> str:
    """What a reader of YAML stumbled over, on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        hint = " (put texts that hold {{...}} in quotes)" if "unhashable" in str(error.problem) else ""
        return f"{error.problem} in line {error.problem_mark.line + 1}{hint}"
    return " ".join(str(error).split())


async def serve(settings: Settings, roles: Collection[Role] = EVERYTHING) -> int:
    """Serves until asked to stop."""
    speak_as_service(role_name(roles), settings)
    async with open_installation(settings, roles=roles) as installation:
        on_signals(installation.stop)
        bound = asyncio.Event()
        serving = asyncio.create_task(installation.serve(bound))
        ready = asyncio.create_task(bound.wait())
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if bound.is_set() and Role.WEB not in roles:
            doing = {Role.PUMP: "the clockwork turns", Role.WORK: "messages are sent and webhooks understood"}
            say(f"Campana works: {' and '.join(doing[role] for role in Role if role in roles)}. Ctrl-C ends it.")
        elif bound.is_set():
            say(f"Campana is at {installation.console_url}; webhooks come to {installation.public_url}/hooks/.")
            if is_exposed(settings.host, settings.public_url):
                say(EXPOSED)
            await welcome(installation)
        await serving
    return 0


async def run(settings: Settings, campaign: Path, audience: Path, as_json: bool) -> int:
    """Sends one campaign to its end."""
    logs_to_stderr("run", settings.log_format, secrets_of(settings))
    file = read_campaign(campaign)
    began = time.monotonic()
    async with open_installation(settings) as installation:
        on_signals(installation.stop)
        try:
            run_id = await prepare(installation, file, audience)
        except Stopped:
            say("Stopped before anything was launched: nothing was sent. The same command begins again.")
            return PAUSED
        if not settings.public_url and vendors_outside(installation):
            say("CAMPANA_PUBLIC_URL is not set: vendors outside this machine cannot tell receipts and replies.")
        progress = await follow(installation, run_id)
        row = await installation.house.db.read(campaigns.get_run, run_id)
    tell(progress, time.monotonic() - began, as_json)
    return 1 if row and careful.breach_of(row) else exit_code(progress)


async def launch_only(settings: Settings, campaign: Path, audience: Path) -> int:
    """Launches a campaign that other processes send."""
    file = read_campaign(campaign)
    async with open_installation(settings, roles=()) as installation:
        on_signals(installation.stop)
        try:
            await prepare(installation, file, audience)
        except Stopped:
            say("Stopped before anything was launched: nothing was sent. The same command begins again.")
            return PAUSED
    say(f"{file.name!r} is launched; the processes that run send it. `campana status` shows how far it is.")
    return 0


def vendors_outside(installation: Installation) -> bool:
    """Whether any vendor is on another machine, so that it needs an address to tell us things."""
    urls = (one.channel.check(one.settings).url for one in installation.house.accounts.values())
    return any(not is_loopback(urlsplit(url).hostname or "") for url in urls)


async def prepare(installation: Installation, file: CampaignFile, audience: Path) -> Id:
    """The run of this campaign and audience: the one there is, gone on with, or a new one. Raises Stopped when asked to stop
    before there is one."""
    house, workspace_id = installation.house, installation.workspace_id
    known = await house.db.read(campaigns.find_by_name, workspace_id, file.name)
    definition = file.model_dump_json(by_alias=True)
    if known is not None:
        return await take_up(installation, file, known, definition, audience)
    plan = await house.db.read(lambda c: launch.make_plan(file, senders(c, workspace_id), house.channels))
    await check_accounts(house, workspace_id, {step.channel for step in plan.steps})
    await sync_templates(house, workspace_id)
    starts_at, notice = start_moment(file.start, house.clock.now())
    if notice:
        say(notice)
    with bar() as shown:
        task = shown.add_task("Reading", total=None, said="")
        counted, stopping = lambda n: shown.update(task, completed=n), installation.stop.is_set
        audience_id = await load_audience(house, workspace_id, audience, file.audience, counted, stopping)
    try:
        if installation.stop.is_set():
            raise Stopped
        now = house.clock.now()
        return await house.db.run(launch.launch, house, workspace_id, file, definition, audience_id, starts_at, now)
    except (launch.Refused, Stopped):
        await discard_audience(house, audience_id)
        raise


async def take_up(installation: Installation, file: CampaignFile, known: Any, definition: str, audience: Path) -> Id:
    """Goes on with a run that was begun: the same text, the same people, or a sentence."""
    house = installation.house
    run = await house.db.read(campaigns.latest_run, known.id)
    if run is None:
        raise launch.Refused(f"The campaign {known.name!r} was never launched. Launch it in the console.")
    if known.definition != definition:
        raise launch.Refused(
            f"The campaign {known.name!r} was launched with other contents. Give the file back as it was to go on with it, "
            "or choose another name for a new campaign."
        )
    facts = await house.db.read(audiences.facts, run.audience_id or b"")
    if facts is None or facts.fingerprint != fingerprint(audience):
        raise launch.Refused(
            f"{audience} is not the file that {known.name!r} was launched with ({facts.file_name if facts else 'none'}), "
            "or it was changed since. Give the file back as it was to go on, or choose another name for a new campaign."
        )
    if run.status in OVER:
        say(f"{known.name!r} is over already. Nothing is sent.")
    elif run.status == "paused" or (await _progress(installation, run)).held:
        steps = house.plan_of(run.id, run.plan, run.columns).plan.steps
        await check_accounts(house, installation.workspace_id, {step.channel for step in steps})
        await sync_templates(house, installation.workspace_id)
        await house.db.run(launch.resume, run.id, house.clock.now())
    return run.id


async def follow(installation: Installation, run_id: Id, stay: bool = False) -> Progress:
    """Serves until the run is over or somebody asks to stop; then it is paused. Shows a live bar on a terminal.

    With `stay` it goes on serving when the run is over, until somebody asks to stop.
    """
    house = installation.house
    row = await house.db.read(campaigns.get_run, run_id)
    if row is None or row.status in OVER:
        return await _progress(installation, row)
    bound = asyncio.Event()
    serving = asyncio.create_task(installation.serve(bound))
    watching = asyncio.create_task(_watch(installation, run_id, bound))
    await asyncio.wait({serving, watching}, return_when=asyncio.FIRST_COMPLETED)
    if not watching.done():
        await house.db.run(launch.pause, run_id, house.clock.now())
    elif stay:
        say(f"Everybody's journey is over. Still serving at {installation.console_url}; Ctrl-C ends it.")
        await installation.stop.wait()
    installation.stop.set()
    watching.cancel()
    await serving
    await asyncio.gather(watching, return_exceptions=True)
    return await _progress(installation, await house.db.read(campaigns.get_run, run_id))


async def _watch(installation: Installation, run_id: Id, bound: asyncio.Event) -> None:
    """Draws the figures until the run is over, or until nothing can move before a person has mended something."""
    house = installation.house
    await bound.wait()
    say(f"Progress: {installation.console_url}/campaigns")
    await welcome(installation)
    with bar() as drawing:
        task = drawing.add_task("Sending", total=None, said="")
        tenths = 0
        while True:
            try:
                row = await house.db.read(campaigns.get_run, run_id)
                progress = await _progress(installation, row)
            except StoreAway:  # the wheels wait for it, too
                await installation.bus.woken("live", 1.0)
                continue
            done = progress.line.people - progress.outcomes["waiting"] - progress.outcomes["sending"]
            said = "; ".join(map(str, progress.held)) or outcome_words(progress.outcomes)
            drawing.update(task, total=progress.line.people, completed=done, said=said)
            if drawing.disable and done * 10 // max(1, progress.line.people) > tenths:
                tenths = done * 10 // progress.line.people
                say(f"{done} of {progress.line.people} journeys are over: {said}")
            if row is None or row.status in OVER or await house.db.read(stuck, run_id):
                return
            if breach := careful.breach_of(row):
                say(paused_itself(breach))
                return
            await installation.bus.woken("live", 0.5)


def paused_itself(breach: Breach) -> str:
    """Why a campaign paused itself, and what to do next."""
    what = {
        Trouble.FAILED: "messages failed",
        Trouble.OPTED_OUT: "people opted out",
        Trouble.UNKNOWN: "messages have an unknown outcome",
    }.get(breach.trouble)
    why = f"{breach.count} {what} of {breach.of} people, with {breach.most:g} per cent allowed" if what else breach.words
    return f"The campaign paused itself: {why}. Mend the cause, then give the same command again."


def stuck(c: Any, run_id: Id) -> bool:
    """Whether every sender of the run is paused by trouble and nothing is under way: only a person can help."""
    return reports.waits_for_people(c, run_id)


async def _progress(installation: Installation, run: RunRow | None) -> Progress:
    if run is None:
        raise launch.Refused("The run is gone from the database.")
    house = installation.house
    found = await house.db.read(store_progress.progress, installation.workspace_id, run.campaign_id, house.clock.now())
    if found is None:
        raise launch.Refused("The campaign is gone from the database.")
    return found


def tell(progress: Progress, seconds: float, as_json: bool) -> None:
    """The result: a line for people, and JSON when asked for."""
    line = progress.line
    say(f"{line.name}: {line.status}. {line.people} people: {outcome_words(progress.outcomes)}. {seconds:.1f} s.")
    for why in progress.held:
        say(f"Held: {why}.")
    if line.status not in (*OVER, *WAITING):
        say("Nothing more can be sent before that is mended. Then run the same command again: it goes on where it stopped.")
    if progress.left_out:
        reasons = ", ".join(f"{n} {reason}" for reason, n in progress.left_out.items())
        say(f"{sum(progress.left_out.values())} rows of the file were left out: {reasons}.")
    for one in progress.failures:
        say(f"{one.count} x {one.channel} {one.code}")
    if line.status in WAITING:
        say("The same command goes on where it stopped.")
    if as_json:
        run_id = line.run_id.hex() if line.run_id else None
        result: dict[str, object] = {"campaign": line.name, "run": run_id, "status": line.status}
        result |= {"recipients": line.people, **progress.outcomes, "seconds": round(seconds, 3)}
        typer.echo(json.dumps(result))


def exit_code(progress: Progress) -> int:
    """0 when the run is over, 130 when it was stopped on demand, 1 when people must mend something first."""
    if progress.line.status in OVER:
        return 0
    return PAUSED if progress.line.status in WAITING else 1
