"""Nobody missed: a draft for those whom a campaign did not reach, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from builder import Builder
from conftest import Faults
from looks import flaws, looks
from playwright.sync_api import Browser, Page, expect
from test_building import signed_in

from campana.standin.faults import Faults as Trouble
from campana.standin.faults import Rule
from campana.store import campaigns, missed
from tests.engine.world import numbers, sms

pytestmark = pytest.mark.browser

TROUBLE = Trouble(rules=(Rule(vendor="twilio", suffix="03", code=30005), Rule(vendor="twilio", suffix="05", code=21610)))
PEOPLE = [{"name": f"Ana {at}", "phone": phone} for at, phone in enumerate(numbers(6, 2_000_001), 1)]


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """One server for all tests of this file."""
    with Builder(faults=TROUBLE) as builder:
        yield builder


@pytest.fixture(scope="module")
def home(builder: Builder) -> str:
    """A campaign that is over: 03 was not reached, and 05 wants no more."""
    return of_run(builder, play=True, name="Visits & calls")


def of_run(builder: Builder, play: bool, name: str) -> str:
    world = builder.studio.world

    async def launched() -> str:
        run_id = await world.launch(sms(), people=PEOPLE, name=name)
        if play:
            await world.play(days=3)
        run = await world.house.db.read(campaigns.get_run, run_id)
        assert run is not None
        return f"/campaigns/{run.campaign_id.hex()}"

    return str(builder.do(launched()))


@pytest.fixture
def faults(builder: Builder) -> Faults:
    """What went wrong in the page."""
    return Faults(builder.url)


@pytest.fixture
def page(browser: Browser, builder: Builder, faults: Faults) -> Iterator[Page]:
    """Ana's page, in which nothing may go wrong."""
    context = signed_in(browser, builder)
    page = context.new_page()
    faults.watch(page)
    yield page
    context.close()
    assert faults.found == []


