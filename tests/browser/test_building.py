"""Building and launching a campaign in a real browser, over the real application and its vendors' stand-ins."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from builder import Builder
from conftest import Faults
from looks import flaws, looks
from playwright.sync_api import Browser, BrowserContext, Page, expect

from campana.core.draft import Draft, DraftStep
from campana.web.access import COOKIE

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """One server for all tests of this file."""
    with Builder() as builder:
        yield builder


def signed_in(browser: Browser, builder: Builder, who: str = "ana", **more) -> BrowserContext:
    """A browser of somebody's own."""
    context = browser.new_context(base_url=builder.url, viewport={"width": 1440, "height": 900}, **more)
    context.add_cookies([{"name": COOKIE, "value": f"session-of-{who}", "url": builder.url}])
    context.set_default_timeout(15_000)
    return context


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


def says(builder: Builder, text: str, **more) -> Draft:
    """A draft of one SMS."""
    return Draft(steps=(DraftStep(key="s1", kind="primary", sender=builder.studio.senders["sms"], text=text, **more),))


def full(builder: Builder) -> Draft:
    """A draft of a template, a fallback with a column that is gone, and a follow-up."""
    senders = builder.studio.senders
    values = {"first_name": "{{name}}", "appointment_date": "Monday in {{city}}"}
    return Draft(
        steps=(
            DraftStep(key="s1", kind="primary", sender=senders["wa"], template="visit_reminder", language="en_US", values=values),
            DraftStep(key="s2", kind="fallback", sender=senders["sms"], text="Hi {{name}}, your {{plan}} plan in {{town}} ends."),
            DraftStep(key="s3", kind="follow_up", sender=senders["sms"], text="Still there, {{name}}?", after=2),
        )
    )


def saved(page: Page) -> None:
    """Everything typed so far is kept: the page says when."""
    expect(page.locator("#saved")).to_contain_text("Saved at")


def kept(builder: Builder) -> Draft:
    return builder.do(builder.studio.draft()).draft


def test_a_message_is_written_with_the_picker_and_previewed_as_each_person(page: Page, builder: Builder):
    home = builder.begin()
    page.goto(f"{home}/journey")
    page.get_by_label("Send with").select_option(label="Twilio SMS: sms")
    message = page.get_by_label("Message", exact=True)
    message.click()
    page.keyboard.type("Hi {")
    picker = page.get_by_role("listbox", name="Columns")
    expect(picker.get_by_role("option")).to_have_text(["name", "phone", "plan", "city", "email"])
    page.keyboard.type("na")
    expect(picker.get_by_role("option")).to_have_text(["name"])
    page.keyboard.press("Enter")
    expect(message).to_have_value("Hi {{name}}")
    expect(picker).to_be_hidden()
    page.keyboard.type(", your plan: ")
    page.get_by_role("button", name="Insert a column").click()
    picker.get_by_role("option", name="plan").click()
    expect(message).to_have_value("Hi {{name}}, your plan: {{plan}}")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("Hi Ana, your plan: gold")
    expect(page.locator("#s1-text-count")).to_contain_text("GSM7 · 23 characters · 1 segment")
    page.get_by_role("button", name="Next person").click()
    expect(preview).to_contain_text("Hi Bruno, your plan:")
    expect(preview).to_contain_text("Empty for this person: plan")
    page.get_by_label("Preview as").fill("3")
    expect(preview).to_contain_text("Skipped: this person has no phone number.")
    page.reload()
    expect(message).to_have_value("Hi {{name}}, your plan: {{plan}}")
    assert kept(builder).steps[0].text == "Hi {{name}}, your plan: {{plan}}"


def test_escape_leaves_the_brace_as_it_was_typed(page: Page, builder: Builder):
    home = builder.begin(says(builder, ""))
    page.goto(f"{home}/journey")
    message = page.get_by_label("Message", exact=True)
    message.click()
    page.keyboard.type("a {")
    page.keyboard.press("Escape")
    page.keyboard.type(" b")
    expect(message).to_have_value("a { b")
    expect(page.get_by_role("listbox")).to_be_hidden()


