"""Files as they were uploaded, in pieces, so that any process can read them again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from campana.core.ids import Id
from campana.store.dialect import insert_many
from campana.store.schema import upload

PIECE = 256 * 1024  # bytes


def add(c: Connection, upload_id: Id, first: int, pieces: Sequence[bytes]) -> None:
    """The next pieces of a file; `first` is the number of the first one."""
    insert_many(c, upload, [{"upload_id": upload_id, "number": first + at, "body": body} for at, body in enumerate(pieces)])


def pieces(c: Connection, upload_id: Id, first: int, limit: int) -> Sequence[bytes]:
    """So many pieces from that number on; none when the file is at its end."""
    u = upload.c
    return c.scalars(select(u.body).where(u.upload_id == upload_id, u.number >= first).order_by(u.number).limit(limit)).all()


def remove(c: Connection, upload_id: Id) -> None:
    """The file is gone."""
    c.execute(upload.delete().where(upload.c.upload_id == upload_id))