def test_the_missed_become_the_people_of_a_draft(page: Page, home: str):
    page.goto(home)
    page.get_by_role("link", name="Send to the missed").click()
    expect(page.get_by_role("checkbox", name="Unreached 1")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Delivered 4")).not_to_be_checked()
    expect(page.get_by_text("1 person who opted out or must not be written to is left out.")).to_be_visible()
    expect(page.get_by_label("Name of the campaign")).to_have_value("Visits & calls: the missed")
    page.get_by_role("button", name="Make the draft").press("Enter")
    expect(page.get_by_role("heading", name="Set-up and audience")).to_be_visible()
    expect(page.get_by_label("Name of the campaign")).to_have_value("Visits & calls: the missed")
    expect(page.locator("#origin")).to_contain_text("Made of the people of “Visits & calls” who were not reached.")
    expect(page.locator("#origin")).to_contain_text("Left out: 1 person who opted out or must not be written to.")
    expect(page.locator("#audience dl div", has_text="Contacts").locator("dd")).to_have_text("1")
    page.get_by_role("link", name="Look at the people").click()
    expect(page.get_by_role("row").filter(has_text="Ana 3")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)
    page.goto(page.url.replace("/audience", "/review"))
    page.get_by_role("button", name="Launch campaign").click()
    page.get_by_role("dialog").get_by_role("button", name="Launch campaign").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Visits & calls: the missed")
    expect(page.locator("#outcomes tfoot")).to_contain_text("1")


def test_everybody_or_by_failure_with_the_keyboard(page: Page, home: str):
    page.goto(f"{home}/missed")
    page.get_by_role("link", name="Everybody").press("Enter")
    expect(page.get_by_label("Name of the campaign")).to_have_value("Visits & calls: the same people")
    page.get_by_role("checkbox", name="The address cannot be reached 1").press("Space")
    page.get_by_role("radio", name="none yet").press("Space")
    page.get_by_role("button", name="Make the draft").press("Enter")
    expect(page.locator("#audience dl div", has_text="Contacts").locator("dd")).to_have_text("5")


def test_what_was_typed_stays_when_something_is_wrong(page: Page, faults: Faults, home: str):
    faults.allowed.append("422")
    page.goto(f"{home}/missed")
    page.get_by_role("checkbox", name="Unreached 1").uncheck()
    page.get_by_label("Name of the campaign").fill("Mine")
    page.get_by_role("radio", name="none yet").check()
    page.get_by_role("button", name="Make the draft").click()
    expect(page.locator("#problems")).to_be_focused()
    expect(page.locator("#problems")).to_contain_text("Choose at least one outcome.")
    expect(page.get_by_label("Name of the campaign")).to_have_value("Mine")
    expect(page.get_by_role("radio", name="none yet")).to_be_checked()
    page.get_by_role("checkbox", name="Skipped 0").check()
    page.get_by_role("button", name="Make the draft").click()
    expect(page.locator("#problems")).to_contain_text("Nobody has an outcome that is chosen.")


def test_a_copying_that_was_stopped_goes_on(page: Page, builder: Builder, home: str, monkeypatch: pytest.MonkeyPatch):
    def broken(*asked: object) -> None:
        raise RuntimeError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(missed, "fitting", broken)
        page.goto(f"{home}/missed")
        page.get_by_role("button", name="Make the draft").click()
        expect(page.get_by_role("alert")).to_contain_text("Not all people were copied")
    page.goto(page.url)
    expect(page.get_by_text("Not all are here")).to_be_visible()
    page.get_by_role("button", name="Go on copying").click()
    expect(page.locator("#origin")).to_contain_text("Made of the people of")
    expect(page.locator("#audience dl div", has_text="Contacts").locator("dd")).to_have_text("1")


def test_progress_is_shown_and_the_end_without_a_reload(page: Page, builder: Builder, home: str, monkeypatch: pytest.MonkeyPatch):
    real, held = missed.fitting, [True]

    def slow(*asked: object) -> object:
        if held[0]:
            return missed.Found([], 0, asked[4], last=False)  # type: ignore[arg-type]
        return real(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(missed, "fitting", slow)
    page.goto(f"{home}/missed")
    page.get_by_role("button", name="Make the draft").click()
    expect(page.get_by_text("The people are being copied")).to_be_visible()
    expect(page.get_by_text("0 of 1")).to_be_visible()
    held[0] = False
    expect(page.locator("#audience dl div", has_text="Contacts").locator("dd")).to_have_text("1")
    expect(page.get_by_text("The people are being copied")).to_have_count(0)


def test_the_file_is_in_the_reader_s_language(page: Page, home: str):
    page.goto(f"{home}?lang=pt_BR")
    with page.expect_download() as download:
        page.locator("#csv").click()
    text = download.value.path().read_text("utf-8-sig")
    assert text.splitlines()[0] == "name,phone,outcome,reason"
    third = next(line for line in text.splitlines() if line.startswith("Ana 3"))
    assert re.fullmatch(r"Ana 3,\+12122000003,Não alcançada,.+\(30005\)", third), third


@pytest.mark.parametrize(
    ("theme", "language", "width", "which"),
    [
        ("light", "en", 1440, "missed"),
        ("dark", "pt_BR", 390, "missed"),
        ("light", "es", 390, "wrong"),
        ("dark", "en", 1440, "goes on"),
        ("light", "pt_BR", 390, "setup"),
        ("dark", "es", 1440, "setup"),
    ],
)
def test_every_state_is_accessible_and_fits(
    theme: str, language: str, width: int, which: str, browser: Browser, builder: Builder, home: str
):
    context = signed_in(browser, builder)
    page = context.new_page()
    looks(context, page, builder.url, width, theme, language)
    if which == "goes on":
        home = of_run(builder, play=False, name=f"Still {theme} {language} {width}")
    page.goto(f"{home}/missed")
    if which == "wrong":
        for box in page.locator("input[name=outcome]:checked").all():
            box.uncheck()
        page.locator("#name").fill("")
    if which in ("wrong", "setup"):
        page.locator("#missed button[type=submit]").click()
        page.locator("#problems" if which == "wrong" else "#origin").wait_for()
    page.evaluate("for (const bar of document.querySelectorAll('.wizard-foot')) bar.style.position = 'static'")
    assert flaws(page) == []
    assert page.locator("html").get_attribute("lang") == language.replace("_", "-")
    context.close()
