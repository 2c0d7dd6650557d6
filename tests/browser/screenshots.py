"""`make screenshots`: the pictures of the README, made from the real pages over the vendors' stand-ins."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from builder import Builder
from conftest import FLAGS, chromium

from campana.core.draft import Draft, DraftStep
from campana.web.access import COOKIE

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WHO = (("Ana", "gold", "Lima"), ("Bruno", "basic", "São Paulo"), ("Carla", "gold", "Quito"), ("Diego", "basic", "Bogotá"))
PEOPLE = [
    {"name": name, "phone": f"+1212555{at:04d}", "plan": plan, "city": city}
    for at, (name, plan, city) in enumerate(WHO * 60, 101)
]


def reminder(senders: dict[str, str]) -> Draft:
    """A template, an SMS for whom it does not reach, and another for whoever does not answer."""
    values = {"first_name": "{{name}}", "appointment_date": "Monday in {{city}}"}
    return Draft(
        steps=(
            DraftStep(key="s1", kind="primary", sender=senders["wa"], template="visit_reminder", language="en_US", values=values),
            DraftStep(key="s2", kind="fallback", sender=senders["sms"], text="Hi {{name}}, we expect you on Monday in {{city}}."),
            DraftStep(
                key="s3", kind="follow_up", sender=senders["sms"], text="{{name}}, will you come? Reply YES or STOP.", after=2
            ),
        )
    )


def main() -> None:
    """Draws each page into docs/images."""
    with Builder() as builder, sync_playwright() as playwright:
        home = builder.begin(reminder(builder.studio.senders), PEOPLE, "Visit reminders")
        browser = playwright.chromium.launch(executable_path=chromium(playwright), args=list(FLAGS))
        context = browser.new_context(base_url=builder.url, viewport={"width": 1280, "height": 860}, device_scale_factor=1)
        context.add_cookies([{"name": COOKIE, "value": "session-of-ana", "url": builder.url}])
        page = context.new_page()
        for name, path in (("audience", f"{home}/setup"), ("journey", f"{home}/journey"), ("review", f"{home}/review")):
            page.goto(path)
            page.wait_for_load_state("networkidle")
            page.get_by_text("is being counted").wait_for(state="hidden", timeout=60_000)
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
