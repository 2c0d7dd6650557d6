"""The progress page over real wheels: where people went, why they wait, and a campaign that goes to some people first."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from campana.core.canary import Tried, Trouble, Watch, forgive, judge
from campana.core.ids import Id
from campana.engine import careful, emergency, launch
from campana.standin.faults import Faults, Rule
from campana.store import accounts, audit, campaigns
from campana.web.console.progress import Pace, View
from tests.engine.conftest import world, worlds  # noqa: F401 - fixtures
from tests.engine.world import NINE, World, numbers, sms, whatsapp
from tests.web.forms import filled
from tests.web.studio import Studio
from tests.web.test_journey import words

TEN_FIRST: dict[str, Any] = {"people": 10, "wait": "30 min", "limits": {"failed": 20, "opted_out": 10, "unknown": 10}}
HALF_FAIL = Faults(rules=(Rule(vendor="twilio", share=0.5, code=21211),))


async def home_of(studio: Studio) -> str:
    """The address of the latest campaign."""
    run = await studio.world.house.db.read(campaigns.get_run, studio.world.runs[-1])
    assert run is not None
    studio.campaign_id = run.campaign_id
    return studio.home


async def page_of(studio: Studio, http: httpx.AsyncClient, lang: str = "en") -> str:
    """What the progress page of the latest campaign says, in words."""
    http.cookies.set("lang", lang)
    answer = await http.get(await home_of(studio))
    assert answer.status_code == 200, answer.text
    return words(answer.text)


async def opened(world: World) -> Studio:  # noqa: F811
    studio = Studio(world)
    await studio.prepare()
    return studio


async def pressed(studio: Studio, http: httpx.AsyncClient, what: str) -> httpx.Response:
    """The button of one of the page's forms."""
    home = await home_of(studio)
    html = (await http.get(home)).text
    return await http.post(f"{home}/{what}", data=filled(html, f"{what}-form"))


async def test_each_step_says_who_came_and_where_they_went(worlds: Any) -> None:  # noqa: F811
    people = numbers(20)
    bad = tuple(Rule(vendor="whatsapp", number=one, code=131026) for one in people[:8])
    studio = await opened(await worlds(faults=Faults(rules=bad)))
    await studio.world.launch(whatsapp(), fallbacks=[sms()], follow_ups=[sms("Still there?")], people=people)
    await studio.world.play(hours=1)
    async with studio.as_user() as http:
        told = await page_of(studio, http)
    assert "8 people went on to: Fallback" in told
    assert "12 people were reached, and come to: Follow-up" in told
    assert "8 people were reached, and come to: Follow-up" in told
    assert "20 of 20" in told
    assert "everybody of the audience has an outcome" in told
    steps = (await studio.world.progress()).steps
    assert [(one.came, one.line) for one in steps] == [(20, 0), (8, 0), (20, 20)]
    await studio.world.play(days=3)
    assert [one.line for one in (await studio.world.progress()).steps] == [0, 0, 0]


async def test_while_it_sends_it_says_what_limits_it_and_until_when(worlds: Any) -> None:  # noqa: F811
    studio = await opened(await worlds(pace=2))
    await studio.world.launch(sms("Hi {{name}}, " + "x" * 200), people=numbers(600))
    await studio.world.play(minutes=2)
    async with studio.as_user() as http:
        told = await page_of(studio, http)
        assert "Limited by sms: 2 segments a second. Whoever waits now is written to by 09:" in told
        assert "Limitada por sms: 2 segmentos por segundo." in await page_of(studio, http, "pt_BR")
    found = (await studio.world.progress()).queues[0]
    assert found.weight == 2, "each text takes two segments"
    await studio.world.play(hours=1)
    async with studio.as_user() as http:
        assert "Limited by" not in await page_of(studio, http)


async def test_why_people_wait_is_said_in_the_language_of_the_reader(world: World) -> None:  # noqa: F811
    studio = await opened(world)
    await world.launch(sms(), hours={"from": "13:00", "to": "15:00", "zone": "UTC"})
    await world.play(minutes=5)
    async with studio.as_user() as http:
        assert "sms is held until Tue 1 Dec 2026, 13:00 (UTC): active hours." in await page_of(studio, http)
        told = await page_of(studio, http, "pt_BR")
    assert re.search(r"sms espera até ter\S* 1 dez\S* 2026, 13:00 \(UTC\): horário ativo\.", told)
    assert "active hours" not in told


async def test_a_pause_says_who_and_when(world: World) -> None:  # noqa: F811
    studio = await opened(world)
    await world.launch(sms(), start=NINE + 3_600_000_000)
    async with studio.as_user() as http:
        await pressed(studio, http, "pause")
        assert "ana@example.com paused it on Tue 1 Dec 2026, 09:00." in await page_of(studio, http)


