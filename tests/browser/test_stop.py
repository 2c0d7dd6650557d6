"""The emergency stop in a real browser: pressed, told on every page, and lifted, all by keyboard; and how its page looks."""

from __future__ import annotations

import pytest
from looks import flaws, looks
from playwright.sync_api import Page, expect

from campana.store import workspaces

pytestmark = pytest.mark.browser


def test_everything_is_stopped_and_goes_on_by_keyboard(page: Page):
    page.goto("/campaigns")
    page.locator(".account-menu summary").press("Enter")
    page.get_by_role("link", name="Emergency stop").press("Enter")
    page.get_by_role("button", name="Stop everything now").press("Enter")
    expect(page.get_by_role("status").filter(has_text="Everything is stopped since")).to_be_visible()
    page.goto("/campaigns")
    expect(page.get_by_role("banner").get_by_text("Everything is stopped")).to_be_visible()
    page.goto("/stop")
    page.get_by_role("button", name="Lift the stop").press("Enter")
    expect(page.get_by_text("The stop was lifted.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("stopped", [False, True], ids=["going", "stopped"])
def test_everybody_can_use_it_and_nothing_is_cut_off(page: Page, context, served, world, stopped, width, theme):
    if stopped:
        console = world.console()
        with world.db.engine.begin() as c:
            workspaces.stop(c, console.workspace_id, "Olga", console.clock.now())
    looks(context, page, served.url, width, theme)
    page.goto("/stop")
    expect(page.get_by_role("heading", name="Parada de emergência", level=1)).to_be_visible()
    assert flaws(page) == []
