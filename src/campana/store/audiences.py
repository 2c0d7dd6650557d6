"""What was offered: the rows of a file as they stood, what we made of them, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, exists, insert, or_, select, update

from campana.core.audience import Summary
from campana.core.campaign import AudienceSpec
from campana.core.ids import Id
from campana.core.missed import Origin
from campana.core.reading import Reading
from campana.core.tally import EMPTY, open_problems
from campana.store import uploads
from campana.store.copying import load_many
from campana.store.dialect import locked
from campana.store.schema import audience, audience_row, campaign, run

A = audience.c


@dataclass(frozen=True, slots=True)
class Audience:
    """An audience in figures, without its rows."""

    id: Id
    file_name: str
    columns: tuple[str, ...]
    loaded: bool
    summary: Summary
    spec: AudienceSpec
    reading: Reading
    trouble: str | None
    upload_id: Id | None
    origin: Origin | None = None  # the campaign whose people these are

    @property
    def open_problems(self) -> int:
        """Rows that must be fixed or dropped before anything is launched (contract 95)."""
        return open_problems(self.summary, self.spec)

    @property
    def mark(self) -> str:
        """Names these people as they are now: other people, or one row changed by hand, are another mark."""
        return f"{self.id.hex()}-{self.summary.changed}"


def create(
    c: Connection,
    audience_id: Id,
    workspace_id: Id,
    file_name: str,
    fingerprint: str,
    columns: str,
    now: int,
    spec: str = "{}",
    upload_id: Id | None = None,
) -> None:
    """An audience whose rows are still to come."""
    c.execute(
        insert(audience).values(
            id=audience_id,
            workspace_id=workspace_id,
            file_name=file_name,
            fingerprint=fingerprint,
            columns=columns,
            spec=spec,
            upload_id=upload_id,
            created_at=now,
        )
    )


def opened(c: Connection, audience_id: Id, fingerprint: str, columns: Sequence[str], reading: Reading) -> None:
    """It is known how the file is read; its rows are still to come."""
    values = {"fingerprint": fingerprint, "columns": _json(columns), "reading": _json(reading)}
    c.execute(update(audience).where(A.id == audience_id).values(**values))


def add_rows(c: Connection, audience_id: Id, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as {number, cells, phone, email, issues, left_out, flag}; cells and issues are JSON text."""
    load_many(c, audience_row, rows, audience_id=audience_id)


def count(c: Connection, audience_id: Id, summary: Summary) -> None:
    """These are its figures now."""
    values = {"rows": summary.rows, "offered": summary.offered, "summary": _json(summary)}
    c.execute(update(audience).where(A.id == audience_id).values(**values))


def finish(c: Connection, audience_id: Id, rows: int, offered: int, summary: str) -> None:
    """All rows are there."""
    values = {"loaded": True, "trouble": None, "rows": rows, "offered": offered, "summary": summary}
    c.execute(update(audience).where(A.id == audience_id).values(**values))


def refuse(c: Connection, audience_id: Id, trouble: str) -> None:
    """The file cannot be read as it is, and this is why."""
    c.execute(update(audience).where(A.id == audience_id).values(trouble=trouble))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# --- whose it is ------------------------------------------------------------------------------------------------------------


def load(c: Connection, workspace_id: Id, audience_id: Id | None, lock: bool = False) -> Audience | None:
    """The audience; with `lock`, nobody else changes it until the transaction ends."""
    statement = select(
        A.id, A.file_name, A.columns, A.loaded, A.summary, A.spec, A.reading, A.trouble, A.upload_id, A.origin
    ).where(A.workspace_id == workspace_id, A.id == audience_id)  # fmt: skip
    row = c.execute(locked(statement, audience) if lock else statement).first()
    if row is None:
        return None
    return Audience(
        row.id,
        row.file_name,
        tuple(msgspec.json.decode(row.columns, type=list[str])),
        row.loaded,
        EMPTY if row.summary == "{}" else msgspec.json.decode(row.summary, type=Summary),
        AudienceSpec.model_validate_json(row.spec),
        msgspec.json.decode(row.reading, type=Reading),
        row.trouble,
        row.upload_id,
        msgspec.json.decode(row.origin, type=Origin) if row.origin else None,
    )


