"""The campaign list and the progress page in a real browser: filters, live figures, pause, Finish, languages, access."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from looks import flaws, looks
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.browser

FIRST_VISIT = 200 * 1024


def progress_of(world, number=0) -> str:
    """The address of a campaign's progress."""
    return f"/campaigns/{world.lines[number].campaign_id.hex()}"


def opened(page: Page, path: str) -> None:
    """Opens a page and waits until its stream brought the first frame."""
    page.add_init_script("addEventListener('stats', () => { document.documentElement.dataset.framed = 'yes'; }, true)")
    page.goto(path)
    page.locator("html[data-framed]").wait_for()


def test_the_list_is_filtered_by_chips_and_search_in_the_address(page: Page, world):
    opened(page, "/")
    names = page.get_by_role("rowheader").get_by_role("link").and_(page.locator(".name"))
    expect(names).to_have_count(len(world.lines))
    page.get_by_role("navigation", name="Filter by tag").get_by_role("link", name="december").click()
    expect(names).to_have_text(["Visit reminders", "Welcome"])
    page.get_by_role("navigation", name="Filter by status").get_by_role("link", name="Sending").click()
    expect(names).to_have_text(["Visit reminders"])
    expect(page).to_have_url(re.compile(r"status=sending&tag=december$"))
    page.reload()
    expect(names).to_have_text(["Visit reminders"])
    page.get_by_role("link", name="Remove this filter").click()
    expect(page).to_have_url(re.compile(r"campaigns\?status=sending$"))
    page.wait_for_load_state()  # the key is heard once the new page's script runs
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("nobody has this name")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No campaign matches these filters.")).to_be_visible()
    page.get_by_role("link", name="Clear the filters").click()
    expect(names).to_have_count(len(world.lines))


def test_an_empty_list_says_how_to_begin(page: Page, world):
    world.lines.clear()
    opened(page, "/campaigns")
    expect(page.get_by_role("heading", name="No campaigns yet.")).to_be_visible()
    expect(page.get_by_text("campana run CAMPAIGN.yaml --audience PEOPLE.csv")).to_be_visible()


def test_rows_of_the_list_move_and_new_ones_wait_to_be_shown(page: Page, world):
    opened(page, "/campaigns")
    row = page.get_by_role("row", name="Visit reminders")
    world.change(sent=6000)
    expect(row).to_contain_text("6,000 of 12,480")
    count = page.get_by_role("row").count()
    world.add("Newly made")
    expect(page.get_by_text("1 new campaign")).to_be_visible()
    assert page.get_by_role("row").count() == count
    page.get_by_role("link", name="Show", exact=True).click()
    expect(page.get_by_role("row", name="Newly made")).to_be_visible()


def test_figures_move_and_can_be_held_still(page: Page, world):
    opened(page, progress_of(world))
    tiles = page.locator("#tiles")
    world.change(sent=6001, delivered=5800)
    expect(tiles).to_contain_text("Sent to 6,001 of 12,480 people")
    page.get_by_role("button", name="Pause updates").click()
    expect(page.get_by_text("Updates paused")).to_be_visible()
    world.waits_for_viewers(0)
    world.change(sent=7002)
    expect(tiles).to_contain_text("6,001")
    page.get_by_role("button", name="Pause updates").click()
    expect(tiles).to_contain_text("7,002")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_a_hidden_tab_closes_its_stream_and_comes_back_up_to_date(page: Page, world):
    opened(page, progress_of(world))
    hide = """(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange')); }"""
    page.evaluate(hide, True)
    world.waits_for_viewers(0)
    world.change(sent=8003)
    page.evaluate(hide, False)
    expect(page.locator("#tiles")).to_contain_text("8,003")


def test_a_lost_connection_is_said_and_then_forgotten(page: Page, world, context: BrowserContext, faults):
    faults.allowed += ["ERR_INTERNET_DISCONNECTED", "htmx:sse:error"]
    opened(page, progress_of(world))
    context.set_offline(True)
    world.cut_streams()
    expect(page.get_by_role("alert")).to_contain_text("The connection is lost")
    expect(page.locator("[data-live-state]")).to_have_text("Connection lost")  # and not that it is live
    context.set_offline(False)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("[data-live-state]")).to_have_text("Live")
    world.change(sent=9004)
    expect(page.locator("#tiles")).to_contain_text("9,004")


def test_a_campaign_is_paused_and_resumed(page: Page, world):
    opened(page, progress_of(world))
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#head")).to_contain_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#head")).to_contain_text("Sending")
    assert world.pressed == [("pause", world.lines[0].campaign_id), ("resume", world.lines[0].campaign_id)]


