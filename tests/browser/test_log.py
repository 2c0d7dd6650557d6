"""People, timelines and the log of messages in a real browser: by keyboard, on a phone, in the dark, in each language."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from builder import Builder
from conftest import Faults
from looks import flaws, looks
from playwright.sync_api import Browser, Page, Route, expect
from test_building import signed_in

from tests.engine.world import ANA
from tests.web.log_story import FAULTS, told

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """One server for all tests of this file, its campaign sent."""
    with Builder(faults=FAULTS) as builder:
        builder.studio.campaign_id = builder.do(told(builder.studio.world, "Lembretes de visita técnica de dezembro"))
        yield builder


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


def test_from_a_campaign_to_a_person_and_their_message(page: Page, builder: Builder):
    page.goto(builder.studio.home)
    page.get_by_role("navigation", name="Pages of the campaign").get_by_role("link", name="People").click()
    page.get_by_role("navigation", name="Filter by outcome").get_by_role("link", name="Replied").click()
    expect(page).to_have_url(re.compile(r"outcome=replied$"))
    expect(page.get_by_role("rowheader")).to_have_count(1)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(ANA[:8])
    page.keyboard.press("Enter")
    page.get_by_role("rowheader").get_by_role("link", name="Ana").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ana")
    expect(page.get_by_text("yes <please>")).to_be_visible()
    page.get_by_role("link", name="What was said to the vendor").first.click()
    expect(page.get_by_text("biz_opaque_callback_data")).to_be_visible()


def test_a_message_opens_beside_the_log_and_closes_by_keyboard(page: Page, builder: Builder):
    page.goto("/messages?status=not_delivered")
    first = page.get_by_role("row").nth(1).get_by_role("link").first
    first.press("Enter")
    panel = page.get_by_role("complementary", name="Message", exact=True)
    expect(panel.get_by_role("heading", level=2)).to_be_focused()
    expect(panel).to_contain_text("What to do")
    expect(page).to_have_url(re.compile(r"/messages\?status=not_delivered$"))
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(first).to_be_focused()
    page.get_by_label("Code").fill("131026")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"code=131026"))
    expect(page.get_by_role("rowheader")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    assert "131026" in download.value.path().read_text("utf-8-sig")


def test_a_message_asked_for_before_the_panel_is_ready_is_shown_when_it_is(page: Page, builder: Builder):
    held: list[Route] = []
    page.route(re.compile(r"/panel-[^/]+\.js"), lambda route: held.append(route))
    page.goto("/messages?status=not_delivered")
    first = page.get_by_role("row").nth(1).get_by_role("link").first
    first.press("Enter")
    page.locator("[data-panel-box] .message-part").wait_for(state="attached")
    held.pop().continue_()
    expect(page.get_by_role("complementary", name="Message", exact=True).get_by_role("heading", level=2)).to_be_focused()
    page.keyboard.press("Escape")
    expect(first).to_be_focused()


def test_without_script_a_message_is_a_page(browser: Browser, builder: Builder):
    context = signed_in(browser, builder, java_script_enabled=False)
    page = context.new_page()
    page.goto("/messages")
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/messages/\w{32}$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Message to")
    context.close()


def pages(page: Page, home: str) -> dict[str, str]:
    """The screens of this part, by a name each."""
    page.goto(f"{home}/people?q=1")
    person = page.get_by_role("rowheader").get_by_role("link").get_attribute("href")
    page.goto("/messages?status=not_delivered")
    message = page.get_by_role("row").nth(1).get_by_role("link").first.get_attribute("href")
    found = {"people": f"{home}/people", "nobody": f"{home}/people?q=nobody", "timeline": person, "log": "/messages"}
    return found | {"campaign log": f"{home}/messages", "nothing": f"{home}/messages?status=read", "message": message}


CUT_WORDS = "es => es.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"


@pytest.mark.parametrize("language", ["pt_BR", "es"])
def test_beside_an_open_message_each_status_has_room_and_no_word_of_the_rail_is_cut(page: Page, builder: Builder, language: str):
    looks(page.context, page, builder.url, 1280, "light", language)
    page.goto("/messages?status=not_delivered")
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    page.locator("#panel h2").wait_for()
    assert page.locator(".nav-link-title").evaluate_all(CUT_WORDS) == []
    last = page.get_by_role("row").nth(1).get_by_role("cell").last.bounding_box()
    assert last is not None
    assert last["width"] >= 170, "a status and what its code says in three lines"


@pytest.mark.parametrize("cell", ["dark-390-pt_BR", "light-1440-es"])
def test_every_screen_is_for_everybody(browser: Browser, builder: Builder, faults: Faults, cell: str):
    theme, width, language = cell.split("-")
    context = signed_in(browser, builder)
    page = context.new_page()
    looks(context, page, builder.url, int(width), theme, language)
    faults.watch(page)
    for name, path in pages(page, builder.studio.home).items():
        page.goto(path)
        assert flaws(page) == [], name
    page.goto("/messages?status=not_delivered")
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    page.locator("#panel h2").wait_for()
    assert flaws(page) == []
    context.close()
    assert faults.found == []