def of_draft(c: Connection, workspace_id: Id, campaign_id: Id, lock: bool = False) -> tuple[bool, Id | None]:
    """Whether there is such a draft, not launched yet, and the audience it has. With `lock` it is not launched meanwhile."""
    has_run = exists().where(run.c.campaign_id == campaign.c.id)
    statement = select(campaign.c.audience_id).where(
        campaign.c.workspace_id == workspace_id, campaign.c.id == campaign_id, ~has_run
    )
    row = c.execute(locked(statement, campaign) if lock else statement).first()
    return row is not None, row.audience_id if row else None


def give(c: Connection, campaign_id: Id, audience_id: Id | None) -> None:
    """The campaign's people are those of that audience. Its version stays: nothing that it says has changed."""
    c.execute(update(campaign).where(campaign.c.id == campaign_id).values(audience_id=audience_id))


def shared(c: Connection, audience_id: Id, campaign_id: Id) -> bool:
    """Whether another campaign, or a run, has these people too."""
    others = select(campaign.c.id).where(campaign.c.audience_id == audience_id, campaign.c.id != campaign_id)
    runs = select(run.c.id).where(run.c.audience_id == audience_id)
    return c.scalar(others.limit(1)) is not None or c.scalar(runs.limit(1)) is not None


def let_go(c: Connection, audience_id: Id) -> bool:
    """An audience that nobody has any more will be tidied away; False when somebody still has it."""
    wanted = or_(
        exists().where(campaign.c.audience_id == audience_id),
        exists().where(run.c.audience_id == audience_id),
    )
    return c.execute(update(audience).where(A.id == audience_id, ~wanted).values(loaded=False)).rowcount == 1


def discard(c: Connection, audience_id: Id, at_most: int = 5000) -> bool:
    """Removes a batch of rows of an audience that is not wanted; False when nothing is left of it, nor of a file that nobody
    else is read from."""
    batch = select(audience_row.c.number).where(audience_row.c.audience_id == audience_id).limit(at_most).scalar_subquery()
    gone = c.execute(
        audience_row.delete().where(audience_row.c.audience_id == audience_id, audience_row.c.number.in_(batch))
    ).rowcount
    if not gone:
        upload_id = c.scalar(select(A.upload_id).where(A.id == audience_id))
        others = select(A.id).where(A.upload_id == upload_id, A.id != audience_id).limit(1)
        if upload_id is not None and c.scalar(others) is None and uploads.remove(c, upload_id):
            return True  # a batch of the file
        c.execute(audience.delete().where(A.id == audience_id))
    return bool(gone)


def unfinished(c: Connection, before: int) -> list[Id]:
    """Audiences begun before then whose file was not read to its end, and that no campaign has, and no run."""
    unused = (~exists().where(campaign.c.audience_id == A.id), ~exists().where(run.c.audience_id == A.id))
    return list(c.scalars(select(A.id).where(A.loaded.is_(False), A.created_at < before, *unused)))


# --- what the wheels ask ----------------------------------------------------------------------------------------------------


def facts(c: Connection, audience_id: Id) -> Any:
    """None, or file_name, fingerprint, columns, loaded, rows, offered, summary."""
    return c.execute(
        select(A.file_name, A.fingerprint, A.columns, A.loaded, A.rows, A.offered, A.summary).where(A.id == audience_id)
    ).first()


def rows_after(c: Connection, audience_id: Id, number: int, limit: int) -> Sequence[Any]:
    """The next rows by number: number, cells, phone, email, issues, left_out."""
    r = audience_row.c
    return c.execute(
        select(r.number, r.cells, r.phone, r.email, r.issues, r.left_out)
        .where(r.audience_id == audience_id, r.number > number)
        .order_by(r.number)
        .limit(limit)
    ).all()
