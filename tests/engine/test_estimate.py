"""Counting a launch in a process of its own: the figures are those of the texts, and a process that dies is told."""

from __future__ import annotations

import contextlib

import msgspec
import pytest

from campana.core.draft import Draft, DraftStep
from campana.core.ids import new_id
from campana.engine.estimate import KIND, Estimates, Result, counted_elsewhere, task_of
from campana.engine.preview import sheets
from campana.store import jobs, suppressions
from campana.store.choices import choices
from tests.engine.world import World, _store_audience

pytestmark = pytest.mark.both_databases
PEOPLE = [
    {"name": f"n{at}", "phone": f"+1212555{at:04d}" if at % 5 else "", "email": f"p{at}@example.com"} for at in range(1, 2501)
]


async def task(world: World):
    """An SMS to many people, one of whom wants none, and a follow-up."""
    workspace_id, now = world.installation.workspace_id, world.clock.now()
    audience_id = await world.house.db.run(_store_audience, workspace_id, PEOPLE, now)
    stop = (workspace_id, ["+12125550001"], "sms", now, "keyword", "STOP")
    await world.house.db.run(suppressions.suppress, *stop)
    known = await world.house.db.read(choices, workspace_id)
    sender = next(one.id.hex() for one in known.senders if one.name == "sms")
    steps = (
        DraftStep(key="s1", kind="primary", sender=sender, text="Hi {{name}} " + "x" * 154),
        DraftStep(key="s2", kind="fallback", sender=sender, text="Again"),
        DraftStep(key="s3", kind="follow_up", sender=sender, text="Still there?"),
    )
    looked = sheets(Draft(steps=steps), known, world.house.channels, ["name", "phone", "email"])
    return task_of(world.house, workspace_id, audience_id, ["name", "phone", "email"], len(PEOPLE), looked)


async def counted(one) -> list:
    async with contextlib.aclosing(counted_elsewhere(one)) as lines:
        return [told async for told in lines]


async def test_everybody_is_counted_once_with_progress(world: World) -> None:
    lines = await counted(await task(world))
    assert [told.done for told in lines] == [2000, 2500, 2500]
    first, second, third = lines[-1].estimate.steps
    assert (lines[-1].estimate.people, lines[-1].estimate.reached) == (2500, 1999)
    assert first.skipped == {"opted_out": 1, "no_phone": 500}
    # "Hi n9 " and 154 signs are one part, "Hi n10 " and 154 are two
    assert (first.takes, first.first, first.most_segments) == (1999, 1999, 2)
    assert first.segments == 1999 + sum(len(row["name"]) > 2 for row in PEOPLE if row["phone"])
    assert (second.first, third.first, third.takes) == (0, 0, 1999)


async def test_a_job_tells_what_came_of_it(world: World) -> None:
    db, workspace_id = world.house.db, world.installation.workspace_id
    campaign_id, now = new_id(world.clock.now()), world.clock.now()
    job_id = await db.run(jobs.start, workspace_id, KIND, campaign_id, now, msgspec.json.encode(Result("it")).decode())
    estimates = Estimates(world.house)
    estimates.begin(job_id, "it", await task(world))
    await estimates._tasks[job_id]
    job = await db.read(jobs.latest, campaign_id, KIND)
    result = msgspec.json.decode(job.result, type=Result)
    assert (job.trouble, job.done, result.about, result.estimate.people) == (None, 2500, "it", 2500)


async def test_a_counting_that_fails_is_told_in_words(world: World) -> None:
    db, workspace_id = world.house.db, world.installation.workspace_id
    campaign_id, now = new_id(world.clock.now()), world.clock.now()
    job_id = await db.run(jobs.start, workspace_id, KIND, campaign_id, now, msgspec.json.encode(Result("it")).decode())
    good = await task(world)
    estimates = Estimates(world.house)
    estimates.begin(job_id, "it", msgspec.structs.replace(good, steps=[msgspec.structs.replace(good.steps[0], channel="none")]))
    await estimates._tasks[job_id]
    job = await db.read(jobs.latest, campaign_id, KIND)
    assert job.trouble.startswith("The messages could not be counted")
    assert job.finished_at is not None