def test_finish_asks_first_and_names_the_people(page: Page, world):
    opened(page, progress_of(world))
    finish = page.get_by_role("button", name="Finish", exact=True)
    finish.press("Enter")
    dialog = page.get_by_role("dialog", name="Finish “Visit reminders”?")
    expect(dialog).to_contain_text("7,310 people will get nothing more.")
    expect(dialog.get_by_role("button", name="Keep it going")).to_be_focused()
    world.change(sent=12480)
    expect(dialog).to_contain_text("40 people will get nothing more.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(finish).to_be_focused()
    assert world.pressed == []
    finish.click()
    dialog.get_by_role("button", name="Finish campaign").click()
    expect(page.locator("#head")).to_contain_text("Ended")
    assert world.pressed == [("finish", world.lines[0].campaign_id)]


def test_finish_works_without_script(browser, served, world, sign_in):
    context = browser.new_context(base_url=served.url, java_script_enabled=False)
    sign_in(context, "owner")
    page = context.new_page()
    page.goto(progress_of(world))
    page.get_by_role("button", name="Finish", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Finish campaign").click()
    expect(page.locator("#head")).to_contain_text("Ended")
    context.close()


def test_the_audience_comes_as_a_file(page: Page, world):
    opened(page, progress_of(world))
    with page.expect_download() as download:
        page.get_by_role("link", name="Audience CSV").click()
    assert download.value.suggested_filename == "visit-reminders-audience.csv"
    assert Path(download.value.path()).read_bytes() == b"name,outcome\r\nAna,replied\r\n"


def test_the_chart_has_its_numbers_as_a_table(page: Page, world):
    opened(page, progress_of(world))
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    page.get_by_text("Show as a table").click()
    table = page.get_by_role("table", name="Messages per minute")
    before = table.get_by_role("row").count()
    world.change(minutes=95)
    expect(table.get_by_role("row")).to_have_count(before + 5)


@pytest.mark.parametrize(
    ("language", "label", "title", "sent", "said"),
    [
        ("pt-BR", "Português (Brasil)", "Campanhas", "Enviada a 6.100 de 12.480 pessoas", "Enviando, 40 por cento enviado"),
        ("es", "Español", "Campañas", "Enviada a 6.100 de 12.480 personas", "Enviando, 40 por ciento enviado"),
        ("en", "English", "Campaigns", "Sent to 6,100 of 12,480 people", "Sending, 40 percent sent"),
    ],
)
def test_page_fragment_and_stream_speak_one_language(page: Page, world, language, label, title, sent, said):
    opened(page, "/campaigns?status=sending")
    page.get_by_text("Language and theme").click()
    page.get_by_role("link", name=label).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page).to_have_url(re.compile(r"/campaigns\?status=sending$"))
    expect(page.locator("html")).to_have_attribute("lang", language)
    page.locator(".name").first.click()
    world.change(sent=6100)
    expect(page.locator("#tiles")).to_contain_text(sent)
    expect(page.locator("[data-live-spoken]")).to_have_text(said)


def test_the_theme_is_kept_and_follows_the_system_when_asked(page: Page):
    root = page.locator("html")
    page.emulate_media(color_scheme="dark")
    opened(page, "/campaigns")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.get_by_text("Language and theme").click()
    page.get_by_role("link", name="Light", exact=True).click()
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-bs-theme", "light")


def test_what_is_not_there_is_a_page_that_says_so(page: Page, faults):
    faults.allowed.append("404")
    page.goto("/campaigns/00000000000000000000000000000000")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    expect(page.get_by_role("link", name="Open the campaigns")).to_be_visible()


def test_a_first_visit_weighs_less_than_its_budget(page: Page, context: BrowserContext, world, sign_in):
    for path in ("/campaigns", progress_of(world)):
        sign_in(page, "operator")
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.clearBrowserCache")
        sizes: list[float] = []
        session.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
        opened(page, path)
        page.wait_for_function("document.fonts.status === 'loaded'")
        assert 20_000 < sum(sizes) < FIRST_VISIT
        session.detach()


OPENED = {"progress": "details.as-table summary", "lost": ".console-top details.menu summary"}
SCREENS = {
    "empty list": "/campaigns",
    "full list": "/campaigns",
    "no match": "/campaigns?q=zzz",
    "progress": None,
    "lost": "/lost",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("screen", SCREENS)
def test_everybody_can_use_it_and_nothing_is_cut_off(page: Page, context, served, world, faults, screen, width, theme):
    faults.allowed.append("404")
    looks(context, page, served.url, width, theme)
    if screen == "empty list":
        world.lines.clear()
    path = SCREENS[screen] or progress_of(world, 1)
    page.goto(path) if screen == "lost" else opened(page, path)
    for summary in page.locator(OPENED.get(screen, "#nothing")).all():
        summary.click()
    assert flaws(page) == []


def test_the_main_task_works_by_keyboard_alone(page: Page, world):
    opened(page, "/campaigns")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    target = page.get_by_role("link", name="Visit reminders", exact=True)
    for _ in range(40):
        page.keyboard.press("Tab")
        if target.evaluate("e => e === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Visit reminders")
