"""Error codes in a real browser: from a campaign's failure to its advice, by keyboard, without script, and for everybody."""

from __future__ import annotations

import pytest
from looks import flaws, looks
from playwright.sync_api import Page, expect
from test_console import opened, progress_of

from campana.channels import whatsapp

pytestmark = pytest.mark.browser

SCREENS = {
    "all codes": "/help/errors",
    "one channel": "/help/errors?channel=twilio_sms&q=numero",
    "nothing found": "/help/errors?q=29999",
    "with reasons": "/help/errors/whatsapp/131026",
    "unknown code": "/help/errors/twilio_sms/29999",
    "failures": None,
}


def test_a_failure_is_opened_by_keyboard_and_leads_to_its_code(page: Page, world):
    opened(page, progress_of(world))
    failures = page.get_by_role("list", name="Why messages failed")
    expect(failures.get_by_text("the number is not on WhatsApp")).to_be_hidden()
    failures.locator("summary").first.press("Enter")
    for reason in whatsapp.ERRORS.advice("131026").reasons:
        expect(failures.get_by_text(reason)).to_be_visible()
    expect(failures.get_by_text("The next fallback takes its turn.").first).to_be_visible()
    failures.get_by_role("link", name="More about code 131026").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("WhatsApp could not deliver the message.")
    expect(page.get_by_role("link", name="WhatsApp Cloud about this code")).to_have_attribute("href", whatsapp.ERRORS.page)


def test_what_a_reader_opened_stays_open_while_figures_move(page: Page, world):
    opened(page, progress_of(world))
    failures = page.get_by_role("list", name="Why messages failed")
    failures.locator("summary").nth(1).click()
    advice = failures.get_by_text("limits how much marketing").first
    expect(failures.get_by_text("so that they do not tire of it")).to_be_visible()
    world.change(sent=6001, delivered=5800)
    expect(page.locator("#tiles")).to_contain_text("6,001")
    expect(failures.get_by_text("so that they do not tire of it")).to_be_visible()
    expect(advice).to_be_hidden()  # of the first code, which nobody opened


def test_the_advice_is_there_without_script_and_in_the_readers_language(browser, served, world, sign_in):
    context = browser.new_context(base_url=served.url, java_script_enabled=False, locale="pt-BR")
    sign_in(context, "viewer")
    page = context.new_page()
    page.goto(progress_of(world))
    page.locator(".failures summary").first.click()
    expect(page.get_by_text("o número não está no WhatsApp")).to_be_visible()
    page.goto("/help/errors")
    page.get_by_label("Buscar por código ou palavras").fill("telefone fixo")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="21635")).to_contain_text("O número não recebe SMS.")
    expect(page.get_by_role("row", name="131026")).to_have_count(0)
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("screen", SCREENS)
def test_everybody_can_use_it_and_nothing_is_cut_off(page: Page, context, served, world, screen, width, theme):
    looks(context, page, served.url, width, theme)
    page.goto(SCREENS[screen] or progress_of(world))
    for summary in page.locator(".failures summary").all():
        summary.click()
    assert flaws(page) == []
