"""Counting a launch in a process of its own: the figures are those of the texts, and a process that dies is told."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest

from campana.core.draft import Draft, DraftStep
from campana.core.ids import new_id
from campana.core.preflight import Estimate
from campana.engine import estimate
from campana.engine.estimate import KIND, Estimates, Result, Task, Told, counted_elsewhere, task_of
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
    await estimates.begin(campaign_id, job_id, "it", await task(world))
    job = await db.read(jobs.latest, campaign_id, KIND)
    result = msgspec.json.decode(job.result, type=Result)
    assert (job.trouble, job.done, result.about, result.estimate.people) == (None, 2500, "it", 2500)


async def test_a_counting_that_fails_is_told_in_words(world: World) -> None:
    db, workspace_id = world.house.db, world.installation.workspace_id
    campaign_id, now = new_id(world.clock.now()), world.clock.now()
    job_id = await db.run(jobs.start, workspace_id, KIND, campaign_id, now, msgspec.json.encode(Result("it")).decode())
    good = await task(world)
    estimates = Estimates(world.house)
    bad = msgspec.structs.replace(good, steps=[msgspec.structs.replace(good.steps[0], channel="none")])
    await estimates.begin(campaign_id, job_id, "it", bad)
    job = await db.read(jobs.latest, campaign_id, KIND)
    assert job.trouble.startswith("The messages could not be counted")
    assert job.finished_at is not None


# --- several at once --------------------------------------------------------------------------------------------------------


class Counting:
    """Stands for the processes that count: each goes on until it is let go."""

    def __init__(self) -> None:
        self.under_way: list[int] = []  # people of each task, which tell them apart here
        self.begun: list[int] = []
        self.ends = asyncio.Event()
        self.changed = asyncio.Condition()

    async def lines(self, one: Task):
        self.begun.append(one.people)
        self.under_way.append(one.people)
        await self._tell()
        try:
            await self.ends.wait()
            yield Told(one.people, Estimate(one.people, []))
        finally:
            self.under_way.remove(one.people)
            await self._tell()

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, *under_way: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: sorted(self.under_way) == sorted(under_way))


async def job_of(world: World, campaign_id: bytes) -> bytes:
    facts = (world.installation.workspace_id, KIND, campaign_id, world.clock.now(), msgspec.json.encode(Result("it")).decode())
    return await world.house.db.run(jobs.start, *facts)


async def test_two_are_counted_at_once_and_the_third_in_its_turn(world: World, monkeypatch) -> None:
    counting, db = Counting(), world.house.db
    monkeypatch.setattr(estimate, "counted_elsewhere", counting.lines)
    monkeypatch.setattr(jobs, "BEAT", 1000)  # who waits says so often enough to be seen here
    estimates, first = Estimates(world.house), await task(world)
    drafts = [new_id(world.clock.now()) for _ in range(3)]
    ids = [await job_of(world, draft) for draft in drafts]
    running = [
        estimates.begin(draft, job_id, "it", msgspec.structs.replace(first, people=at))
        for at, (draft, job_id) in enumerate(zip(drafts, ids, strict=True), 1)
    ]
    await counting.until(1, 2)
    while (await db.read(jobs.latest, drafts[2], KIND)).total != 3:
        pass  # it says so while it waits
    assert counting.begun == [1, 2]
    counting.ends.set()
    await asyncio.gather(*running)
    assert counting.begun == [1, 2, 3]
    assert [(await db.read(jobs.latest, draft, KIND)).done for draft in drafts] == [1, 2, 3]


async def test_a_newer_counting_of_a_draft_ends_the_older(world: World, monkeypatch) -> None:
    counting = Counting()
    monkeypatch.setattr(estimate, "counted_elsewhere", counting.lines)
    estimates, first, draft = Estimates(world.house), await task(world), new_id(world.clock.now())
    older = estimates.begin(draft, await job_of(world, draft), "it", msgspec.structs.replace(first, people=1))
    await counting.until(1)
    newer = estimates.begin(draft, await job_of(world, draft), "it", msgspec.structs.replace(first, people=2))
    await counting.until(2)
    assert (older.cancelled(), newer.done()) == (True, False)
    await estimates.close()
    assert counting.under_way == []


async def test_a_process_ends_with_its_reader(world: World, monkeypatch) -> None:
    begun = []
    begin = asyncio.create_subprocess_exec

    async def noted(*args, **kwargs):
        begun.append(await begin(*args, **kwargs))
        return begun[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    async with contextlib.aclosing(counted_elsewhere(await task(world))) as lines:
        assert (await anext(lines)).done == 2000
    assert begun[0].returncode is not None


async def test_a_process_that_complains_much_goes_on(world: World, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONVERBOSE", "1")  # more than a pipe holds
    assert (await counted(await task(world)))[-1].done == 2500
