"""A run that has been going on for days has thousands of minutes among its figures: who needs few figures reads few."""

from __future__ import annotations

from typing import Any

import pytest

from campana.engine import wake
from campana.store import campaigns, counters, missed, people
from campana.web.console import run_people
from tests.engine.conftest import Worlds
from tests.engine.world import World, numbers, sms


@pytest.fixture
async def world(worlds: Worlds) -> World:
    return await worlds()


async def test_minutes_are_read_by_nobody_who_needs_outcomes_or_codes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.launch(sms(), people=numbers(20), canary={"people": 10, "wait": "30 min", "limits": {"failed": 20}})
    await world.play(minutes=5)

    def of_all(*_: Any) -> Any:
        raise AssertionError("all figures of a run were read")

    monkeypatch.setattr(counters, "figures", of_all)
    db, workspace_id = world.house.db, world.installation.workspace_id
    run = await db.read(campaigns.get_run, world.runs[-1])
    assert run is not None
    assert await db.read(wake._batch, run) == 0, "ten people are enrolled, and watched"
    assert await db.run(lambda c: campaigns.change_run(c, run.id, ["sending"], enrolled=True))
    assert await db.run(wake.finish_runs, world.clock.now()) == [run.id]
    source = await db.read(missed.source, workspace_id, run.campaign_id)
    assert source is not None
    assert sum(source.outcomes.values()) == 20
    head = await db.read(people.head, workspace_id, run.campaign_id)
    assert head is not None
    page, counts = await db.read(run_people.look, head, people.Wanted(), "")
    assert (len(page.lines), sum(counts.values())) == (10, 20)
