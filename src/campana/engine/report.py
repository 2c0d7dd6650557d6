"""Reports: everybody of a run, with what became of them, as a CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from campana.core.audience import REASONS
from campana.core.ids import Id
from campana.core.journey import OUTCOMES
from campana.core.reason import english
from campana.engine.house import House
from campana.store import audiences, campaigns, recipients
from campana.store.campaigns import RunRow
from campana.store.database import Database

PAGE = 2000
ADDED = ("outcome", "reason")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guard(cell: str) -> str:
    """A cell that a spreadsheet cannot take for a formula; phone numbers stay readable."""
    if cell.startswith(FORMULA) and not (cell[0] == "+" and cell[1:].replace(" ", "").replace("-", "").isdigit()):
        return "'" + cell
    return cell


async def audience_csv(house: House, campaign_id: Id) -> AsyncIterator[bytes]:
    """The audience of a campaign's latest run: its own columns in their order, then outcome and reason. Page by page."""
    run = await house.db.read(campaigns.latest_run, campaign_id)
    if run is not None:
        async for page in run_csv(house.db, run):
            yield page


async def run_csv(db: Database, run: RunRow) -> AsyncIterator[bytes]:
    """Everybody of a run, rows that were left out too, in the file's order. Each page is a fresh snapshot."""
    columns = msgspec.json.decode(run.columns, type=list[str])
    yield ("\ufeff" + _lines([[*columns, *_names(columns)]])).encode()
    number = 0
    while True:
        rows, last = await db.read(_page, run, number)
        if last is None:
            return
        if rows:
            yield _lines(rows).encode()
        number = last


def _names(columns: Sequence[str]) -> list[str]:
    """Our two columns, under names that the file does not have already."""
    taken = {column.casefold() for column in columns}
    return [name if name not in taken else f"campana_{name}" for name in ADDED]


def _lines(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([[guard(cell) for cell in row] for row in rows])
    return text.getvalue()


def _page(c: Connection, run: RunRow, number: int) -> tuple[list[list[str]], int | None]:
    """The rows after `number`, and the number of the last one; None when there are no more."""
    if run.audience_id is None:
        return [], None
    offered = audiences.rows_after(c, run.audience_id, number, PAGE)
    if not offered:
        return [], None
    people = {row.number: row for row in recipients.after(c, run.id, number, PAGE)}
    return [_row(row, people.get(row.number)) for row in offered], offered[-1].number


def _row(row: Any, person: Any) -> list[str]:
    cells = msgspec.json.decode(row.cells, type=list[str])
    if row.left_out:
        return [*cells, "left out", REASONS.get(row.left_out, row.left_out)]
    if person is None:
        return [*cells, str(OUTCOMES[0]), ""]
    return [*cells, str(OUTCOMES[person.outcome]), english(person.reason)]
