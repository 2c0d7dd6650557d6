"""A campaign after which each kind of person has something to tell, for tests of people, timelines and the log of messages."""

from __future__ import annotations

from typing import Any

from campana.core.ids import Id
from campana.standin.faults import Faults, Rule
from tests.engine.world import ANA, BRUNO, CARLA, World, sms, whatsapp

DIEGO = "+12125550104"
FAULTS = Faults(rules=(Rule(vendor="whatsapp", code=131026, number=ANA), Rule(vendor="whatsapp", code=131009, number=CARLA)))
PEOPLE = [
    {"phone": ANA, "name": "Ana", "email": "ana@example.com", "city": "São Paulo"},
    {"phone": BRUNO, "name": "Bruno", "email": "", "city": "Lima"},
    {"phone": CARLA, "name": "Carla", "email": "", "city": "Quito"},
    {"phone": "", "name": "Eva", "email": "eva@example.com", "city": "Santiago"},
    {"phone": DIEGO, "name": "Diego <b>", "email": "", "city": '=HYPERLINK("x")'},
]
HOURS = {"from": "00:00", "to": "24:00", "zone": "America/Sao_Paulo"}


async def told(world: World, name: str = "Visits", **more: Any) -> Id:
    """Ana is no WhatsApp user and answers the SMS, Bruno got his and waits, Carla's was refused, Eva has no phone, Diego says
    STOP. Returns the campaign."""
    steps: dict[str, Any] = {"fallbacks": [sms(), sms("Again, {{name}}")], "follow_ups": [sms("Are you there?", after="2 days")]}
    await world.launch(whatsapp(), people=PEOPLE, name=name, hours=HOURS, **steps, **more)
    await world.play(minutes=5)
    world.reply(ANA, "yes <please>")
    await world.play(minutes=1)
    world.reply(DIEGO, "STOP", over="whatsapp")
    await world.play(minutes=1)
    return await campaign_of(world)


async def campaign_of(world: World, run: Id | None = None) -> Id:
    """The campaign of a run, the latest if none is named."""
    from campana.store import campaigns

    found = await world.house.db.read(campaigns.get_run, run or world.runs[-1])
    assert found is not None
    return found.campaign_id