def test_a_template_is_filled_from_columns_and_steps_are_added_by_buttons(page: Page, builder: Builder):
    home = builder.begin()
    page.goto(f"{home}/journey")
    page.get_by_label("Send with").select_option(label="WhatsApp: wa")
    page.get_by_label("Approved template").select_option(label="visit_reminder (en_US)")
    page.get_by_label("{{first_name}}", exact=True).select_option("name")
    page.get_by_label("{{appointment_date}}", exact=True).select_option("A text of my own")
    page.get_by_label("Text for {{appointment_date}}").fill("Monday")
    expect(page.locator("#preview")).to_contain_text("Hi Ana, we expect you on Monday.")
    saved(page)
    page.get_by_role("button", name="Add a fallback").click()
    fallback = page.get_by_role("region", name="Fallback")
    fallback.get_by_label("Send with").select_option(label="Twilio SMS: sms")
    fallback.get_by_label("Message", exact=True).fill("By SMS, {{name}}")
    page.get_by_role("button", name="Timeline").click()
    expect(page.locator("#preview")).to_contain_text("By SMS, Ana")
    expect(page.locator("#preview")).to_contain_text("If nothing was delivered: at once when it fails, else after 24 hours")
    page.get_by_role("button", name="Review and launch").click()
    expect(page).to_have_url(re.compile("/review$"))
    steps = kept(builder).steps
    assert [(step.kind, step.template or step.text) for step in steps] == [
        ("primary", "visit_reminder"),
        ("fallback", "By SMS, {{name}}"),
    ]


def test_going_on_with_gaps_names_each_and_takes_the_focus(page: Page, builder: Builder, faults: Faults):
    faults.allowed.append("422")
    home = builder.begin()
    page.goto(f"{home}/journey")
    page.get_by_role("button", name="Review and launch").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Choose what the message is sent with.").click()
    expect(page).to_have_url(re.compile("#s1-sender$"))
    expect(page.get_by_label("Send with")).to_have_attribute("aria-invalid", "true")


def test_what_was_typed_fast_is_saved_in_its_order(page: Page, builder: Builder):
    home = builder.begin(says(builder, "Hi"))
    page.goto(f"{home}/journey")
    message = page.get_by_label("Message", exact=True)
    for word in ("one", "two", "three", "four"):
        message.fill(word)
        message.dispatch_event("change")  # each a change of its own, before the one before it is answered
    expect(page.locator("#preview")).to_contain_text("four")
    expect(page.locator("#conflict")).to_be_empty()
    assert kept(builder).steps[0].text == "four"


def test_two_editors_of_one_draft_choose_which_version_stays(page: Page, browser: Browser, builder: Builder):
    home = builder.begin(says(builder, "First"))
    page.goto(f"{home}/journey")
    other = signed_in(browser, builder, "berta")
    berta = other.new_page()
    berta.goto(f"{home}/journey")
    berta.get_by_label("Message", exact=True).fill("By Berta")
    saved(berta)
    page.get_by_label("Message", exact=True).fill("By Ana")
    told = page.get_by_role("alert")
    expect(told).to_contain_text("berta@example.com changed this campaign at")
    expect(page.locator("#saved")).to_contain_text("Not saved")
    told.get_by_text("Show their version").click()
    expect(told).to_contain_text("By Berta")
    told.get_by_role("button", name="Keep mine").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    assert kept(builder).steps[0].text == "By Ana"
    other.close()


def test_a_test_message_goes_to_the_number_typed(page: Page, builder: Builder):
    home = builder.begin(says(builder, "Hi {{name}}"))
    page.goto(f"{home}/journey")
    page.get_by_text("Send a test to me").click()
    page.get_by_label("Your number").fill("+12125550188")
    page.get_by_role("button", name="Send test").click()
    expect(page.locator("#test-result")).to_contain_text("Sent to +12125550188.")
    assert builder.studio.world.sent_to("+12125550188") == [("twilio", "Hi Ana")]


def test_below_a_preview_taller_than_the_window_the_test_is_within_reach_of_the_mouse(page: Page, builder: Builder):
    home = builder.begin(full(builder))
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(f"{home}/journey?shown=all")
    expect(page.locator("#preview .phone")).to_have_count(3)
    page.get_by_text("Send a test to me").click()
    expect(page.get_by_label("Your number")).to_be_visible()


