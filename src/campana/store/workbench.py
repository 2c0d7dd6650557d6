"""What the pages of an audience show: the audience of a draft, the work on it that goes on, and some of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from campana.core.audience import Issue
from campana.core.ids import Id
from campana.core.reading import Attempt
from campana.core.workbench import Row
from campana.store import audience_rows, audiences, jobs
from campana.store.audiences import Audience
from campana.store.jobs import Job

IMPORT, CHANGE, COPY = "import", "change", "copy"  # kinds of jobs: of a campaign; of an audience; of one made of another's people
CELLS = msgspec.json.Decoder(tuple[str, ...])
ISSUES = msgspec.json.Decoder(tuple[Issue, ...])
JSON = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Bench:
    """The audience of a draft as it is being worked on."""

    audience: Audience | None
    reading: Job | None  # the newest attempt to read a file for it
    change: Job | None  # the newest change of many rows
    rows: Sequence[Row] = ()
    last: int = 0  # number of the last row
    shared: bool = False  # another campaign has these people, too
    earlier: bool = False  # there are such rows before those of the page
    later: bool = False
    copying: Job | None = None  # the newest copying of another campaign's people into this audience

    @property
    def attempt(self) -> Attempt | None:
        """What the newest attempt reads, and how."""
        return msgspec.json.decode(self.reading.result, type=Attempt) if self.reading and self.reading.result else None

    @property
    def changes(self) -> str:
        """What the newest change of many rows does and to which kind of rows, as `drop:missing`; empty when nobody knows."""
        return msgspec.json.decode(self.change.result, type=str) if self.change and self.change.result else ""


def busy(c: Connection, campaign_id: Id, audience_id: Id, now: int) -> bool:
    """Whether a file is read for the campaign just now, or many rows of its audience are changed."""
    newest = (jobs.latest(c, campaign_id, IMPORT), jobs.latest(c, audience_id, CHANGE))
    return any(job is not None and job.runs(now) for job in newest)


def row_of(found: Any) -> Row:
    """A row of the store."""
    issues = ISSUES.decode(found.issues) if found.issues else ()
    return Row(found.number, CELLS.decode(found.cells), found.phone, found.email, issues, found.left_out, found.flag)


def rows_of(found: Iterable[Any]) -> list[Row]:
    """Rows of the store."""
    return [row_of(one) for one in found]


def stored(row: Row) -> dict[str, Any]:
    """A row for the store."""
    issues = JSON(row.issues).decode() if row.issues else None
    facts = {"number": row.number, "cells": JSON(row.cells).decode(), "phone": row.phone, "email": row.email}
    return {**facts, "issues": issues, "left_out": row.left_out, "flag": row.flag}


def look(
    c: Connection, workspace_id: Id, campaign_id: Id, shown: str = "", first: int = 1, until: int = 0, limit: int = 0
) -> Bench | None:
    """The bench of a draft with a page of its rows: those from `first` on, or those up to `until`. None: there is no draft."""
    known, audience_id = audiences.of_draft(c, workspace_id, campaign_id)
    if not known:
        return None
    audience = audiences.load(c, workspace_id, audience_id)
    reading = jobs.latest(c, campaign_id, IMPORT)
    if audience is None:
        return Bench(None, reading, None)
    change, rows = jobs.latest(c, audience.id, CHANGE), []
    if limit and until:
        rows = rows_of(audience_rows.up_to_number(c, audience.id, shown, until, limit))
    elif limit:
        rows = rows_of(audience_rows.from_number(c, audience.id, shown, first, limit))
    last, shared = audience_rows.last_number(c, audience.id), audiences.shared(c, audience.id, campaign_id)
    at = (rows[0].number, rows[-1].number) if rows else (first, first)
    earlier = bool(limit and audience_rows.up_to_number(c, audience.id, shown, at[0] - 1, 1))
    later = bool(limit and audience_rows.from_number(c, audience.id, shown, at[1] + 1, 1))
    copying = jobs.latest(c, audience.id, COPY) if audience.origin else None
    return Bench(audience, reading, change, rows, last, shared, earlier, later, copying)
