"""Files as they were uploaded, in pieces, so that any process can read them again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, exists, insert, select

from campana.core.ids import Id
from campana.store.schema import audience, upload

PIECE = 256 * 1024  # bytes
BATCH = 40  # pieces that are removed in one transaction: ten megabytes


def add(c: Connection, upload_id: Id, first: int, pieces: Sequence[bytes]) -> None:
    """The next pieces of a file; `first` is the number of the first one.

    Each travels by itself: in an array, as `insert_many` sends rows to PostgreSQL, they would be written as text and read again,
    which takes five times as long as keeping them."""
    if pieces:
        rows = [{"upload_id": upload_id, "number": first + at, "body": body} for at, body in enumerate(pieces)]
        c.execute(insert(upload), rows)


def pieces(c: Connection, upload_id: Id, first: int, limit: int) -> Sequence[bytes]:
    """So many pieces from that number on; none when the file is at its end."""
    u = upload.c
    return c.scalars(select(u.body).where(u.upload_id == upload_id, u.number >= first).order_by(u.number).limit(limit)).all()


def remove(c: Connection, upload_id: Id, at_most: int = BATCH) -> bool:
    """Removes a batch of pieces of a file, the first one last, so that a kill hides none; False when none was left."""
    u = upload.c
    batch = select(u.number).where(u.upload_id == upload_id).order_by(u.number.desc()).limit(at_most).scalar_subquery()
    return c.execute(upload.delete().where(u.upload_id == upload_id, u.number.in_(batch))).rowcount > 0


def nobodys(c: Connection, before: Id, at_most: int) -> Sequence[Id]:
    """Files begun before that id that no audience was read from: whoever uploaded them was gone before they were whole."""
    u = upload.c
    read = exists().where(audience.c.upload_id == u.upload_id)
    return c.scalars(select(u.upload_id).where(u.upload_id < before, u.number == 0, ~read).limit(at_most)).all()
