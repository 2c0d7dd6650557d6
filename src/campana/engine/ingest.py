"""Webhooks on their way: from the gateway of one process over the bus into the store, by another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from sqlalchemy import Connection

from campana.bus.contract import INGEST, Bus, Parcel
from campana.core.exchange import HookRow, packed, unpacked
from campana.engine.house import House
from campana.store import accounts, inbox
from campana.store.database import Priority, StoreAway, StoreTrouble

BATCH = 200

log = structlog.get_logger("campana.ingest")


def keeper(bus: Bus) -> Callable[[list[HookRow]], Awaitable[None]]:
    """What keeps the gateway's webhooks on the bus: all side by side, and all are durable when it returns.

    One that the bus does not take makes it raise for all: a vendor who tells twice changes nothing.
    """

    async def keep(rows: list[HookRow]) -> None:
        puts = (bus.put(INGEST, row.id.hex(), packed(row)) for row in rows)
        for answer in await asyncio.gather(*puts, return_exceptions=True):
            if answer is not None:
                raise answer

    return keep


class Ingest:
    """Moves webhooks into the store. One hand of them is held at a time; it is only a copy of what the bus still has."""

    def __init__(self, house: House, bus: Bus) -> None:
        self._house, self._bus = house, bus
        self._hand: Sequence[Parcel] = ()

    async def move(self) -> int:
        """What waits is in the store, and the bus may forget it. Returns how many; raises StoreAway with its hand still full."""
        self._hand = self._hand or await self._bus.take(INGEST, BATCH)
        if not self._hand:
            return 0
        await self._keep(self._hand)
        moved, self._hand = self._hand, ()
        await self._bus.done(moved)
        self._house.wake("inbox")
        return len(moved)

    async def _keep(self, parcels: Sequence[Parcel]) -> None:
        """What makes a batch fail is found by halving, so that one bad parcel hurts no other."""
        try:
            await self._house.db.at(Priority.GATEWAY, inbox.put, [unpacked(parcel.body) for parcel in parcels])
        except (StoreTrouble, StoreAway):
            raise
        except Exception as error:
            if len(parcels) > 1:
                half = len(parcels) // 2
                await self._keep(parcels[:half])
                await self._keep(parcels[half:])
                return
            log.exception("a webhook of the bus could not be stored", key=parcels[0].key, error=type(error).__name__)
            await self._house.db.at(Priority.GATEWAY, _set_aside, parcels[0], self._house.clock.now())


def _set_aside(c: Connection, parcel: Parcel, now: int) -> None:
    """Kept for people, and no longer in the way."""
    body = parcel.body[:2000].decode(errors="replace").replace("\0", "")
    inbox.keep_strays(c, accounts.any_workspace(c), "bus", [f"a webhook that could not be stored: {body}"], now)
