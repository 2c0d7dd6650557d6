"""The progress page in a real browser: a campaign from launch to report, one that pauses itself, and each state looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import world as worlds
from builder import Builder
from conftest import Faults as Found
from looks import flaws, looks
from msgspec.structs import replace as changed
from playwright.sync_api import Browser, Page, expect
from test_building import signed_in
from test_console import opened, progress_of

from campana.core.canary import Breach, Tried, Trouble, Watch
from campana.core.draft import Draft, DraftStep
from campana.core.held import Held, Why
from campana.standin.faults import Faults, Rule
from campana.store.progress import Paused, Progress
from campana.store.workspaces import Stop

pytestmark = pytest.mark.browser
MINUTE = worlds.MINUTE
PEOPLE = [{"name": f"Person {at}", "phone": f"+1212555{at:04d}"} for at in range(60)]
BAD_TEMPLATE = Faults(rules=(Rule(vendor="whatsapp", code=132012, told="answer"),))


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """A house that sends four messages a second, and whose templates Meta refuses."""
    with Builder(pace=4, faults=BAD_TEMPLATE) as builder:
        yield builder


@pytest.fixture
def ana(browser: Browser, builder: Builder) -> Iterator[Page]:
    """Ana's page over the real house, in which nothing may go wrong."""
    found, context = Found(builder.url), signed_in(browser, builder)
    page = context.new_page()
    found.watch(page)
    yield page
    context.close()
    assert found.found == []


def by_sms(builder: Builder) -> Draft:
    return Draft(steps=(DraftStep(key="s1", kind="primary", sender=builder.studio.senders["sms"], text="Hi {{name}}"),))


def by_template(builder: Builder) -> Draft:
    values = {"first_name": "{{name}}", "appointment_date": "Monday"}
    step = DraftStep(key="s1", kind="primary", sender=builder.studio.senders["wa"], template="visit_reminder", language="en_US")
    return Draft(steps=(step.model_copy(update={"values": values}),))


def launched(page: Page, home: str) -> None:
    """Launches the draft of the review that is shown, and waits for its progress."""
    page.get_by_text("is being counted").wait_for(state="hidden", timeout=60_000)
    page.get_by_role("button", name="Launch campaign").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Launch campaign").click()
    page.wait_for_url(f"**{home}")
    page.evaluate("document.documentElement.dataset.stays = 'yes'")


def test_a_campaign_is_launched_watched_paused_resumed_and_finished(ana: Page, builder: Builder):
    home = builder.begin(by_sms(builder), PEOPLE)
    play = builder.studio.world.play
    ana.goto(f"{home}/review")
    launched(ana, home)
    tiles = ana.locator("#tiles")
    builder.do(play(seconds=3))
    expect(tiles).to_contain_text(re.compile(r"Sent to 1\d of 60 people"))
    expect(tiles).to_contain_text("Limited by sms: 4 segments a second.")
    builder.do(play(seconds=3))
    expect(tiles).to_contain_text(re.compile(r"Sent to 2\d of 60 people"))
    expect(ana.locator("html")).to_have_attribute("data-stays", "yes")  # nothing was loaded anew
    ana.get_by_role("button", name="Pause", exact=True).click()
    expect(ana.get_by_text("ana@example.com paused it on")).to_be_visible()
    sent = tiles.locator(".words b").inner_text()
    builder.do(play(seconds=30))
    expect(tiles.locator(".words b")).to_have_text(sent)
    ana.get_by_role("button", name="Resume").click()
    expect(ana.locator("#head")).to_contain_text("Sending")
    builder.do(play(seconds=3))
    expect(tiles).to_contain_text(re.compile(r"Sent to 3\d of 60 people"))
    ana.get_by_role("button", name="Finish", exact=True).click()
    ana.get_by_role("dialog").get_by_role("button", name="Finish campaign").click()
    expect(ana.locator("#head")).to_contain_text("Ended")
    builder.do(play(seconds=30))
    report = ana.get_by_role("region", name="What is left to do")
    expect(report).to_contain_text("were not written to any more when it was finished.")
    expect(ana.locator("#outcomes")).to_contain_text("60 of 60")


