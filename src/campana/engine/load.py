"""Loading an audience: a file is read and checked in a process of its own, its rows stored as they come, chunk by chunk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from campana.core.audience import BadAudience, Summary
from campana.core.campaign import AudienceSpec
from campana.core.ids import Id, new_id
from campana.engine.house import House
from campana.sources.table import LoadedRow, Opened, Part, Reached, fingerprint, load_checked
from campana.store import audiences, uploads
from campana.store.database import Priority

__all__ = ["BadAudience", "Stopped", "discard_audience", "fingerprint", "load_audience"]

AT_ONCE = 1000  # rows of one transaction, so that nobody waits long for the writer


class Stopped(Exception):
    """Somebody asked to stop before the file was read to its end; nothing of it is left."""


async def load_audience(
    house: House,
    workspace_id: Id,
    path: Path,
    spec: AudienceSpec,
    loaded: Callable[[int], object] = lambda rows: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Id:
    """Stores the audience of a file and returns it; `loaded` is told how many rows there are so far.

    Raises BadAudience with a sentence when it cannot be used as it is, Stopped when `stopping` says so; nothing of it is left
    then.
    """
    db, audience_id = house.db, new_id(house.clock.now())
    parts = load_checked(path, spec)
    rows = 0
    try:
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            if stopping():
                raise Stopped
            if isinstance(part, Opened):
                await db.at(Priority.LOAD, _create, audience_id, workspace_id, path, part, house.clock.now())
            elif isinstance(part, Summary):
                if part.refusal:
                    raise BadAudience(part.refusal)
                await db.at(Priority.LOAD, _finish, audience_id, part)
            elif not isinstance(part, Reached):
                await store_rows(house, audience_id, part)
                rows += len(part)
                loaded(rows)
    except BaseException as error:
        await discard_audience(house, audience_id)
        if isinstance(error, BadAudience) and stopping():
            raise Stopped from error  # Ctrl-C ends the reading process, too
        raise
    finally:
        await asyncio.to_thread(close, parts)
    return audience_id


async def store_rows(house: House, audience_id: Id, rows: Sequence[LoadedRow]) -> None:
    """The rows are there, in so many transactions that nobody waits for them long."""
    for at in range(0, len(rows), AT_ONCE):
        await house.db.at(Priority.LOAD, audiences.add_rows, audience_id, rows[at : at + AT_ONCE])


def _create(c: Connection, audience_id: Id, workspace_id: Id, path: Path, opened: Opened, now: int) -> None:
    columns = msgspec.json.encode(opened.columns.names if opened.columns else ()).decode()
    audiences.create(c, audience_id, workspace_id, path.name, opened.info.fingerprint, columns, now)


def _finish(c: Connection, audience_id: Id, summary: Summary) -> None:
    audiences.finish(c, audience_id, summary.rows, summary.offered, msgspec.json.encode(summary).decode())


async def discard_audience(house: House, audience_id: Id) -> None:
    """Removes an audience that nobody launched."""
    while await house.db.at(Priority.LOAD, audiences.discard, audience_id):
        pass


async def discard_upload(house: House, upload_id: Id) -> None:
    """Removes a file that no audience is read from."""
    while await house.db.at(Priority.LOAD, uploads.remove, upload_id):
        pass


def close(parts: Generator[Part, None, None]) -> None:
    """Ends the process that reads, once it has handed over what it is just busy with."""
    while True:
        try:
            return parts.close()
        except ValueError:  # another thread waits for its next part
            time.sleep(0.01)
