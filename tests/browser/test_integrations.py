"""Integrations in a real browser: connecting a vendor, a sender, a test message on the stand-in's phone, turning off."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from looks import flaws, looks
from playwright.sync_api import Browser, BrowserContext, Page, expect

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from vendors import Running

from campana.store import accounts, integrations, senders
from campana.web.access import COOKIE
from tests.web.vendors_world import token

pytestmark = pytest.mark.browser

REFUSED = "422"  # a browser notes every answer that is an error


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    """One installation for the tests of this file; each connects accounts of its own."""
    with Running() as running:
        yield running


@pytest.fixture
def context(browser: Browser, served: Running) -> Iterator[BrowserContext]:
    """A browser in which the admin is signed in."""
    context = browser.new_context(base_url=served.url, viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": COOKIE, "value": token("admin"), "url": served.url}])
    context.set_default_timeout(15_000)
    yield context
    context.close()


def fill(page: Page, **settings: str) -> None:
    """Types into the form of a channel, by its labels."""
    if page.locator("details.more-settings:not([open])").count():
        page.get_by_text("More settings").click()
    for name, value in settings.items():
        page.get_by_label(name.replace("_", " "), exact=True).fill(value)


def test_a_vendor_is_connected_gets_a_sender_and_sends_a_test_to_a_phone(page: Page, served: Running, faults) -> None:
    faults.allowed.append(REFUSED)
    known = served.place.twilio
    page.goto("/integrations")
    page.get_by_role("region", name="Twilio SMS").get_by_role("link", name="Connect").click()
    fill(page, Name="Main account", Account_SID=known["account_sid"], Auth_token="wrong", Address_of_the_API=known["base_url"])
    page.get_by_role("button", name="Check and connect").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("Twilio SMS refuses it")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Main account")
    secret = page.get_by_label("Auth token", exact=True)
    expect(secret).to_have_value("")
    summary.get_by_role("link").click()
    expect(secret).to_be_focused()
    secret.fill(known["auth_token"])
    page.get_by_role("button", name="Check and connect").click()
    expect(page.get_by_role("status")).to_contain_text("Connected.")

    page.get_by_role("link", name="Add sender").click()
    page.get_by_label("Name", exact=True).fill("main-sms")
    page.get_by_label("Address", exact=True).fill("+15017122661")
    page.get_by_role("button", name="Add sender").click()
    expect(page.get_by_role("main")).to_contain_text("main-sms")
    expect(page.get_by_role("main")).to_contain_text("Connected")

    page.get_by_label("To the number").fill("+12125550177")
    page.get_by_label("Text", exact=True).fill("Can you read this?")
    page.get_by_role("button", name="Send the test").click()
    expect(page.locator("#test").get_by_role("status")).to_contain_text("Twilio SMS took the message to +12125550177")
    taken = [line for line in served.place.standin.lines if line.kind == "accepted" and line.to.endswith("2125550177")]
    assert [line.text for line in taken] == ["Can you read this?"]


def test_the_webhooks_address_is_copied(page: Page, context: BrowserContext, served: Running) -> None:
    page.goto(served.connected("whatsapp", "To copy"))
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Address").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.get_by_label("Address").input_value()


def test_turning_off_asks_first_and_the_safe_answer_has_the_focus(page: Page, served: Running) -> None:
    page.goto(served.connected("twilio_sms", "To turn off", "off-sms"))
    page.get_by_role("button", name="Turn off", exact=True).press("Enter")
    dialog = page.get_by_role("dialog", name="Turn off “To turn off”?")
    expect(dialog.get_by_role("button", name="Keep it on")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Turn off", exact=True).click()
    dialog.get_by_role("button", name="Turn off").click()
    expect(page.get_by_role("status")).to_contain_text("The integration is off.")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("status")).to_contain_text("on again")


def test_it_all_works_without_script(browser: Browser, served: Running) -> None:
    context = browser.new_context(base_url=served.url, java_script_enabled=False)
    context.add_cookies([{"name": COOKIE, "value": token("admin"), "url": served.url}])
    page = context.new_page()
    page.goto(served.connected("twilio_sms", "Plain", "plain-sms"))
    page.get_by_role("button", name="Turn off", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Turn off").click()
    expect(page.get_by_role("status")).to_contain_text("The integration is off.")
    page.get_by_role("link", name="Change plain-sms").click()
    page.get_by_label("Pace: how many a second").fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Write a number above 0")
    context.close()


@pytest.fixture(scope="module")
def screens(served: Running) -> dict[str, str]:
    """The address of each screen, in each of its states."""
    whatsapp = served.connected("whatsapp", "Clínica de São Paulo", "sao-paulo-whatsapp")
    sms = served.connected("twilio_sms", "Clínica de Guadalajara", "guadalajara-sms")
    paused = served.do(_paused(served, "guadalajara-sms"))
    off = served.do(_off_and_refused(served, sms))
    return {
        "cards": "/integrations",
        "account": whatsapp,
        "paused": sms,
        "turning off": f"{sms}?ask=off",
        "connect": "/integrations/connect/whatsapp",
        "change": f"{whatsapp}/edit",
        "sender": f"{sms}/senders/{paused}",
        "removing": f"{sms}/senders/{paused}?ask=remove",
        "templates": f"{whatsapp}/templates",
        "no template": f"{whatsapp}/templates?q=zzz",
        "refused": "/integrations/connect/twilio_sms",
        "deleting": f"{off}?ask=delete",
    }


async def _off_and_refused(served: Running, refused: str) -> str:
    """Another account, which is off; of the one at `refused` the webhooks are refused."""
    admin, house = served.place.visitor(), served.place.installation.house
    page = await admin.connect("whatsapp", served.place.whatsapp, "Uma integração que ninguém usa mais")
    home = page.url.path
    await admin.post(f"{home}/off")
    card = next(one for one in await served.place.cards() if refused.endswith(one.id.hex()))
    now = house.clock.now()
    await house.db.run(integrations.heard, [integrations.Heard(card.hook, False, 12, now, now)], now)
    return home


async def _paused(served: Running, name: str) -> str:
    installation = served.place.installation
    db, now = installation.house.db, installation.house.clock.now()
    lines = await db.read(senders.of_workspace, installation.workspace_id, now)
    line = next(line for line in lines if line.name == name)
    await db.run(accounts.pause_sender, line.id, "The account is suspended (30002)", now)
    return line.id.hex()


NAMES = (
    *("cards", "account", "paused", "turning off", "connect", "change"),
    *("sender", "removing", "templates", "no template", "refused", "deleting"),
)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("screen", NAMES)
def test_everybody_can_use_it_and_nothing_is_cut_off(
    page: Page, context: BrowserContext, served: Running, screens: dict[str, str], faults, screen: str, width: int, theme: str
) -> None:
    looks(context, page, served.url, width, theme)
    page.goto(screens[screen])
    for summary in page.locator("details.more-settings:not([open]) summary").all():
        summary.click()
    if screen == "refused":
        faults.allowed.append(REFUSED)
        page.get_by_role("button", name="Verificar e conectar").click()
        expect(page.get_by_role("alert")).to_be_focused()
    assert flaws(page) == []


def test_the_main_task_works_by_keyboard_alone(page: Page, served: Running) -> None:
    known = served.place.twilio
    page.goto("/integrations/connect/twilio_sms")
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("By keyboard")
    for value in (known["account_sid"], known["auth_token"]):
        page.keyboard.press("Tab")
        page.keyboard.type(value)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # more settings
    for _ in range(5):
        page.keyboard.press("Tab")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(known["base_url"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("By keyboard")