def test_a_campaign_is_scheduled_over_a_change_of_clocks_taken_back_and_launched(page: Page, builder: Builder):
    home = builder.begin(says(builder, "Hi {{name}}, this is it"))
    page.goto(f"{home}/journey")
    shown = page.locator("#preview .bubble").inner_text()
    page.get_by_role("button", name="Review and launch").click()
    expect(page.locator("#estimate")).to_contain_text("Segments at the launch", timeout=60_000)
    page.get_by_label("At this time:").check()
    page.get_by_label("Date").fill("2027-03-14")
    page.locator("#time").fill("02:30")
    page.locator("#zone").fill("America/New_York")
    expect(page.locator("#start-note")).to_contain_text("this time does not exist: it starts at 03:00")
    expect(page.locator("#start-words")).to_contain_text("that is 14 Mar 2027, 07:00 (UTC)")
    page.get_by_role("button", name="Launch campaign").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("to 3 people?")
    expect(dialog).to_contain_text("14 Mar 2027, 03:00 (America/New_York)")
    expect(dialog.get_by_role("button", name="Not yet")).to_be_focused()
    dialog.get_by_role("button", name="Schedule campaign").click()
    expect(page.locator("#head")).to_contain_text("Scheduled")
    page.get_by_role("button", name="Back to draft").click()
    page.get_by_label("As soon as I launch it").check()
    expect(page.locator("#start-words")).to_have_text("at once")
    page.get_by_role("button", name="Launch campaign").click()
    page.get_by_role("dialog").get_by_role("button", name="Launch campaign").click()
    expect(page).to_have_url(re.compile(f"{home}$"))
    builder.do(builder.studio.world.play(minutes=1))
    expect(page.locator("#tiles")).to_contain_text("Sent to 2 of 3 people")
    assert builder.studio.world.sent_to("+12125550101")[-1] == ("twilio", shown)


def test_everything_works_without_script(browser: Browser, builder: Builder):
    home = builder.begin(says(builder, "Hi {{name}}, no script"))
    context = signed_in(browser, builder, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{home}/journey")
    page.get_by_role("button", name="Next person").click()
    expect(page.locator("#preview")).to_contain_text("Hi Bruno")
    page.get_by_role("button", name="Review and launch").click()
    page.get_by_role("button", name="Launch campaign").click()
    page.get_by_role("dialog").get_by_role("button", name="Launch campaign").click()
    expect(page.locator("#head")).to_contain_text("Scheduled")
    context.close()


SCREENS = ("messages", "empty messages", "gaps", "timeline", "review", "empty review", "confirm", "delete")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("screen", SCREENS)
def test_everybody_can_build_and_nothing_is_cut_off(page: Page, builder: Builder, faults: Faults, screen, width, theme):
    faults.allowed.append("422")
    looks(page.context, page, builder.url, width, theme)
    empty = screen in ("empty messages", "empty review", "gaps")
    home = builder.begin(None if empty else says(builder, "Hi {{name}}") if screen == "confirm" else full(builder))
    path = {
        "review": "review",
        "empty review": "review",
        "confirm": "review",
        "delete": "delete",
        "timeline": "journey?shown=all",
    }
    page.goto(f"{home}/{path.get(screen, 'journey')}")
    if screen in ("gaps", "confirm"):
        page.locator("button[value=continue], button[value=launch]").click()
    if screen in ("review", "confirm"):
        expect(page.locator("#estimate .facts")).to_be_visible(timeout=60_000)
    if screen == "messages":
        page.locator(".test-box summary").click()
        page.locator("#s2-text").press_sequentially(" {")
        expect(page.get_by_role("listbox")).to_be_visible()
    # What the bar at the foot covers just now can be scrolled from under it: which field that is depends on the height alone.
    page.evaluate("for (const bar of document.querySelectorAll('.wizard-foot')) bar.style.position = 'static'")
    assert flaws(page) == []


def test_what_could_not_be_saved_is_said_and_saved_later(browser: Browser, builder: Builder):
    home = builder.begin(says(builder, "Hi {{name}}"))
    context = signed_in(browser, builder)
    page = context.new_page()
    page.goto(f"{home}/journey")
    context.set_offline(True)
    page.get_by_label("Message", exact=True).fill("Hi {{name}}, typed in the tunnel")
    expect(page.locator("[data-unsaved=lost]")).to_be_visible()
    expect(page.locator("#saved")).to_be_hidden()
    context.set_offline(False)
    expect(page.locator("[data-unsaved=lost]")).to_be_hidden()
    saved(page)
    assert kept(builder).steps[0].text == "Hi {{name}}, typed in the tunnel"
    context.clear_cookies(name=COOKIE)
    page.get_by_label("Message", exact=True).fill("Hi {{name}}, signed out")
    expect(page.locator("[data-unsaved=out]")).to_be_visible()
    context.add_cookies([{"name": COOKIE, "value": "session-of-ana", "url": builder.url}])
    expect(page.locator("[data-unsaved=out]")).to_be_hidden()
    assert kept(builder).steps[0].text == "Hi {{name}}, signed out"
    context.close()
