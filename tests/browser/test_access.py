"""Sign-in, account, people and settings in a real browser: the main tasks, and every screen in Portuguese for everybody."""

from __future__ import annotations

import re

import pyotp
import pytest
from looks import flaws, looks
from playwright.sync_api import Page, expect

from campana.core.access import Role
from campana.store import audit, links
from campana.store.links import Kind
from campana.web.access import hash_of

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"
WORKSPACE = "workspace"


def invite(world, token: str, email: str) -> str:
    """An invitation to the workspace."""
    console = world.console()
    with world.db.engine.begin() as c:
        now = console.clock.now()
        links.make(c, Kind.INVITATION, hash_of(token), now, console.workspace_id, email=email, role=Role.EDITOR)
        audit.note(c, console.workspace_id, None, "owner@example.com", "person.invited", email, now, details={"role": "editor"})
    return f"/links/{token}"


def test_somebody_invited_makes_an_account_and_signs_in_again(page: Page, world, sign_in, faults):
    faults.allowed.append("422")
    path = invite(world, "a" * 64, "nia@example.com")
    sign_in(page, "")
    page.goto(path)
    expect(page.get_by_role("heading", name="You are invited")).to_be_visible()
    page.get_by_label("Your name").fill("Nia")
    page.get_by_label("Password").fill("nia nia nia nia")
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_text("easy to guess")).to_be_visible()
    expect(page.get_by_label("Your name")).to_have_value("Nia")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_role("heading", name="Campaigns")).to_be_visible()
    page.locator(".account-menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto("/campaigns?status=sent")
    page.get_by_label("E-mail address").fill("nia@example.com")
    page.get_by_label("Password").fill("not this")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("E-mail address")).to_have_value("nia@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/campaigns\?status=sent$"))


def test_people_are_invited_changed_and_removed(page: Page):
    page.goto("/settings/people")
    page.get_by_label("E-mail address").fill("new@example.com")
    page.get_by_label("Admin", exact=False).last.check()
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.get_by_label("Link", exact=True)).to_have_value(re.compile(r"^http://127\.0\.0\.1:\d+/links/\w{64}$"))
    page.goto("/settings/people")
    expect(page.get_by_label("Link", exact=True)).to_have_count(0)
    row = page.get_by_role("row", name="Viewer Example")
    row.get_by_label("Role of Viewer Example").select_option("editor")
    row.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(row.get_by_label("Role of Viewer Example")).to_have_value("editor")
    row.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Keep")).to_be_focused()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Removed from the workspace.")).to_be_visible()
    expect(row).to_have_count(0)
    page.goto("/settings/audit")
    page.get_by_label("What").select_option(label="Role changed")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("row", name="viewer@example.com")).to_contain_text("From Viewer to Editor.")


def test_the_second_step_is_set_up_from_the_page(page: Page, world):
    page.goto("/account")
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("img", name="QR code for the app")).to_be_visible()
    secret = page.locator(".secret-words").inner_text()
    page.get_by_label("Code of 6 digits").fill(pyotp.TOTP(secret).at(world.console().clock.now() // 1_000_000))
    page.keyboard.press("Enter")
    expect(page.get_by_text("From now on the sign-in asks for a code.")).to_be_visible()
    expect(page.get_by_label("Recovery codes", exact=True)).to_have_value(re.compile(r"^(\w{4}(-\w{4}){3}\n?){10}$"))
    page.reload()
    expect(page.get_by_text("10 recovery codes are left")).to_be_visible()
    expect(page.get_by_label("Recovery codes", exact=True)).to_have_count(0)


def test_the_last_owner_is_told_at_their_own_row(page: Page, faults):
    faults.allowed.append("409")
    page.goto("/settings/people")
    row = page.get_by_role("row", name="Owner Example")
    row.get_by_label("Role of Owner Example").select_option("viewer")
    row.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(row.get_by_text("keeps at least one owner")).to_be_visible()
    expect(row.get_by_label("Role of Owner Example")).to_have_value("viewer")


def test_a_workspace_is_made_and_switched(page: Page):
    page.goto("/campaigns")
    page.locator(".switcher summary").click()
    page.get_by_role("link", name="New workspace").click()
    page.get_by_label("Name of the workspace").fill("Dentist")
    page.get_by_label("Time zone").select_option("America/Sao_Paulo")
    page.get_by_role("button", name="Create the workspace").click()
    expect(page.get_by_text("Who works in “Dentist”").first).to_be_visible()
    page.locator(".switcher summary").click()
    page.get_by_role("button", name="Clinic").click()
    expect(page.get_by_role("row", name="Visit reminders")).to_be_visible()


def test_a_viewer_sees_no_settings_and_is_told_why(page: Page, sign_in, faults):
    faults.allowed.append("403")
    sign_in(page, "viewer")
    page.goto("/campaigns")
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    page.goto("/settings/people")
    expect(page.get_by_role("heading", name="Your role does not allow this")).to_be_visible()


SCREENS = {
    "sign-in": ("", "/sign-in?said=out"),
    "forgotten": ("", "/forgotten"),
    "link": ("", "/links/" + "b" * 64),
    "old link": ("", "/links/none"),
    "account": ("owner", "/account?said=saved"),
    "people": ("owner", "/settings/people"),
    "remove": ("owner", "/settings/people"),
    "audit": ("owner", "/settings/audit"),
    "audit of nothing": ("owner", "/settings/audit?who=nobody"),
    "workspace": ("owner", "/settings"),
    "workspace wrong": ("owner", "/settings"),
    "new workspace": ("owner", "/workspaces/new"),
    "menus": ("owner", "/account"),
    "role": ("viewer", "/settings/people"),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("screen", SCREENS)
def test_everybody_can_use_it_and_nothing_is_cut_off(page: Page, context, served, world, faults, sign_in, screen, width, theme):
    faults.allowed += ["403", "410", "422"]
    who, path = SCREENS[screen]
    invite(world, "b" * 64, "uma.pessoa.com.nome.muito.comprido@uma-empresa-de-exemplo.example.com")
    sign_in(page, who)
    looks(context, page, served.url, width, theme)
    page.goto(path)
    if screen == "remove":
        page.get_by_role("button", name="Remover").first.click()
    if screen == "menus":
        page.locator(".account-menu summary").click()
    if screen == "workspace wrong":
        page.get_by_label("Nome do espaço").fill(" ")
        page.get_by_role("button", name="Salvar").click()
        expect(page.get_by_role("alert")).to_be_focused()
    assert flaws(page) == []
