"""Whole journeys through real parts: primary, fallbacks, follow-ups, and what ends them."""

from __future__ import annotations

from tests.engine.world import ANA, REMINDER, World, whatsapp


async def test_the_primary_reaches_a_person_and_the_campaign_is_sent(world: World) -> None:
    await world.launch(whatsapp())
    await world.play(hours=1)
    assert world.sent_to(ANA) == [("whatsapp", REMINDER.format(name="Ana"))]
    assert await world.outcome_of(ANA) == "delivered"
    assert await world.status() == "sent"
