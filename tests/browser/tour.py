"""`make screenshots`: the pictures of docs/tour.md, from a walk through the real program with clumsy input.

The console, the database and the wheels are those of `campana serve`; only the vendors are stand-ins, and time runs faster.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from conftest import FLAGS, chromium

from campana.standin.config import Receipts, demo_config
from campana.standin.faults import Faults, Reply, Rule

IMAGES = Path(__file__).parents[2] / "docs" / "images" / "tour"
CAMPANA = str(Path(sys.executable).with_name("campana"))
WAIT = 60_000
SIZE: ViewportSize = {"width": 1280, "height": 860}
FAST = 1440  # a day of a journey passes in a minute
KNOWN = demo_config()
CLUMSY = """name;phone;plan;date
Ana;+12125550101;gold;Monday
Bruno;212 555 0102;basic;Monday
Carla;;gold;Tuesday
Diego;+12125550101;basic;Tuesday
Elena;=HYPERLINK("http://x.example");gold;Tuesday
Fábio;1.25501E+11;basic;Wednesday
"""
NAMES = ("Gabriela", "Hugo", "Inês", "João", "Karina", "Luis", "Marcos", "Nádia", "Otto", "Paula")
PEOPLE = CLUMSY + "".join(f"{NAMES[at % 10]};+12125550{at};basic;Friday\n" for at in range(110, 159))
TROUBLE = Faults(
    rules=(
        Rule(vendor="whatsapp", suffix="7", code=131026),  # five people have no WhatsApp
        Rule(vendor="twilio", suffix="17", code=30005),  # and one of them no phone either
    ),
    people=(Reply(suffix="3", text="Yes, see you then", after=(1, 4)), Reply(suffix="58", text="STOP", after=(1, 3))),
)


@contextmanager
def process(*command: str, **settings: str) -> Iterator[Iterator[str]]:
    """A program of ours; yields the lines it writes."""
    run = subprocess.Popen(
        [*command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **settings},
    )
    assert run.stdout is not None
    try:
        yield iter(run.stdout)
    finally:
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=30)


def found(lines: Iterator[str], pattern: str) -> str:
    """The first thing written that looks so."""
    for line in lines:
        if seen := re.search(pattern, line):
            return seen[0]
    raise AssertionError(f"the program ended before it wrote {pattern}")


class Tour:
    """One walk: a visitor's page, where the vendors are, and the pictures taken on the way."""

    def __init__(self, page: Page, vendors: str, welcome: str) -> None:
        self.page, self.vendors, self.welcome = page, vendors, welcome
        self.home = ""

    def shot(self, name: str, top: str = "") -> None:
        """A picture of the window as it is, or from some place of the page on."""
        page = self.page
        page.mouse.move(0, 0)
        page.evaluate("scrollTo(0, 0)")
        if top:
            page.locator(top).first.evaluate("element => element.scrollIntoView({block: 'start', behavior: 'instant'})")
        page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def sign_in(self) -> None:
        """The link that the server printed makes the first account."""
        page = self.page
        page.goto(self.welcome)
        page.get_by_label("Your name").fill("Marta Reis")
        page.get_by_label("E-mail address").fill("marta@example.com")
        page.get_by_label("Password").fill("two brown horses")
        self.press("Create the account")
        expect(page.get_by_role("heading", name="No campaigns yet.")).to_be_visible()

    def connect(self) -> None:
        """WhatsApp with a wrong token first, then SMS; a sender for each."""
        page, meta, twilio = self.page, KNOWN.whatsapp, KNOWN.twilio
        page.goto("/integrations/connect/whatsapp")
        page.get_by_label("Name", exact=True).fill("Clinic WhatsApp")
        page.get_by_label("Access token", exact=True).fill("wrong-token")
        page.get_by_label("App secret", exact=True).fill(meta.app_secret)
        page.get_by_label("Business Account id", exact=True).fill(meta.waba_id)
        page.get_by_text("More settings").click()
        page.get_by_label("Verify token", exact=True).fill(meta.verify_token)
        page.get_by_label("Address of the API", exact=True).fill(self.vendors)
        self.press("Check and connect")
        expect(page.get_by_role("alert")).to_be_visible()
        self.shot("connect-refused")
        page.get_by_label("Access token", exact=True).fill(meta.token)
        self.press("Check and connect")
        expect(page.get_by_role("status")).to_contain_text("Connected.")
        self._tell_meta(page.get_by_label("Address", exact=True).input_value())
        self._sender("clinic-whatsapp", next(iter(meta.phone_numbers)))

        page.goto("/integrations/connect/twilio_sms")
        page.get_by_label("Name", exact=True).fill("Clinic SMS")
        page.get_by_label("Account SID", exact=True).fill(twilio.account_sid)
        page.get_by_label("Auth token", exact=True).fill(twilio.auth_token)
        page.get_by_text("More settings").click()
        page.get_by_label("Address of the API", exact=True).fill(self.vendors)
        self.press("Check and connect")
        expect(page.get_by_role("status")).to_contain_text("Connected.")
        self._sender("clinic-sms", "1 501 712 2661", pace="10")

    def _sender(self, name: str, address: str, pace: str = "") -> None:
        page = self.page
        page.get_by_role("link", name="Add sender").click()
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Address", exact=True).fill(address)
        if pace:
            page.get_by_label("Pace: how many a second").fill(pace)
        self.press("Add sender")
        expect(page.get_by_role("status")).to_contain_text("The sender is added.")

    def _tell_meta(self, hook: str) -> None:
        """What one does at Meta: enters the webhook's address."""
        account = KNOWN.whatsapp
        answer = httpx.post(
            f"{self.vendors}/v23.0/{account.waba_id}/subscribed_apps",
            headers={"Authorization": f"Bearer {account.token}"},
            json={"override_callback_uri": hook, "verify_token": account.verify_token},
        )
        answer.raise_for_status()

    def choose_people(self) -> None:
        """A file with the wrong separator and six sorts of bad rows, mended in the page."""
        page = self.page
        page.goto("/campaigns")
        page.get_by_role("button", name="Create campaign").or_(page.get_by_role("link", name="Create campaign")).click()
        page.wait_for_url("**/setup")
        self.home = page.url.removesuffix("/setup")
        page.get_by_label("Name of the campaign").fill("Visit reminders")
        page.locator("#file").set_input_files({"name": "people.csv", "mimeType": "text/csv", "buffer": PEOPLE.encode()})
        self.press("Upload")
        page.wait_for_url("**/audience")
        expect(page.get_by_role("link", name="Only problems 5")).to_be_visible(timeout=WAIT)
        self.shot("audience")
        page.get_by_role("link", name="Only problems 5").click()
        for row, number in ((2, "+1 212 555 0102"), (4, "+12125550104"), (5, "+12125550105"), (6, "+12125550106")):
            page.get_by_label(f"phone of row {row}").fill(number)
            page.get_by_label(f"phone of row {row}").press("Enter")
            expect(page.get_by_text(f"Row {row} is mended.")).to_be_attached()
        page.get_by_role("button", name="Drop row 3").click()
        expect(page.get_by_role("heading", name="Nothing to mend.")).to_be_visible()

    def write_messages(self) -> None:
        """A template, an SMS that names a column which is not there, a follow-up; a test to a number that is none."""
        page = self.page
        page.goto(f"{self.home}/journey")
        page.get_by_label("Send with").select_option(label="WhatsApp: clinic-whatsapp")
        page.get_by_label("Approved template").select_option(label="visit_reminder (en_US)")
        page.get_by_label("{{first_name}}", exact=True).select_option("name")
        page.get_by_label("{{appointment_date}}", exact=True).select_option("date")
        expect(page.locator("#preview")).to_contain_text("Hi Ana, we expect you on Monday.")
        self._step("Add a fallback", "Fallback", "Hi {{nombre}}, we expect you on {{date}}. Reply YES or STOP.")
        self.press("Review and launch")
        expect(page.get_by_role("alert")).to_contain_text("The audience has no column")
        fallback = page.get_by_role("region", name="Fallback")
        fallback.get_by_label("Message", exact=True).fill("Hi {{name}}, we expect you on {{date}}. Reply YES or STOP.")
        self._step("Add a follow-up", "Follow-up", "{{name}}, will you come on {{date}}? Reply YES or NO.")
        self.press("Timeline")
        expect(page.locator("#preview")).to_contain_text("Ana, will you come on Monday?")
        self.shot("messages", top=".stages")
        page.get_by_text("Send a test to me").click()
        for number, answer in (("12", "Write the number with its country code"), ("+12125550199", "Sent to +12125550199.")):
            page.get_by_label("Your number").fill(number)
            self.press("Send test")
            expect(page.locator("#test-result")).to_contain_text(answer)

    def _step(self, button: str, name: str, text: str) -> None:
        self.press(button)
        step = self.page.get_by_role("region", name=name)
        step.get_by_label("Send with").select_option(label="Twilio SMS: clinic-sms")
        step.get_by_label("Message", exact=True).fill(text)
        expect(step).to_contain_text("For this person:")

    def launch(self) -> None:
        """To ten people first, watched for as long as it takes here: two hours are five seconds."""
        page = self.page
        self.press("Review and launch")
        page.wait_for_url("**/review")
        page.get_by_label(re.compile("Send to some people first")).check()
        for label, value in (
            ("How many", "10"),
            ("Watched for", "2"),
            ("Messages that failed", "15"),
            ("People who opted out", "5"),
        ):
            page.get_by_label(label, exact=True).fill(value)
        page.get_by_label("Unit", exact=True).select_option(label="hours")
        expect(page.get_by_text("first to 10 people; after 2 hours")).to_be_visible()
        expect(page.locator("#estimate .facts")).to_be_visible(timeout=WAIT)
        self.shot("review", top="text=Sending carefully")
        self.press("Launch campaign")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("to 54 people?")
        dialog.get_by_role("button", name="Launch campaign").click()
        page.wait_for_url(self.home)
        expect(page.locator("main")).to_contain_text("Watched until", timeout=WAIT)
        self.shot("first-ten")

    def watch(self) -> None:
        """Everybody, on a computer and on a phone in Portuguese; then who they are, and what befell one of them."""
        page = self.page
        expect(page.locator("main")).to_contain_text("Sent to 54 of 54 people", timeout=WAIT)
        self._until("131026")
        self.shot("progress")
        page.goto(f"{self.home}/people?q=%2B12125550117")
        page.get_by_role("link", name="Nádia").first.click()
        self._until("30005")
        self.shot("timeline")

    def _until(self, words: str) -> None:
        """Looks again until the page says so."""
        last = time.monotonic() + WAIT / 1000
        while words not in self.page.locator("main").inner_text():
            assert time.monotonic() < last, f"{words!r} never came"
            self.page.wait_for_timeout(500)
            self.page.reload()

    def in_portuguese(self) -> None:
        """Why a message failed, and the same campaign on a phone."""
        page = self.page
        page.goto(f"{self.home}/messages?code=131026&lang=pt_BR")
        expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
        page.goto(page.locator("main tbody a").first.get_attribute("href") or "")
        expect(page.locator("main")).to_contain_text("131026")
        self.shot("advice")
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(self.home)
        self.shot("phone")
        page.set_viewport_size(SIZE)
        page.goto(f"{self.home}?lang=en")
        expect(page.locator("html")).to_have_attribute("lang", "en")

    def account(self) -> None:
        """The end: whoever was missed, the report, and the stop of everything."""
        page = self.page
        page.goto(f"{self.home}/missed")
        self._until("Unreached 1")
        self.shot("missed")
        page.goto("/reports")
        expect(page.get_by_role("heading", name="Reports")).to_be_visible()
        self.shot("report")
        page.goto("/stop")
        self.press("Stop everything now")
        expect(page.get_by_role("status").filter(has_text="Everything is stopped since")).to_be_visible()
        self.shot("stop")


