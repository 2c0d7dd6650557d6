"""What others are to be told: written in the transaction of what happened, so that neither is there without the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from campana.core.ids import Id, new_id
from campana.store.schema import outbox


def add(c: Connection, workspace_id: Id, stream: str, body: bytes, now: int) -> None:
    """This is told once the transaction is committed, and not otherwise."""
    row_id = new_id(now)
    row = {"id": row_id, "workspace_id": workspace_id, "stream": stream, "key": row_id.hex(), "body": body, "at": now}
    c.execute(insert(outbox).values(row))


def take(c: Connection, limit: int) -> Sequence[Any]:
    """The oldest rows not told yet: id, stream, key, body. Telling one twice does no harm: its key stays the same."""
    return c.execute(select(outbox.c.id, outbox.c.stream, outbox.c.key, outbox.c.body).order_by(outbox.c.id).limit(limit)).all()


def done(c: Connection, ids: Sequence[Id]) -> None:
    """These are told."""
    c.execute(delete(outbox).where(outbox.c.id.in_(ids)))
