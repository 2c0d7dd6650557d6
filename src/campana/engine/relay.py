"""Telling what happened: noted in the transaction of the change, passed on to the bus afterwards, as often as it takes."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from campana.bus.contract import EVENTS, Away, Bus, Full
from campana.core.ids import Id
from campana.engine.house import House
from campana.store import campaigns, outbox

BATCH = 100


def note(c: Connection, run_id: Id, what: str, now: int) -> None:
    """What became of a run is told once this transaction is committed: started, paused, resumed, finished or sent."""
    run = campaigns.get_run(c, run_id)
    if run is None:
        return
    event = {"what": f"run.{what}", "run": run_id.hex(), "campaign": run.campaign_id.hex(), "at": now}
    outbox.add(c, run.workspace_id, EVENTS, msgspec.json.encode(event), now)


async def relay(house: House, bus: Bus) -> int:
    """Passes on what was noted, in its order. Returns how much; what the bus does not take waits for it in the store."""
    rows = await house.db.read(outbox.take, BATCH)
    told: list[Id] = []
    try:
        for row in rows:
            await bus.put(row.stream, row.key, row.body)
            told.append(row.id)
    except (Away, Full):
        pass  # the bus has said so itself
    if told:
        await house.db.run(outbox.done, told)
    return len(told)
