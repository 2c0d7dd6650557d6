"""Overdue receipts are dealt with in sets: what it costs does not grow with the people."""

from __future__ import annotations

import pytest
from sqlalchemy import event, select

from campana.engine import wake
from campana.engine.house import House
from campana.standin.faults import Faults, ReceiptOdds
from campana.store import messages
from campana.store.schema import message
from tests.engine.conftest import Worlds
from tests.engine.world import HOUR, numbers, sms


async def statements_of_deadlines(house: House, now: int) -> tuple[int, int]:
    """How many people were dealt with, and with how many statements."""
    seen: list[str] = []

    def saw(*args: object) -> None:
        seen.append(str(args[2]))

    event.listen(house.db.engine, "before_cursor_execute", saw)
    try:
        dealt_with = await house.db.run(wake.deadlines, house, now)
    finally:
        event.remove(house.db.engine, "before_cursor_execute", saw)
    return dealt_with, len(seen)


@pytest.mark.parametrize("people", [3, 60])
async def test_as_many_statements_for_few_as_for_many(worlds: Worlds, people: int) -> None:
    world = await worlds(faults=Faults(receipts=ReceiptOdds(missing=1)))
    await world.launch(sms(not_delivered_after="2 hours"), people=numbers(people))
    await world.play(hours=1)
    assert len(world.accepted()) == people
    now = world.clock.now() + HOUR
    world.clock.advance_to(now)
    asked_first = await statements_of_deadlines(world.house, now)
    assert asked_first[0] == people
    assert asked_first[1] <= 10
    asked_at = await world.house.db.read(lambda c: set(c.scalars(select(message.c.ask_at))))
    assert asked_at == {now}
    later = now + world.house.recheck
    assert (await statements_of_deadlines(world.house, later))[0] == people
    asked_at = await world.house.db.read(lambda c: set(c.scalars(select(message.c.ask_at))))
    assert asked_at == {now}  # they are on the list already: nobody moves them back
    assert await world.house.db.read(messages.next_ask) == now
    await world.play(days=2)
    assert await world.outcomes() == {"delivered": people}  # as the vendor said when it was asked
