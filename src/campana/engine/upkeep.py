"""Upkeep: what every process sees to now and then beside its wheels, for as long as it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from campana.core.durations import DAY
from campana.engine import tidy
from campana.engine.house import House
from campana.engine.journal import Journal
from campana.store import partitions
from campana.store.database import StoreAway

CLOCK_SECONDS = 10.0  # two machines' clocks drift apart by less than a millisecond in this time
ROUNDS = 360  # of the clock's settings: an hour

log = structlog.get_logger("campana.upkeep")


async def upkeep(house: House, journal: Journal, set_clock: Callable[[], Awaitable[object]]) -> None:
    """Sets the clock every few seconds; every hour makes room for the months to come and removes what nobody asks for."""
    turn = 0
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        turn += 1
        try:
            await set_clock()
            if turn % ROUNDS == 0:
                await house.db.run(partitions.ensure, house.clock.now())
                await tidy.discard_unfinished(house, house.clock.now() - DAY)
                journal.forget_others()
        except StoreAway as error:
            log.warning("store_away", wheel="upkeep", error=str(error))
        except Exception as error:
            log.exception("upkeep_stumbled", error=type(error).__name__)
