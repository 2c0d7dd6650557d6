"""Reports in a real browser: the main task by keyboard, saved views, the form of mails, and every screen for everybody."""

from __future__ import annotations

import re

import pytest
from looks import flaws, looks
from playwright.sync_api import Page, expect

from campana.core.ids import new_id
from campana.core.periods import Every
from campana.store import campaigns, counters, report_mails, saved_views

pytestmark = pytest.mark.browser

MINUTE = 60_000_000
DAY = 1440 * MINUTE
LONG = "Lembretes de visita técnica de dezembro para clientes de fibra em São Paulo e região metropolitana"


def fill(world, count: int = 12) -> None:
    """Campaigns of the last days and of the month before, a view, and mails in every state."""
    now = world.console().clock.now()
    with world.db.engine.begin() as c:
        workspace = world.console().workspace_id
        for number in range(count):
            name = LONG if number == 1 else f"Campaign {number}"
            started = now - (1 + 3 * number) * DAY
            campaign_id = campaigns.create(c, workspace, name, "one_time", "{}", ["december"], now)
            run_id, people = new_id(now), 12_480 + 100 * number
            row = {"id": run_id, "workspace_id": workspace, "campaign_id": campaign_id, "status": "sent", "columns": "[]"}
            row |= {"plan": '{"steps":[{"channel":"whatsapp"},{"channel":"twilio_sms"}]}', "offered": people}
            campaigns.add_run(c, {**row, "starts_at": started, "started_at": started, "created_at": started})
            tally = counters.Tally()
            shares = {"outcome:replied": 0.2, "outcome:delivered": 0.6 - number / 90, "outcome:unreached": 0.1}
            shares |= {"people:sent": 0.97, "people:delivered": 0.8 + number / 90, "people:read": 0.5, "step:0:sent": 0.97}
            shares |= {"step:0:delivered": 0.7, "step:0:failed": 0.2, "step:1:sent": 0.2, "step:1:delivered": 0.1}
            shares |= {"fail:whatsapp:131026": 0.15, "fail:whatsapp:131049": 0.05, "fail:twilio_sms:30005": 0.1}
            shares |= {f"minute:{started // MINUTE + 60 * hour}": 0.1 for hour in range(12)}
            for key, part in shares.items():
                tally.add(run_id, key, int(people * part))
            tally.write(c)
        saved_views.add(c, workspace, "reports", "Dezembro, tudo", "period=30&tag=december", None, now)
        facts = {"query": "tag=december", "every": Every.WEEK, "at": "08:00", "zone": "America/Sao_Paulo", "language": "pt_BR"}
        for number, name in enumerate(("Relatório da semana", LONG, "Recusado")):
            mail_id = report_mails.add(
                c, workspace, None, now, name=name, addresses=[f"uma.pessoa.{number}@uma-empresa-de-exemplo.example.com"] * 2,
                next_at=now - MINUTE, **facts,
            )  # fmt: skip
            mail = report_mails.claim(c, new_id(now), now, 1)
            found = report_mails.get(c, workspace, mail_id)
            assert mail is not None
            assert found is not None
            trouble = report_mails.Trouble(report_mails.REFUSED, now, "The mail server said 451.")
            if number == 1:
                report_mails.give_up(c, found, found.token or b"", now, now)
                report_mails.pause(c, found)
            if number == 2:
                report_mails.not_taken(c, found, found.token or b"", now, trouble, MINUTE)


def test_a_period_is_chosen_sorted_saved_and_opened_again(page: Page, world):
    fill(world)
    page.goto("/campaigns")
    page.get_by_role("link", name="Reports").click()
    expect(page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()
    expect(page.get_by_text("2 Nov 2026 to 1 Dec 2026")).to_be_visible()
    page.get_by_label("Period").select_option("last")
    page.get_by_label("Tag").select_option("december")
    page.get_by_label("Tag").press("Enter")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile(r"/reports\?period=last&tag=december$"))
    page.get_by_role("link", name="Replied").click()
    expect(page.get_by_role("columnheader", name="Replied")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("link", name="Save this view").click()
    page.get_by_label("Name", exact=True).fill("November by replies")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/reports\?period=last&tag=december&sort=replied$"))
    page.goto("/reports")
    page.get_by_role("link", name="November by replies").click()
    expect(page.get_by_label("Period")).to_have_value("last")
    page.get_by_label("From").fill("2026-10-20")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_label("Period")).to_have_value("own")
    expect(page.get_by_label("From")).to_have_value("2026-10-20")


def test_a_report_is_printed_by_one_press_without_what_nobody_reads_on_paper(page: Page, world):
    fill(world)
    page.add_init_script("window.print = () => { document.title = 'printed'; }")
    page.goto("/reports")
    page.get_by_role("button", name="Print").click()
    expect(page).to_have_title("printed")
    page.emulate_media(media="print")
    for hidden in (page.get_by_label("Period"), page.get_by_role("button", name="Print"), page.locator(".console-nav")):
        expect(hidden).to_be_hidden()
    expect(page.get_by_role("heading", name="Outcome of each person")).to_be_visible()


def test_a_mail_is_scheduled_after_a_mistake_and_nothing_typed_is_lost(page: Page, world, faults):
    faults.allowed.append("422")
    fill(world)
    page.goto("/reports?tag=december")
    page.get_by_role("link", name="Send by e-mail").click()
    expect(page.get_by_text("CAMPANA_SMTP_URL")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Every morning")
    page.get_by_label("Every day").check()
    page.get_by_label("Addresses").fill("ana@example.com\nbruno")
    page.get_by_role("button", name="Send it from now on").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Every morning")
    expect(page.get_by_label("Every day")).to_be_checked()
    page.get_by_label("Addresses").fill("ana@example.com")
    page.get_by_role("button", name="Send it from now on").click()
    row = page.get_by_role("row", name="Every morning")
    expect(row).to_contain_text("Tag: december")
    row.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Addresses")).to_have_value("ana@example.com")
    page.get_by_label("Name", exact=True).fill("Every morning at eight")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(row).to_contain_text("Every morning at eight")
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("Paused")
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


SCREENS = {
    "report": "/reports?period=30",
    "nothing": "/reports?period=today",
    "wrong days": "/reports?period=own&from=2026-02-30&to=2026-03-01",
    "views": "/views?page=reports&query=period%3D7",
    "mails": "/reports/mails?tag=december&channel=whatsapp",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("screen", SCREENS)
def test_everybody_can_use_it_and_nothing_is_cut_off(page: Page, context, served, world, screen, width, theme):
    fill(world)
    looks(context, page, served.url, width, theme)
    page.goto(SCREENS[screen])
    assert flaws(page) == []
