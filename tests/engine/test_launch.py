"""What is refused when a campaign is launched, with a sentence and before anything is written down."""

from __future__ import annotations

from typing import Any

import pytest

from campana.engine.launch import Refused
from tests.engine.world import World, sms, whatsapp

TEXT = {"from": "wa", "text": "Hi {{name}}"}


@pytest.mark.parametrize(
    ("steps", "which"),
    [
        ({"primary": TEXT}, "primary"),
        ({"primary": sms(), "fallbacks": [TEXT]}, "fallback"),
        ({"primary": whatsapp(), "follow_ups": [TEXT]}, "follow-up"),
    ],
)
async def test_a_text_is_refused_where_only_templates_reach_people(world: World, steps: dict[str, Any], which: str) -> None:
    with pytest.raises(Refused, match=f"The {which} message is a text of your own, which WhatsApp .* Give it a template"):
        await world.launch(**steps)
    assert world.runs == []
