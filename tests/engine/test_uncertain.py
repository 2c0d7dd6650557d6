"""Attempts whose answer was lost, and the deadline of their step."""

from __future__ import annotations

import pytest

from campana.standin.faults import Fault, Faults, Rule
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, sms, whatsapp


@pytest.mark.parametrize("fallbacks", [[], [whatsapp()]], ids=["the only step", "a fallback behind it"])
async def test_a_step_is_not_given_up_while_the_vendor_is_still_to_be_asked(
    worlds: Worlds, fallbacks: list[dict[str, object]]
) -> None:
    """Whether it was taken is known after two minutes only, later than the deadline: it was not, so it is sent again."""
    world = await worlds(faults=Faults(rules=(Rule(fault=Fault.CUT_BEFORE, times=1),)))
    await world.launch(sms(not_delivered_after="1 min"), fallbacks=fallbacks)
    await world.play(hours=1)
    assert world.vendors_of(ANA) == ["twilio"]
    assert await world.statuses_of(ANA) == ["failed", "delivered"]
    assert await world.outcome_of(ANA) == "delivered"
