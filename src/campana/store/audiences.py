"""What was offered: the rows of a file as they stood, what we made of them, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from campana.core.ids import Id
from campana.store.copying import load_many
from campana.store.schema import audience, audience_row


def create(c: Connection, audience_id: Id, workspace_id: Id, file_name: str, fingerprint: str, columns: str, now: int) -> None:
    """An audience whose rows are still to come."""
    c.execute(
        insert(audience).values(
            id=audience_id,
            workspace_id=workspace_id,
            file_name=file_name,
            fingerprint=fingerprint,
            columns=columns,
            created_at=now,
        )
    )


def add_rows(c: Connection, audience_id: Id, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as {number, cells, phone, email, issues, left_out}; cells and issues are JSON text."""
    load_many(c, audience_row, rows, audience_id=audience_id)


def finish(c: Connection, audience_id: Id, rows: int, offered: int, summary: str) -> None:
    """All rows are there."""
    c.execute(
        update(audience).where(audience.c.id == audience_id).values(loaded=True, rows=rows, offered=offered, summary=summary)
    )


def discard(c: Connection, audience_id: Id, at_most: int = 5000) -> bool:
    """Removes a batch of rows of an audience that is not wanted; False when nothing is left of it."""
    batch = select(audience_row.c.number).where(audience_row.c.audience_id == audience_id).limit(at_most).scalar_subquery()
    gone = c.execute(
        audience_row.delete().where(audience_row.c.audience_id == audience_id, audience_row.c.number.in_(batch))
    ).rowcount
    if not gone:
        c.execute(audience.delete().where(audience.c.id == audience_id))
    return bool(gone)


def unfinished(c: Connection, before: int) -> list[Id]:
    """Audiences begun before then whose file was not read to its end."""
    return list(c.scalars(select(audience.c.id).where(audience.c.loaded.is_(False), audience.c.created_at < before)))


def facts(c: Connection, audience_id: Id) -> Any:
    """None, or file_name, fingerprint, columns, loaded, rows, offered, summary."""
    a = audience.c
    return c.execute(
        select(a.file_name, a.fingerprint, a.columns, a.loaded, a.rows, a.offered, a.summary).where(a.id == audience_id)
    ).first()


def reachable(c: Connection, audience_id: Id) -> tuple[bool, bool]:
    """Whether anybody offered has a phone, and whether anybody has an e-mail address."""
    offered = (audience_row.c.audience_id == audience_id, audience_row.c.left_out.is_(None))
    found = [
        c.scalar(select(audience_row.c.number).where(*offered, column.is_not(None)).limit(1)) is not None
        for column in (audience_row.c.phone, audience_row.c.email)
    ]
    return found[0], found[1]


def left_out(c: Connection, audience_id: Id) -> list[tuple[str, int]]:
    """How many rows are not offered, by reason."""
    rows = c.execute(
        select(audience_row.c.left_out, func.count())
        .where(audience_row.c.audience_id == audience_id, audience_row.c.left_out.is_not(None))
        .group_by(audience_row.c.left_out)
    )
    return [(reason, n) for reason, n in rows]


def rows_after(c: Connection, audience_id: Id, number: int, limit: int) -> Sequence[Any]:
    """The next rows by number: number, cells, phone, email, issues, left_out."""
    r = audience_row.c
    return c.execute(
        select(r.number, r.cells, r.phone, r.email, r.issues, r.left_out)
        .where(r.audience_id == audience_id, r.number > number)
        .order_by(r.number)
        .limit(limit)
    ).all()
