"""Tidying: what nobody needs any more is removed, a little at a time, so that the store does not grow for ever."""

from __future__ import annotations

from sqlalchemy import Connection

from campana.core.durations import DAY
from campana.core.ids import first_id
from campana.engine.house import House
from campana.engine.load import discard_audience, discard_upload
from campana.store import audiences, inbox, jobs, messages, uploads

KEPT = 30 * DAY  # as long as vendors keep their own logs of what went wrong; time lapse does not shorten it
BATCH = 200


def tidy(c: Connection, now: int) -> int:
    """Removes a batch of exchanges, of strays and of jobs that are older than anybody looks into. Returns how many rows.

    Ids are in the order of their making, so that looking costs next to nothing when there is nothing to remove.
    """
    before = first_id(now - KEPT)
    gone = messages.forget_exchanges(c, before, BATCH) + inbox.forget_strays(c, before, BATCH)
    return gone + jobs.forget(c, before, BATCH)


async def discard_unfinished(house: House, before: int) -> None:
    """Removes audiences whose reading was begun before then and that no process survived, and files of no audience."""
    for audience_id in await house.db.read(audiences.unfinished, before):
        await discard_audience(house, audience_id)
    while found := await house.db.read(uploads.nobodys, first_id(before), BATCH):
        for upload_id in found:
            await discard_upload(house, upload_id)