def main() -> None:
    """Walks from the sign-in to the report, and draws what is seen into docs/images/tour."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="campana-tour-") as folder, sync_playwright() as playwright:
        known = demo_config(time_scale=4, faults=TROUBLE)
        quick = known.whatsapp.model_copy(update={"receipts": Receipts(read=(1, 4))})
        (Path(folder) / "standin.json").write_text(known.model_copy(update={"whatsapp": quick}).model_dump_json())
        settings = {
            "CAMPANA_DATABASE": f"sqlite:///{folder}/campana.db",
            "CAMPANA_DATA": folder,
            "CAMPANA_PORT": "0",
            "CAMPANA_TIME_SCALE": str(FAST),
        }
        standin = process(CAMPANA, "standin", "--config", f"{folder}/standin.json", "--ledger", f"{folder}/ledger.jsonl")
        with standin as told, process(CAMPANA, "serve", **settings) as said:
            tour_of(playwright.chromium.launch(executable_path=chromium(playwright), args=list(FLAGS)), told, said)


def tour_of(browser: Browser, told: Iterator[str], said: Iterator[str]) -> None:
    """The chapters, in the order of the document."""
    vendors, welcome = found(told, r"http://\S+"), found(said, r"http://[\w.:]+/links/\w+")
    context = browser.new_context(base_url=welcome, viewport=SIZE)
    context.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    tour = Tour(context.new_page(), vendors, welcome)
    tour.sign_in()
    tour.connect()
    tour.choose_people()
    tour.write_messages()
    tour.launch()
    tour.watch()
    tour.in_portuguese()
    tour.account()
    browser.close()


if __name__ == "__main__":
    main()
