"""Sending one unit, chunk by chunk: start (durable, before the calls), call, settle and start the next chunk.

What is started is written down first; an answer that is lost then leaves an uncertain message, never a second one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from sqlalchemy import Connection

from campana.core.exchange import Response
from campana.core.message import Accepted, Lost, Result, Unsent
from campana.engine.changes import Changes
from campana.engine.house import CALL_TIMEOUT, MARGIN, Account, House
from campana.engine.recover import leave
from campana.engine.settle import Called, kept_of, settle, settle_into
from campana.engine.start import Chunk, Started, start, start_next
from campana.store import units
from campana.store.database import Priority, StoreAway
from campana.store.units import Unit

AWAY_SECONDS = 0.5
LAST_TRIES = 20


async def send_unit(house: House, unit: Unit, stopping: asyncio.Event | None = None) -> int:
    """Sends one unit. Returns how many messages were handed to the vendor, or tried to be.

    When `stopping` is set, what has been handed over is settled and the rest of the unit waits for another worker.
    """
    if stopping and stopping.is_set():
        await house.db.at(Priority.SETTLE, units.release, unit, house.clock.now())
        return 0
    handed = 0
    lease_ends = house.boottime() + house.lease
    try:
        chunk = await house.db.at(Priority.SETTLE, start, house, unit, house.clock.now())
    except StoreAway:
        chunk = await _leave(house, unit, Chunk(), (), stopping)
    while chunk.started and chunk.account:
        deadline = min(lease_ends - MARGIN, house.boottime() + CALL_TIMEOUT)
        answers = await call(house, chunk.account, chunk.started, deadline)
        handed += len(answers)
        lease_ends = house.boottime() + house.lease
        follow = settle_and_leave if stopping and stopping.is_set() else settle_and_start
        try:
            chunk = await house.db.at(Priority.SETTLE, follow, house, unit, chunk, answers, house.clock.now())
        except StoreAway:
            chunk = await _leave(house, unit, chunk, answers, stopping)
    return handed


async def _leave(house: House, unit: Unit, chunk: Chunk, answers: Sequence[Called], stopping: asyncio.Event | None) -> Chunk:
    """Waits until the database answers again and writes down what vendors said: nobody else knows it. Then the unit is left.

    Doing so twice is harmless. Raises StoreAway when the process is to end before the database is there.
    """
    tries = 0
    while True:
        await asyncio.sleep(AWAY_SECONDS)
        try:
            return await house.db.at(Priority.SETTLE, settle_and_leave, house, unit, chunk, answers, house.clock.now())
        except StoreAway:
            tries += stopping is not None and stopping.is_set()
            if tries > LAST_TRIES:
                raise


async def call(house: House, account: Account, started: Sequence[Started], deadline: int) -> list[Called]:
    """Hands attempts to the vendor, as many in one request as it takes. One answer each, in their order."""
    batches = [started[at : at + account.channel.batch] for at in range(0, len(started), account.channel.batch)]
    answers = await asyncio.gather(*(_call_batch(house, account, batch, deadline) for batch in batches))
    return [called for batch in answers for called in batch]


async def _call_batch(house: House, account: Account, batch: Sequence[Started], deadline: int) -> list[Called]:
    outgoing = [one.outgoing for one in batch]
    request = account.channel.build_request(account.settings, outgoing)
    began = time.perf_counter()

    def begins() -> None:
        nonlocal began
        began = time.perf_counter()  # what waited for a free connection did not wait for the vendor
        for one in outgoing:
            house.journal(one.id)

    answer = await house.exchange(request, deadline, begins)
    seconds = time.perf_counter() - began
    if isinstance(answer, Response):
        results = account.channel.parse_response(answer, outgoing)
        house.metrics.called(account.channel.kind, map(result_word, results), seconds)
        went_well = all(isinstance(result, Accepted) for result in results)
        said = "" if went_well else f"{answer.code} {kept_of(answer.body, account.secrets)}"
        return [Called(result, request, "" if isinstance(result, Accepted) else said) for result in results]
    house.metrics.called(account.channel.kind, [result_word(answer)] * len(outgoing), seconds)
    return [Called(answer, request, answer.reason) for _ in outgoing]


def result_word(result: Result) -> str:
    """What came of an attempt, in the one word that metrics count it by."""
    if isinstance(result, Accepted):
        return "accepted"
    if isinstance(result, Unsent):
        return "unsent"
    if isinstance(result, Lost) or result.unanswered:
        return "lost"
    return "throttled" if result.throttled else str(result.cls)


def settle_and_start(c: Connection, house: House, unit: Unit, chunk: Chunk, answers: Sequence[Called], now: int) -> Chunk:
    """Writes the answers down with what follows from them, and starts the next chunk: one transaction."""
    changes = Changes(now)
    settle_into(c, house, chunk, answers, changes)
    following = start_next(c, house, unit, changes)
    changes.write(c)
    return following


def settle_and_leave(c: Connection, house: House, unit: Unit, chunk: Chunk, answers: Sequence[Called], now: int) -> Chunk:
    """Writes the answers down; any worker may go on with the unit."""
    settle(c, house, chunk, answers, now)
    leave(c, house, unit, now)
    return Chunk()
