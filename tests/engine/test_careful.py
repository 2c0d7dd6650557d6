"""Sending carefully: first people first, a run that pauses itself, and the emergency stop."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, update

from campana.core.canary import Trouble, Watch
from campana.engine import careful, emergency, launch
from campana.standin.faults import Fault, Faults, Rule
from campana.store import campaigns, workspaces
from campana.store.schema import sender
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, BRUNO, HOUR, NINE, World, numbers, sms, whatsapp

TEN_FIRST: dict[str, Any] = {"people": 10, "wait": "30 min", "limits": {"failed": 20, "opted_out": 10, "unknown": 10}}


async def watch_of(world: World) -> Watch:
    """The watch over the latest run."""
    run = await world.house.db.read(campaigns.get_run, world.runs[-1])
    assert run is not None
    assert run.watch is not None
    return careful.read_watch(run.watch)


@pytest.mark.both_databases
async def test_it_goes_to_the_first_people_and_after_a_quiet_time_to_all(world: World) -> None:
    await world.launch(sms(), people=numbers(50), canary=TEN_FIRST)
    await world.play(minutes=29)
    assert len(world.accepted()) == 10
    assert await world.status() == "sending"
    assert sum((await world.outcomes()).values()) == 50, "those who are not enrolled yet are waiting"
    await world.play(minutes=5)
    assert len(world.accepted()) == 50
    assert await world.status() == "sent"


@pytest.mark.both_databases
async def test_it_pauses_itself_when_too_many_fail_and_goes_on_when_a_person_says_so(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(vendor="twilio", share=0.5, code=21211),)))
    await world.launch(sms(), people=numbers(60), canary=TEN_FIRST)
    await world.play(hours=2)
    assert await world.status() == "paused"
    breach = (await watch_of(world)).breach
    assert breach is not None
    assert breach.trouble is Trouble.FAILED
    assert breach.of == 10
    assert breach.count > 2
    assert len(world.ledger.lines)
    assert len(world.accepted()) <= 10
    tried = len(world.accepted())
    await world.act(launch.resume)
    assert (await watch_of(world)).breach is None
    await world.play(hours=2)
    assert await world.status() == "sending" or (await watch_of(world)).breach is not None
    await world.act(careful.send_to_all)
    await world.act(launch.resume)
    while await world.status() == "paused":
        await world.act(launch.resume)
        await world.play(hours=1)
    await world.play(hours=2)
    assert len(world.accepted()) > tried
    outcomes = await world.outcomes()
    assert sum(outcomes.values()) == 60


async def test_a_template_that_is_no_good_pauses_it_though_nobody_failed(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(vendor="whatsapp", code=132012, told="answer"),)))
    await world.launch(whatsapp(), people=numbers(200), canary={"people": 100, "wait": "10 min", "limits": {"failed": 90}})
    await world.play(hours=1)
    assert await world.status() == "paused"
    breach = (await watch_of(world)).breach
    assert breach is not None
    assert breach.trouble in (Trouble.STUCK, Trouble.FAILED)
    assert world.accepted() == []


async def test_after_the_first_people_the_limits_still_hold(worlds: Worlds) -> None:
    people = numbers(300)
    bad = tuple(Rule(vendor="twilio", number=one, code=21211) for one in people[10:200])
    world = await worlds(faults=Faults(rules=bad))
    await world.launch(sms(), people=people, canary=TEN_FIRST)
    await world.play(hours=1)
    assert await world.status() == "paused"
    watch = await watch_of(world)
    assert watch.passed_at is not None
    assert watch.breach is not None
    assert watch.breach.trouble is Trouble.FAILED


async def test_an_audience_smaller_than_the_first_is_sent_like_any_other(world: World) -> None:
    await world.launch(sms(), people=numbers(4), canary=TEN_FIRST)
    await world.play(minutes=5)
    assert await world.status() == "sent"
    assert await world.outcomes() == {"delivered": 4}


async def test_who_is_not_enrolled_yet_gets_an_outcome_when_it_is_finished(world: World) -> None:
    await world.launch(sms(), people=numbers(40), canary=TEN_FIRST)
    await world.play(minutes=1)
    assert await world.act(launch.finish)
    await world.play(hours=1)
    assert len(world.accepted()) == 10
    assert await world.outcomes() == {"delivered": 10, "ended": 30}


async def test_a_vendor_that_says_slowly_is_nobodys_failure(worlds: Worlds) -> None:
    people = numbers(20)
    slow = tuple(Rule(vendor="twilio", number=one, fault=Fault.THROTTLED, times=1) for one in people[:6])
    world = await worlds(faults=Faults(rules=slow))
    await world.launch(sms(), people=people, canary={**TEN_FIRST, "limits": {"failed": 0}})
    await world.play(hours=1)
    assert await world.status() == "sent"
    assert await world.outcomes() == {"delivered": 20}


async def test_a_pause_by_a_person_forgives_nothing(worlds: Worlds) -> None:
    people = numbers(40)
    bad = tuple(Rule(vendor="twilio", number=one, code=21211) for one in people[:4])
    world = await worlds(faults=Faults(rules=bad), pace=1)
    await world.launch(sms(), people=people, canary={**TEN_FIRST, "limits": {"failed": 30}})
    await world.play(seconds=2)
    assert await world.act(launch.pause)
    await world.act(launch.resume)
    await world.play(hours=1)
    assert await world.status() == "paused"
    breach = (await watch_of(world)).breach
    assert breach is not None
    assert breach.count == 4


async def test_a_sender_that_nobody_waits_for_does_not_stop_the_first_people(world: World) -> None:
    def stop_sender(c: Connection) -> None:
        c.execute(update(sender).where(sender.c.name == "wa").values(paused_at=NINE, trouble="its template is gone"))

    await world.launch(sms(), fallbacks=[whatsapp()], people=numbers(20), canary=TEN_FIRST)
    await world.house.db.run(stop_sender)
    await world.play(hours=2)
    assert await world.status() == "sent"


# --- the emergency stop -----------------------------------------------------------------------------------------------------


def stop(c: Connection, workspace_id: bytes, now: int) -> int:
    return emergency.stop_everything(c, workspace_id, "Olga", now)


@pytest.mark.both_databases
async def test_nothing_of_any_campaign_goes_out_after_an_emergency_stop(worlds: Worlds) -> None:
    world = await worlds(pace=8)
    workspace_id = world.installation.workspace_id
    for at in range(3):
        await world.launch(sms() if at else whatsapp(), people=numbers(20, 2_000_000 + 100 * at))
    await world.play(seconds=1)
    before = len(world.accepted())
    assert 0 < before < 60
    assert await world.house.db.run(stop, workspace_id, world.clock.now()) == 3
    await world.play(hours=2)
    assert len(world.accepted()) == before
    assert await world.house.db.run(emergency.lift, workspace_id, True, world.clock.now()) == 3
    await world.play(hours=2)
    assert len(world.accepted()) == 60


async def test_while_everything_is_stopped_no_campaign_begins_or_goes_on(world: World) -> None:
    workspace_id = world.installation.workspace_id
    await world.house.db.run(stop, workspace_id, world.clock.now())
    await world.house.db.run(stop, workspace_id, world.clock.now())  # a second time changes nothing
    stopped = await world.house.db.read(workspaces.stop_of, workspace_id)
    assert stopped is not None
    assert stopped.who == "Olga"
    await world.launch(sms(), people=[ANA], start=NINE + HOUR)
    await world.play(hours=3)
    assert world.accepted() == []
    assert not await world.act(launch.resume)
    assert await world.house.db.run(emergency.lift, workspace_id, False, world.clock.now()) == 0
    await world.play(hours=1)
    assert world.accepted() == [], "it was to stay paused"
    await world.house.db.run(stop, workspace_id, world.clock.now())
    await world.launch(sms(), people=[BRUNO])
    assert await world.house.db.run(emergency.lift, workspace_id, True, world.clock.now()) == 1
    await world.play(hours=1)
    assert len(world.accepted()) == 1, "a person had let the first one stay paused"


async def test_lifting_a_stop_mends_no_sender(world: World) -> None:
    def stop_sender(c: Connection) -> None:
        c.execute(update(sender).where(sender.c.name == "sms").values(paused_at=NINE, trouble="the vendor closed it"))

    workspace_id = world.installation.workspace_id
    await world.launch(sms(), people=[ANA])
    await world.house.db.run(stop_sender)
    await world.house.db.run(stop, workspace_id, world.clock.now())
    assert await world.house.db.run(emergency.lift, workspace_id, True, world.clock.now()) == 1
    await world.play(hours=1)
    assert world.accepted() == []
