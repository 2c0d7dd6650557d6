"""Reports: everybody of a run, with what became of them, as a CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from campana.core.audience import REASONS
from campana.core.journey import OUTCOMES
from campana.core.reason import english
from campana.store import exports
from campana.store.campaigns import RunRow
from campana.store.database import Database
from campana.store.exports import Line

PAGE = 500  # rows that are worked on at once where others wait for the same thread
ADDED = ("outcome", "reason")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
PHONE = re.compile(r"\+[0-9 ().\-/]*")
CELLS = msgspec.json.Decoder(list[str])


@dataclass(frozen=True)
class Words:
    """How a reader is told what became of people. `reason` says a kept reason, `left_out` that a row was not offered."""

    outcomes: Mapping[str, str] = field(default_factory=dict)
    left_out: str = "left out"
    reasons: Mapping[str, str] = field(default_factory=lambda: REASONS)  # why a row was left out
    reason: Callable[[str], str] = english


ENGLISH = Words()


def guard(cell: str) -> str:
    """A cell that a spreadsheet cannot take for a formula; phone numbers stay readable."""
    if cell.startswith(FORMULA) and not PHONE.fullmatch(cell):
        return "'" + cell
    return cell


async def run_csv(db: Database, run: RunRow, words: Words = ENGLISH, outcomes: Collection[int] = ()) -> AsyncIterator[bytes]:
    """Everybody of a run, rows that were left out too, in the file's order. Each page is a fresh snapshot."""
    yield head(msgspec.json.decode(run.columns, type=list[str]))
    number: int | None = 0 if run.audience_id else None
    while number is not None:
        found, number = await db.read(exports.page, run.id, run.audience_id or b"", number, PAGE, outcomes)
        if found:
            yield told(found, words)


def head(columns: Sequence[str]) -> bytes:
    """The first line, with the mark by which spreadsheets know UTF-8."""
    text = io.StringIO()
    csv.writer(text).writerow([guard(name) for name in (*columns, *_names(columns))])
    return ("\ufeff" + text.getvalue()).encode()


def _names(columns: Sequence[str]) -> list[str]:
    """Our two columns, under names that the file does not have already."""
    taken = {column.casefold() for column in columns}
    return [name if name not in taken else f"campana_{name}" for name in ADDED]


def told(lines: Sequence[Line], words: Words) -> bytes:
    """The lines as CSV, each with what became of its person and why."""
    outcomes = [words.outcomes.get(outcome, str(outcome)) for outcome in OUTCOMES]
    reason = words.reason
    rows = []
    for cells, outcome, why in lines:
        row = [guard(cell) if cell.startswith(FORMULA) else cell for cell in CELLS.decode(cells)]
        if outcome is None:
            row += (words.left_out, words.reasons.get(why, why))
        else:
            row += (outcomes[outcome], guard(reason(why)) if why else "")
        rows.append(row)
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
