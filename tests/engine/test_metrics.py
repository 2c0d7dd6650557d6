"""What the wheels count: every attempt under what came of it, and every message of which nobody can tell."""

from __future__ import annotations

from sqlalchemy import func, select

from campana.core.message import Status
from campana.standin.faults import Fault, Faults, ReceiptOdds, Rule
from campana.store import health
from campana.store.schema import message
from tests.engine.conftest import Worlds
from tests.engine.world import DAY, World, numbers, sms, whatsapp

PEOPLE = numbers(8)
STRIKES = {  # the first calls for somebody: what befalls them, and what comes of them
    PEOPLE[0]: (Rule(number=PEOPLE[0], fault=Fault.CUT_BEFORE, times=1), "lost"),
    PEOPLE[1]: (Rule(number=PEOPLE[1], fault=Fault.BROKEN_AFTER, times=1), "lost"),
    PEOPLE[2]: (Rule(number=PEOPLE[2], fault=Fault.THROTTLED, times=1), "throttled"),
    PEOPLE[3]: (Rule(number=PEOPLE[3], code=21211), "permanent"),
    PEOPLE[4]: (Rule(number=PEOPLE[4], code=21610), "optout"),
}


async def attempts(world: World, *statuses: Status) -> int:
    """How many messages the store has, in these states or at all."""
    counted = select(func.count()).select_from(message)
    counted = counted.where(message.c.status.in_([int(one) for one in statuses])) if statuses else counted
    return await world.house.db.read(lambda c: c.scalar(counted) or 0)


async def test_every_attempt_is_counted_by_what_came_of_it(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=tuple(rule for rule, _ in STRIKES.values())))
    await world.launch(sms(), people=PEOPLE)
    await world.play(days=2)
    counted = {result: n for (_, result), n in world.house.metrics.results.items()}
    for word in {word for _, word in STRIKES.values()}:
        assert counted[word] >= sum(word == one for _, one in STRIKES.values()), counted
    assert sum(counted.values()) == await attempts(world)
    (calls,) = world.house.metrics.calls().values()
    assert sum(calls.counts) == await attempts(world)


async def test_what_cannot_leave_is_counted_as_unsent(worlds: Worlds) -> None:
    world = await worlds()
    world.unreachable.add("vendors.test")
    await world.launch(sms(), people=PEOPLE[:1])
    await world.play(seconds=1)
    assert world.house.metrics.results["twilio_sms", "unsent"] >= 1


async def test_messages_of_which_nobody_can_tell_are_counted_as_long_as_nobody_can(worlds: Worlds) -> None:
    lost = Faults(rules=(Rule(fault=Fault.CUT_AFTER),), receipts=ReceiptOdds(late=1, late_by=(3600, 3600)))
    world = await worlds(faults=lost)
    await world.launch(whatsapp(not_delivered_after="24h"), people=PEOPLE[:3])
    await world.play(minutes=30)
    found = await world.house.db.read(health.figures, world.clock.now())
    assert found.unknown_messages == await attempts(world, Status.UNKNOWN) == 3
    await world.play(hours=2)
    found = await world.house.db.read(health.figures, world.clock.now())
    assert found.unknown_messages == await attempts(world, Status.UNKNOWN) == 0
    assert world.clock.now() < world.ledger.lines[0].at + DAY, "their receipts came, late"
