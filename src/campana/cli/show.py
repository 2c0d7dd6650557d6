"""`campana status` and `campana export`: what the store knows, read beside a running process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.table import Table

from campana.cli.words import err
from campana.core.ids import id_of
from campana.engine.launch import Refused
from campana.engine.report import run_csv
from campana.settings import Settings
from campana.store import campaign_list, campaigns
from campana.store.accounts import ensure_workspace
from campana.store.campaign_list import CampaignLine
from campana.store.campaigns import RunRow
from campana.store.database import Database, StoreTrouble, sqlite_path
from campana.store.migrate import migrate


@contextmanager
def reading(settings: Settings) -> Iterator[Database]:
    """The store, for reading; a process that works on it is not disturbed."""
    path = sqlite_path(settings.database)
    if path is not None and not path.exists():
        raise StoreTrouble(f"There is no database {path} yet. `campana run` or `campana serve` makes it.")
    db = Database(settings.database)
    try:
        migrate(db.engine)
        yield db
    finally:
        db.close()


async def _lines(db: Database, settings: Settings) -> list[CampaignLine]:
    workspace_id = await db.run(ensure_workspace, settings.workspace, 0)
    return await db.read(campaign_list.campaigns, workspace_id)


async def status(settings: Settings, as_json: bool) -> int:
    """Shows every campaign on one line."""
    with reading(settings) as db:
        lines = await _lines(db, settings)
    if as_json:
        typer.echo(json.dumps([_facts(line) for line in lines]))
        return 0
    table = Table("Campaign", "Status", "People", "Sent", "Delivered", "Replied", "Failed")
    for line in lines:
        figures = (line.people, line.sent, line.delivered, line.replied, line.failed)
        table.add_row(line.name, line.status.replace("_", " "), *map(str, figures))
    err.print(table if lines else "No campaigns yet. `campana run CAMPAIGN.yaml --audience PEOPLE.csv` sends the first one.")
    return 0


def _facts(line: CampaignLine) -> dict[str, object]:
    names = ("name", "status", "people", "sent", "delivered", "replied", "failed")
    return {**{name: getattr(line, name) for name in names}, "run": line.run_id.hex() if line.run_id else None}


async def export(settings: Settings, run_or_name: str, output: Path | None) -> int:
    """Writes everybody of a run, page by page."""
    with reading(settings) as db:
        run = await _find(db, settings, run_or_name)
        try:
            file = output.open("wb") if output else sys.stdout.buffer
        except OSError as error:
            raise Refused(f"{output} cannot be written: {error.strerror}. Name another file with --output.") from error
        try:
            async for page in run_csv(db, run):
                file.write(page)
        finally:
            file.flush()
            if output:
                file.close()
    return 0


async def _find(db: Database, settings: Settings, run_or_name: str) -> RunRow:
    run_id = id_of(run_or_name)
    run = await db.read(campaigns.get_run, run_id) if run_id else None
    if run is None:
        workspace_id = await db.run(ensure_workspace, settings.workspace, 0)
        known = await db.read(campaigns.find_by_name, workspace_id, run_or_name)
        run = await db.read(campaigns.latest_run, known.id) if known else None
    if run is None:
        raise Refused(f"There is no run or campaign {run_or_name!r}. `campana status` lists them.")
    return run
