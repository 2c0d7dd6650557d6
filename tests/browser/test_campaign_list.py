"""The campaign list in a real browser: 500 campaigns by keyboard alone, selections, menus, orders, the bar; for everybody."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from looks import flaws, looks
from playwright.sync_api import Page, expect

from campana.store import workspaces

pytestmark = pytest.mark.browser


FIFTH = ("sending", *["sent"] * 4)


def opened(page: Page, path: str) -> None:
    """Opens a page and waits until its stream brought the first frame."""
    page.add_init_script("addEventListener('stats', () => { document.documentElement.dataset.framed = 'yes'; }, true)")
    page.goto(path)
    page.locator("html[data-framed]").wait_for()


def names(page: Page):
    return page.locator("tbody .name")


def tab_to(page: Page, target, most: int = 120) -> None:
    """Presses Tab until that has the focus."""
    for _ in range(most):
        if target.evaluate("e => e === document.activeElement"):
            return
        page.keyboard.press("Tab")
    expect(target).to_be_focused()


def many(world, count: int = 500) -> None:
    """So many campaigns, the fifth of them sending."""
    plain, numbers = world.lines[4], [(at, at.to_bytes(16, "big")) for at in range(count)]
    world.lines = [
        replace(plain, campaign_id=key, name=f"Campaign {at:03}", sent=at, status=FIFTH[at % 5]) for at, key in numbers
    ]
    world.progress = {}


def test_five_hundred_campaigns_by_keyboard_alone(page: Page, world):
    many(world)
    opened(page, "/campaigns")
    expect(names(page)).to_have_count(50)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("a/b")
    expect(page.get_by_role("searchbox")).to_have_value("a/b")  # a stroke that is typed is no command
    page.keyboard.press("Control+a")
    page.keyboard.type("campaign 13")
    page.keyboard.press("Enter")
    expect(names(page)).to_have_count(15)  # 130 to 139, and 013, 113, ..., 413
    page.wait_for_load_state()
    head = page.get_by_role("columnheader", name="Sent").get_by_role("link")
    tab_to(page, head)
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Sent")).to_have_attribute("aria-sort", "descending")
    expect(names(page).first).to_have_text("Campaign 413")
    menu = page.get_by_role("button", name="Actions for Campaign 135")
    tab_to(page, menu)
    page.keyboard.press("Enter")
    pause = page.get_by_role("button", name="Pause", exact=True).and_(page.locator("[popover] button"))
    page.keyboard.press("Tab")
    expect(pause).to_be_focused()
    page.keyboard.press("Escape")
    expect(pause).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="1 campaign was paused.")).to_be_focused()
    expect(page).to_have_url(re.compile(r"q=campaign\+13&sort=-sent"))
    assert world.pressed == [("pause", (135).to_bytes(16, "big"))]
    link = page.get_by_role("link", name="Campaign 131", exact=True)
    tab_to(page, link)
    with page.expect_navigation(url=re.compile("/campaigns/0{30}83$")):
        page.keyboard.press("Enter")


@pytest.fixture(autouse=True)
def _no_progress(faults):
    faults.allowed.append("404")  # campaigns made here have no page of their own


def test_some_are_selected_and_the_bar_says_what_can_be_done(page: Page, world):
    opened(page, "/campaigns")
    bulk = page.get_by_role("group", name="For the selected campaigns")
    expect(bulk).to_be_hidden()
    for name in ("Visit reminders", "Renewal offer", "Welcome"):
        page.get_by_label(f"Select {name}").check()
    expect(bulk.get_by_role("button")).to_have_text([re.compile("Pause2"), re.compile("Archive1")])
    world.change(status="paused")  # a frame brings another status, and leaves what is selected
    expect(bulk.get_by_role("button")).to_have_text([re.compile("Pause1"), re.compile("Resume1"), re.compile("Archive1")])
    expect(page.get_by_label("Select Visit reminders")).to_be_checked()
    bulk.get_by_role("button", name="Archive").click()
    expect(page.get_by_role("heading", name="Not all could be done")).to_be_focused()
    expect(page.get_by_role("row", name="Visit reminders")).to_contain_text("It is not over.")
    expect(page.locator(".purpose")).to_contain_text("1 campaign was put into the archive. 2 campaigns were left as they were.")
    page.get_by_role("link", name="Back to the campaigns").click()
    expect(names(page).filter(has_text="Welcome")).to_have_count(0)
    page.get_by_label("Select all on this page").check()
    expect(page.locator("[data-can]:checked")).to_have_count(6)
    page.get_by_label("Select all on this page").uncheck()
    expect(bulk).to_be_hidden()


def test_a_menu_stays_open_while_figures_move(page: Page, world):
    opened(page, "/campaigns")
    page.get_by_role("button", name="Actions for Visit reminders").click()
    menu = page.locator("[popover]:popover-open")
    expect(menu.get_by_role("listitem")).to_have_text(["Pause", "Finish…", "Duplicate", "Audience CSV"])
    world.change(sent=6001)
    expect(page.get_by_role("row", name="Visit reminders")).to_contain_text("6,001 of 12,480")
    expect(menu).to_be_visible()
    menu.get_by_role("link", name="Finish…").click()
    expect(page.get_by_role("dialog", name="Finish “Visit reminders”?")).to_contain_text("people will get nothing more.")


def test_what_belongs_to_the_list_no_more_is_told(page: Page, world):
    opened(page, "/campaigns?status=sending")
    world.change(status="sent")
    expect(page.get_by_text("Some campaigns shown here do not belong to this list any more.")).to_be_visible()
    page.get_by_role("link", name="Show", exact=True).click()
    expect(page.get_by_role("heading", name="No campaign matches these filters.")).to_be_visible()


def test_the_bar_follows_what_is_sent_and_a_stop(page: Page, world, served):
    page.clock.install()
    page.goto("/account")
    bar = page.locator("#bar a")
    expect(bar).to_have_text(re.compile(r"1 sending · 5,210 of 12,480"))
    bar.focus()
    world.change(sent=7000)
    with world.db.engine.begin() as c:
        workspaces.stop(c, world.console().workspace_id, "Olga", world.console().clock.now())
    page.clock.run_for(5000)
    expect(bar).to_contain_text("7,000 of 12,480")
    expect(bar).to_be_focused()
    expect(page.get_by_role("banner")).to_contain_text("by Olga. Nothing goes out.")
    world.change(status="sent")
    page.clock.run_for(5000)
    expect(bar).to_have_count(0)


def test_it_all_works_without_script(browser, served, world, sign_in):
    context = browser.new_context(base_url=served.url, java_script_enabled=False)
    sign_in(context, "owner")
    page = context.new_page()
    page.goto("/campaigns")
    page.get_by_label("Select Visit reminders").check()
    page.get_by_role("group", name="For the selected campaigns").get_by_role("button", name="Pause").click()
    expect(page.get_by_text("1 campaign was paused.")).to_be_visible()
    page.get_by_role("button", name="Actions for Visit reminders").click()
    page.locator("[popover]:popover-open").get_by_role("button", name="Resume").click()
    expect(page.get_by_text("1 campaign goes on.")).to_be_visible()
    context.close()


SCREENS = ("selected", "menu", "days", "left", "archive", "stopped")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("screen", SCREENS)
def test_everybody_can_use_it_and_nothing_is_cut_off(page: Page, context, served, world, screen, width, theme):
    looks(context, page, served.url, width, theme)
    if screen == "stopped":
        with world.db.engine.begin() as c:
            workspaces.stop(c, world.console().workspace_id, "Olga Wagner da Silva", world.console().clock.now())
    world.lines[5] = replace(world.lines[5], archived_at=1, owner="Olga Wagner da Silva", owner_id=b"x" * 16)
    opened(page, "/campaigns?status=archived" if screen == "archive" else "/campaigns?from=2026-12-01&sort=-sent")
    if screen in ("selected", "left"):
        page.locator("[data-can]").first.check()
        page.locator("[data-can]").nth(2).check()
    if screen == "left":
        page.locator("[data-deed=archive]").click()
        page.locator("h1[data-focus]").wait_for()
    if screen == "menu":
        page.locator(".row-button").first.click()
    if screen == "days":
        page.locator(".days-menu summary").click()
    assert flaws(page) == []