def test_one_that_goes_to_some_people_first_pauses_itself_on_a_bad_template(ana: Page, builder: Builder):
    home = builder.begin(by_template(builder), PEOPLE)
    ana.goto(f"{home}/review")
    carefully = ana.get_by_role("checkbox", name="Send to some people first")
    amount = ana.get_by_role("textbox", name="How many")
    expect(amount).to_be_hidden()
    carefully.focus()
    ana.keyboard.press("Space")
    amount.fill("none")
    expect(ana.locator("#first-amount-note")).to_contain_text("as a whole number")
    amount.fill("10")
    expect(ana.locator("#first-words")).to_have_text(
        "first to 10 people; after 30 minutes to everybody, unless too much goes wrong"
    )
    launched(ana, home)
    builder.do(builder.studio.world.play(minutes=5))
    watched = ana.get_by_role("region", name="Sent to some people first")
    expect(watched).to_contain_text("It paused itself on")
    expect(ana.locator("#head")).to_contain_text("Paused")
    expect(watched.get_by_role("button", name="Resume, keep watching")).to_be_visible()
    assert not any(line.vendor == "whatsapp" for line in builder.studio.world.accepted())
    watched.get_by_role("button", name="Send to everybody now").press("Enter")
    expect(watched).to_contain_text("It went on to everybody on")
    builder.do(builder.studio.world.play(minutes=5))
    expect(ana.locator("#held, #failures")).to_contain_text([re.compile("132012"), re.compile(".*")])


WATCH = Watch(1000, 30 * MINUTE, 5, 1, 2)
FAILED = Breach(Trouble.FAILED, 61, 1000, 5)


def state(p: Progress, name: str) -> Progress:
    """The figures of a campaign, in one of the states that the page knows."""
    p = replace(p, forecast=None) if name != "sending" else p
    paused, over = replace(p.line, status="paused"), replace(p.line, status="ended", finished_at=worlds.NOW)
    if name == "watched":
        return replace(p, watch=changed(WATCH, quiet_since=worlds.NOW), tried=Tried(1000, 12, 1, 0))
    if name == "paused itself":
        held = (Held(Why.PAUSED, "reminders", "Authentication error (190)", None, "whatsapp", "ab" * 16),)
        watch = changed(WATCH, breach=FAILED)
        return replace(
            p, line=paused, watch=watch, tried=Tried(640, 61, 1, 0), paused=Paused(worlds.NOW, breach=FAILED), held=held
        )
    if name == "stopped":
        return replace(p, line=paused, paused=Paused(worlds.NOW, by_stop=True), stop=Stop(worlds.NOW, "Ana Beatriz"))
    if name == "over":
        return replace(p, line=over, watch=changed(WATCH, passed_at=worlds.NOW), held=())
    return p


STATES = ("sending", "watched", "paused itself", "stopped", "over")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", STATES)
def test_each_state_can_be_used_by_everybody_and_nothing_is_cut_off(page: Page, context, served, world, name, width, theme):
    looks(context, page, served.url, width, theme)
    campaign_id = world.lines[1].campaign_id
    world.progress[campaign_id] = state(world.progress[campaign_id], name)
    opened(page, progress_of(world, 1))
    assert flaws(page) == []


def test_while_everything_is_stopped_there_is_no_way_to_resume_but_one_to_the_stop(page: Page, world):
    campaign_id = world.lines[1].campaign_id
    world.progress[campaign_id] = state(world.progress[campaign_id], "stopped")
    opened(page, progress_of(world, 1))
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    page.get_by_role("link", name="Open the emergency stop").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Emergency stop")


def test_each_outcome_leads_to_its_people(page: Page, world):
    opened(page, progress_of(world))
    link = page.locator("#outcomes").get_by_role("link", name="Unreached")
    expect(link).to_have_attribute("href", f"{progress_of(world)}/people?outcome=unreached")