async def test_it_says_how_the_first_people_fare_and_goes_on_when_told_to(world: World) -> None:  # noqa: F811
    studio = await opened(world)
    await world.launch(sms(), people=numbers(50), canary=TEN_FIRST)
    await world.play(minutes=5)
    async with studio.as_user() as http:
        told = await page_of(studio, http)
        assert "Sent to 10 of the first 10. Watched until Tue 1 Dec 2026, 09:3" in told
        assert "Messages that failed 0.0% of at most 20.0%" in told
        assert len(world.accepted()) == 10
        answer = await pressed(studio, http, "send-to-all")
        assert (answer.status_code, answer.headers["location"]) == (303, studio.home)
        await world.play(minutes=5)
        told = await page_of(studio, http)
    assert len(world.accepted()) == 50
    assert "It went on to everybody on Tue 1 Dec 2026, 09:05." in told
    assert "Nothing: nobody was missed." in told
    noted = await world.house.db.read(audit.entries, studio.workspace_id)
    assert noted[0].what == "campaign.sent_to_all"


def test_the_figures_shown_are_those_by_which_it_pauses_itself() -> None:
    watch = forgive(Watch(100, 60, failed=5, opted_out=1, unknown=2, passed_at=1), Tried(sent=5_000, failed=400))
    for failed, breaks in ((405, False), (406, True)):
        tried = Tried(sent=5_050, failed=failed)
        found: Any = SimpleNamespace(watch=watch, tried=tried)
        [(_, share, most), *_] = View(found, Pace(1, ()), (), 0, frozenset()).limits("failed", "opted out", "unknown")
        assert (share, most, share > most) == (failed - 400, 5, breaks)
        assert (judge(watch, tried, True, "", 2).breach is not None) is breaks


async def test_when_it_paused_itself_it_says_why_and_what_helps(worlds: Any) -> None:  # noqa: F811
    studio = await opened(await worlds(faults=HALF_FAIL))
    await studio.world.launch(sms(), people=numbers(60), canary=TEN_FIRST)
    await studio.world.play(hours=1)
    async with studio.as_user() as http:
        told = await page_of(studio, http)
        assert "It paused itself on" in told
        assert "messages failed among 10 people; at most 20 percent may." in told
        assert "Resume, keep watching" in told
        assert "Send to everybody now" in told
        assert "It is paused since" not in told, "one notice is enough"
        await pressed(studio, http, "resume")
        assert await _breach(studio) is None
        await pressed(studio, http, "send-to-all")
        await studio.world.play(seconds=30)
    assert len(studio.world.accepted()) > 10


async def _breach(studio: Studio) -> Trouble | None:
    run = await studio.world.house.db.read(campaigns.get_run, studio.world.runs[-1])
    assert run is not None
    found = careful.breach_of(run)
    return found.trouble if found else None


@pytest.mark.parametrize("what", ["resume", "send-to-all"])
async def test_while_everything_is_stopped_nothing_goes_on_and_the_page_leads_to_the_stop(world: World, what: str) -> None:  # noqa: F811
    studio = await opened(world)
    await world.launch(sms(), people=numbers(50), canary=TEN_FIRST)
    await world.play(minutes=1)
    async with studio.as_user() as http:
        home = await home_of(studio)
        before = (await http.get(home)).text
        await studio.write(emergency.stop_everything, studio.workspace_id, "Berta", world.clock.now())
        answer = await http.post(f"{home}/{what}", data=filled(before, f"{what}-form"))
    assert answer.status_code == 409
    assert "This campaign cannot go on before the stop is lifted." in words(answer.text)
    assert 'href="/stop"' in answer.text
    assert 'id="resume"' not in answer.text
    assert await world.status() == "paused"


async def test_the_report_says_what_is_left_to_do(worlds: Any) -> None:  # noqa: F811
    studio = await opened(await worlds(faults=HALF_FAIL))
    await studio.world.launch(sms(), people=numbers(30))
    await studio.world.play(hours=3)
    async with studio.as_user() as http:
        html = (await http.get(await home_of(studio))).text
    told = words(html)
    assert "What is left to do" in told
    assert "people were tried and not reached." in told
    assert f'href="{studio.home}/missed"' in html
    assert f'href="{studio.home}/people?outcome=unreached"' in html


async def test_a_paused_sender_is_named_with_the_way_to_it(world: World) -> None:  # noqa: F811
    studio = await opened(world)
    await world.launch(sms(), people=numbers(3))
    sender: Id = bytes.fromhex(studio.senders["sms"])
    await studio.write(accounts.pause_sender, sender, "Authenticate (20003)", world.clock.now())
    async with studio.as_user() as http:
        html = (await http.get(await home_of(studio))).text
    assert "The sender sms is paused until somebody resumes it: Authenticate (20003)" in words(html)
    assert 'href="/integrations/' in html
    assert 'href="/help/errors/twilio_sms/20003"' in html
    await world.act(launch.resume)


async def test_a_campaign_that_is_over_is_sent_to_nobody_more_and_the_page_tells_how_it_stands(world: World) -> None:  # noqa: F811
    studio = await opened(world)
    await world.launch(sms(), people=numbers(50), canary=TEN_FIRST)
    await world.play(minutes=1)
    async with studio.as_user() as http:
        home = await home_of(studio)
        before = (await http.get(home)).text
        await world.act(launch.finish)
        answer = await http.post(f"{home}/send-to-all", data=filled(before, "send-to-all-form"))
    assert answer.status_code == 409
    assert "Ended" in words(answer.text)
    noted = await world.house.db.read(audit.entries, studio.workspace_id)
    assert "campaign.sent_to_all" not in {one.what for one in noted}
