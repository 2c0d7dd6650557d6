"""Nobody missed: every person has one outcome, and those who were missed are the people of another draft."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from campana.core.draft import Draft
from campana.core.ids import Id, new_id
from campana.core.journey import Outcome
from campana.core.missed import CAUSES, ELSE, Choice, beginnings, by_cause, chosen, people_by_cause
from campana.engine import launch, missed
from campana.engine.missed import TooEarly, Wish, make
from campana.standin.faults import Faults, Reply, Rule
from campana.store import audiences, campaigns, counters, drafts, jobs, suppressions
from campana.store import missed as copies
from campana.store import progress as store_progress
from campana.store.audiences import Audience
from campana.store.drafts import Author
from campana.store.schema import audience_row
from tests.engine.conftest import Worlds
from tests.engine.world import HOUR, World, numbers, sms, whatsapp

pytestmark = pytest.mark.both_databases

ME = Author(None, "ana@example.com")
PERMANENT, TRANSIENT, STOPPED = 30005, 30008, 21610
MISSED = ("unreached", "skipped", "ended")
FAULTS = Faults(
    rules=(
        Rule(vendor="twilio", suffix="03", code=PERMANENT),
        Rule(vendor="twilio", suffix="04", code=TRANSIENT),
        Rule(vendor="twilio", suffix="05", code=STOPPED),
    ),
    people=(Reply(suffix="01"),),
)
PEOPLE = [{"name": f"Ana {at}", "phone": phone, "city": "Lima, or not"} for at, phone in enumerate(numbers(10, 2_000_001), 1)]


async def over(worlds: Worlds) -> World:
    """A campaign that is over: most were reached, 03 and 04 were not, 05 wants no more, and one row repeats another."""
    world = await worlds(faults=FAULTS)
    await world.launch(sms(), people=[*PEOPLE, PEOPLE[0]], name="Visits")
    await world.play(days=3)
    assert await world.outcomes() == {"replied": 1, "delivered": 6, "unreached": 2, "opted_out": 1}
    return world


def nothing(c: Connection, made: Id) -> None:
    """No audit log."""


async def source(world: World, run: Id | None = None) -> copies.Source:
    row = await world.house.db.read(campaigns.get_run, run or world.runs[-1])
    assert row is not None
    found = await world.house.db.read(copies.source, row.workspace_id, row.campaign_id)
    assert found is not None
    return found


async def draft_of(world: World, choice: Choice, *, same: bool = True, name: str = "Visits: the missed") -> Id:
    made = await make(world.installation.readings, await source(world), Wish(name, same, choice), ME, nothing)
    await settled(world)
    return made


async def settled(world: World) -> None:
    """Returns when nothing is copied any more."""
    for task in list(world.installation.readings._tasks):
        await asyncio.wait([task])


async def people_of(world: World, campaign_id: Id) -> tuple[Audience, list[Any]]:
    db, workspace_id = world.house.db, world.installation.workspace_id
    draft = await db.read(drafts.load, workspace_id, campaign_id)
    assert draft is not None
    audience = await db.read(audiences.load, workspace_id, draft.audience_id)
    assert audience is not None
    return audience, list(await db.read(audiences.rows_after, audience.id, 0, 1000))


def phones(rows: Sequence[Any]) -> list[str]:
    return [row.phone for row in rows]


async def test_the_missed_are_the_people_of_a_draft_that_can_be_launched(worlds: Worlds) -> None:
    world = await over(worlds)
    made = await draft_of(world, Choice(MISSED))
    audience, rows = await people_of(world, made)
    assert phones(rows) == [PEOPLE[2]["phone"], PEOPLE[3]["phone"]]
    assert [row.number for row in rows] == [1, 2]
    assert audience.loaded
    assert audience.columns == ("name", "phone", "city")
    assert audience.summary.rows == audience.summary.offered == audience.summary.phones == 2
    assert audience.summary.fields == ("name", "city")
    assert audience.summary.refusal is None
    assert audience.origin is not None
    assert (audience.origin.name, audience.origin.choice.outcomes, audience.origin.left_out) == ("Visits", MISSED, 1)
    draft = await world.house.db.read(drafts.load, world.installation.workspace_id, made)
    assert draft is not None
    assert draft.name == "Visits: the missed"
    assert [step.text for step in draft.draft.steps] == ["Hi {{name}}"]
    assert "Lima, or not" in rows[0].cells
    now, workspace_id = world.clock.now(), world.installation.workspace_id
    run = await world.house.db.run(launch.launch_draft, world.house, workspace_id, draft, audience.mark, now, ME, now)
    assert run is not None
    world.runs.append(run)
    await world.play(days=3)
    assert await world.outcomes() == {"unreached": 2}


async def test_the_draft_may_say_nothing_yet(worlds: Worlds) -> None:
    world = await over(worlds)
    made = await draft_of(world, Choice(MISSED), same=False)
    draft = await world.house.db.read(drafts.load, world.installation.workspace_id, made)
    assert draft is not None
    assert [step.chosen for step in draft.draft.steps] == [False]
    assert len((await people_of(world, made))[1]) == 2


@pytest.mark.parametrize(
    ("causes", "found"),
    [(("permanent",), [2]), (("transient",), [3]), (("no_receipt",), []), (("permanent", "transient"), [2, 3])],
)
async def test_the_unreached_are_taken_by_the_class_of_their_failure(
    causes: tuple[str, ...], found: list[int], worlds: Worlds
) -> None:
    world = await over(worlds)
    codes = by_cause((await source(world)).codes, missed.failure_of(world.house))
    made = await draft_of(world, Choice(("unreached",), causes, beginnings(causes, codes)))
    audience, rows = await people_of(world, made)
    assert phones(rows) == [PEOPLE[at]["phone"] for at in found]
    assert audience.loaded
    assert (audience.summary.refusal is None) == bool(found), "an empty audience cannot be launched"


async def test_whoever_no_failure_ended_has_another_reason_and_all_causes_sum_to_the_unreached(
    worlds: Worlds,
) -> None:
    world = await worlds(faults=FAULTS)
    fallback = whatsapp(values={"first_name": "{{name}}", "appointment_date": "{{day}}"})  # cannot be sent without a day
    await world.launch(sms(), fallbacks=[fallback], people=[{**one, "day": ""} for one in PEOPLE], name="Visits")
    await world.play(days=3)
    of = await source(world)
    codes = by_cause(of.codes, missed.failure_of(world.house))
    assert of.reasons is not None
    told = people_by_cause(of.reasons, codes)
    assert sum(told.values()) == of.outcomes["unreached"] == 2
    assert (told[ELSE], told["transient"]) == (2, 0)
    for causes, found in (((ELSE,), [2, 3]), (("transient",), []), (("transient", ELSE), [2, 3]), (CAUSES, [2, 3])):
        made = await draft_of(world, chosen(("unreached",), causes, codes))
        assert phones((await people_of(world, made))[1]) == [PEOPLE[at]["phone"] for at in found], causes


async def test_another_reason_takes_nobody_whose_message_failed_last(worlds: Worlds) -> None:
    world = await over(worlds)
    of = await source(world)
    codes = by_cause(of.codes, missed.failure_of(world.house))
    assert of.reasons is not None
    told = people_by_cause(of.reasons, codes)
    assert (told["permanent"], told["transient"], told[ELSE]) == (1, 1, 0)
    assert (await people_of(world, await draft_of(world, chosen(("unreached",), (ELSE,), codes))))[1] == []


async def test_everybody_but_whoever_opted_out(worlds: Worlds) -> None:
    world = await over(worlds)
    late = PEOPLE[6]["phone"]
    told = (world.installation.workspace_id, [late], "sms", world.clock.now(), "by hand", "")
    await world.house.db.run(suppressions.suppress, *told)
    elsewhere = (world.installation.workspace_id, [PEOPLE[7]["phone"]], "whatsapp", world.clock.now(), "by hand", "")
    await world.house.db.run(suppressions.suppress, *elsewhere)
    everybody = tuple(str(one) for one in Outcome if one not in ("opted_out", "suppressed"))
    audience, rows = await people_of(world, await draft_of(world, Choice(everybody)))
    assert phones(rows) == [one["phone"] for at, one in enumerate(PEOPLE) if at not in (4, 6)]
    assert audience.origin is not None
    assert audience.origin.left_out == 2


async def test_people_who_wait_are_copied_enrolled_or_not(worlds: Worlds) -> None:
    world = await worlds()
    await world.launch(sms(), people=PEOPLE, start=world.clock.now() + 5 * HOUR)
    _, rows = await people_of(world, await draft_of(world, Choice(("waiting",))))
    assert phones(rows) == [one["phone"] for one in PEOPLE]
    assert len((await people_of(world, await draft_of(world, Choice(MISSED), name="None")))[1]) == 0


async def test_batches_lose_nobody_and_double_nobody(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "LOOKED", 4)
    real = copies.fitting
    monkeypatch.setattr(copies, "fitting", lambda *asked: real(*asked, 2))
    world = await over(worlds)
    everybody = ("delivered", "unreached", "replied")
    audience, rows = await people_of(world, await draft_of(world, Choice(everybody)))
    assert phones(rows) == [one["phone"] for at, one in enumerate(PEOPLE) if at != 4]
    assert [row.number for row in rows] == list(range(1, 10))
    assert audience.summary.rows == 9
    world = await worlds()
    await world.launch(sms(), people=PEOPLE, start=world.clock.now() + 5 * HOUR)
    _, rows = await people_of(world, await draft_of(world, Choice(("waiting",))))
    assert phones(rows) == [one["phone"] for one in PEOPLE]


class Dead(BaseException):
    """The process is gone."""


async def test_killed_half_way_it_is_not_shown_as_whole_and_goes_on(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    real, steps = copies.fitting, [0]

    def mortal(*asked: Any) -> Any:
        steps[0] += 1
        if steps[0] == 3:
            raise Dead
        return real(*asked, 2)

    monkeypatch.setattr(copies, "LOOKED", 4)
    monkeypatch.setattr(copies, "fitting", mortal)
    world = await over(worlds)
    everybody = Choice(("delivered", "unreached", "replied"))
    at = await source(world)
    with pytest.raises(Dead):
        await make(world.installation.readings, at, Wish("Again", True, everybody), ME, nothing)
    made = await world.house.db.read(campaigns.find_by_name, world.installation.workspace_id, "Again")
    audience, rows = await people_of(world, made.id)
    assert (audience.loaded, len(rows)) == (False, 4)
    assert audience.summary.rows == 4
    workspace_id, readings = world.installation.workspace_id, world.installation.readings
    assert not await missed.go_on(readings, workspace_id, made.id), "whoever copies may still be alive"
    world.clock.advance_to(world.clock.now() + jobs.SILENCE + 1)
    assert await missed.go_on(readings, workspace_id, made.id)
    await settled(world)
    audience, rows = await people_of(world, made.id)
    assert phones(rows) == [one["phone"] for at, one in enumerate(PEOPLE) if at != 4]
    assert (audience.loaded, audience.summary.rows) == (True, 9)
    assert audience.origin is not None
    assert audience.origin.left_out == 1
    assert not await missed.go_on(readings, workspace_id, made.id), "it is done"


async def test_the_same_press_again_leads_to_the_first_draft_whoever_takes_it(worlds: Worlds) -> None:
    world = await over(worlds)
    of, readings, noted = await source(world), world.installation.readings, list[Id]()

    async def press(name: str, press: str) -> Id:
        return await make(readings, of, Wish(name, True, Choice(MISSED), press), ME, lambda c, made: noted.append(made))

    twice = await asyncio.gather(*(press("Again", "p1") for _ in range(4)))
    assert len(set(twice)) == 1
    assert noted == twice[:1]
    await settled(world)
    assert len((await people_of(world, twice[0]))[1]) == 2
    assert await press("Again", "p2") not in twice
    assert await press("Again", "") != await press("Again", "")
    await world.house.db.run(drafts.remove, world.installation.workspace_id, twice[0], ME, world.clock.now())
    assert await press("Again", "p1") not in twice, "it is gone: there is no draft to lead to"
    world.clock.advance_to(world.clock.now() + copies.SAME + HOUR)
    assert await press("Again", "p2") not in twice


async def test_two_processes_make_one_draft_of_one_press(worlds: Worlds) -> None:
    world = await over(worlds)
    of, workspace_id, now = await source(world), world.installation.workspace_id, world.clock.now()
    engine, waits = world.house.db.engine, threading.Event()
    if engine.dialect.name != "postgresql":
        return  # one process is the only one that writes

    def made(c: Connection) -> Id | None:
        return copies.made_by(c, workspace_id, "p1", now)

    def second() -> Id | None:
        with engine.begin() as c:
            waits.set()
            return made(c)

    with ThreadPoolExecutor(1) as pool, engine.begin() as c:
        assert made(c) is None
        later = pool.submit(second)
        waits.wait(30)
        first, audience_id = drafts.create(c, workspace_id, "Again", Draft(), ME, now), new_id(now)
        copies.begin(c, of, audience_id, Choice(MISSED), now, "p1")
        audiences.give(c, first, audience_id)
        c.commit()
        assert later.result(30) == first


async def test_it_ends_when_the_draft_is_gone(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await over(worlds)
    workspace_id, gone = world.installation.workspace_id, []
    real = copies.fitting

    def removed(c: Connection, *asked: Any) -> Any:
        gone.append(asked)
        return real(c, *asked)

    monkeypatch.setattr(copies, "fitting", removed)
    before = missed._append

    def append(c: Connection, house: Any, work: Any, place: int, found: Any) -> bool:
        drafts.remove(c, workspace_id, work.campaign_id, ME, house.clock.now())
        return before(c, house, work, place, found)

    monkeypatch.setattr(missed, "_append", append)
    await make(world.installation.readings, await source(world), Wish("Again", True, Choice(MISSED)), ME, nothing)
    await settled(world)
    left = select(func.count()).select_from(audience_row)
    assert await world.house.db.read(lambda c: c.scalar(left)) == 11, "those of the campaign itself"


# --- everybody has one outcome ----------------------------------------------------------------------------------------------


def books(c: Connection, run_id: Id) -> tuple[int, int, int, int, dict[str, int]]:
    """People offered, the sum of their outcomes, rows of the file, rows left out, and these as the page says them."""
    run = campaigns.get_run(c, run_id)
    assert run is not None
    assert run.audience_id is not None
    told = store_progress.outcomes(counters.figures(c, [run_id])[run_id], run.offered)
    assert min(told.values()) >= 0
    rows = select(func.count()).select_from(audience_row).where(audience_row.c.audience_id == run.audience_id)
    out = c.scalar(rows.where(audience_row.c.left_out.is_not(None))) or 0
    shown = store_progress.progress(c, run.workspace_id, run.campaign_id)
    assert shown is not None
    return run.offered, sum(told.values()), c.scalar(rows) or 0, out, dict(shown.left_out)


async def test_outcomes_sum_to_the_people_and_people_and_rows_left_out_to_the_file(worlds: Worlds) -> None:
    world = await worlds(faults=FAULTS)
    rows = [*PEOPLE, PEOPLE[0], {"name": "Nobody", "phone": "", "city": ""}, {"name": "Letters", "phone": "call me", "city": ""}]
    await world.launch(sms(), people=rows, start=world.clock.now() + HOUR)

    async def check() -> None:
        offered, told, all_rows, out, shown = await world.house.db.read(books, world.runs[-1])
        assert (offered, told) == (10, 10)
        assert (all_rows, out, sum(shown.values())) == (13, 3, 3)

    await check()
    for span in ({"minutes": 59}, {"minutes": 1}, *({"seconds": 1} for _ in range(12)), {"hours": 30}):
        await world.play(**span)
        await check()
    assert sum((await world.outcomes()).values()) == 10


async def test_they_do_after_finish_too(worlds: Worlds) -> None:
    world = await worlds()
    await world.launch(sms(), people=PEOPLE, start=world.clock.now() + HOUR)
    await world.act(launch.finish)
    offered, told, *_ = await world.house.db.read(books, world.runs[-1])
    assert offered == told == 10
    await world.play(minutes=5)
    assert await world.outcomes() == {"ended": 10}
    _, rows = await people_of(world, await draft_of(world, Choice(MISSED)))
    assert phones(rows) == [one["phone"] for one in PEOPLE]


async def test_nobody_is_lost_while_a_finished_campaign_still_gives_its_people_their_outcomes(worlds: Worlds) -> None:
    world = await worlds()
    canary = {"people": 10, "wait": "30 min", "limits": {"failed": 20}}
    people = [{"name": f"Ana {at}", "phone": phone} for at, phone in enumerate(numbers(40), 1)]
    await world.launch(sms(), people=people, name="Careful", canary=canary)
    await world.play(minutes=1)
    while_it_sent = await source(world)
    await world.act(launch.finish)
    at_once = await source(world)
    assert (while_it_sent.being_ended, at_once.being_ended, at_once.goes_on) == (False, True, True)
    for shown in (while_it_sent, at_once):
        with pytest.raises(TooEarly):
            await make(world.installation.readings, shown, Wish("Too early", True, Choice(MISSED)), ME, nothing)
    assert await world.house.db.read(campaigns.find_by_name, world.installation.workspace_id, "Too early") is None
    await world.play(minutes=5)
    assert not (await source(world)).goes_on
    _, rows = await people_of(world, await draft_of(world, Choice(MISSED)))
    assert phones(rows) == [one["phone"] for one in people[10:]]
