"""The campaign list: its filters and orders, what can be done to many campaigns, and the bar above every page."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from campana.core.access import Role
from campana.core.ids import derived_id
from campana.store import audit, workspaces
from campana.web.console.campaign_filters import Wanted, show
from campana.web.console.campaigns import May
from tests.web.doorstep import House, worlds

HOUR = 60 * worlds.MINUTE
ME, OTHER = derived_id("me"), derived_id("other")


def names(lines: list[Any], **wanted: Any) -> list[str]:
    return [line.name for line in show(lines, Wanted(**wanted)).lines]


LINES = [
    worlds.line("beta", "sending", started_at=worlds.NINE, sent=10, delivered=9, failed=2, owner_id=ME, finished_at=None),
    worlds.line("Alpha", "sent", started_at=worlds.NINE + 24 * HOUR, sent=1000, delivered=100, failed=0, channels=("smtp",)),
    worlds.line("gamma", "draft", started_at=None, starts_at=None, sent=0, delivered=0, failed=0, owner_id=OTHER),
    worlds.line("Old", "ended", archived_at=worlds.NINE, owner_id=ME),
]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", "beta Alpha gamma"),
        ("name", "Alpha beta gamma"),
        ("-name", "gamma beta Alpha"),
        ("status", "gamma beta Alpha"),
        ("-status", "Alpha beta gamma"),
        ("started", "beta Alpha gamma"),
        ("-started", "Alpha beta gamma"),
        ("sent", "beta Alpha gamma"),
        ("-sent", "Alpha beta gamma"),
        ("delivered", "Alpha beta gamma"),
        ("-delivered", "beta Alpha gamma"),
        ("failed", "Alpha beta gamma"),
        ("-failed", "beta Alpha gamma"),
    ],
)
def test_a_column_is_an_order_and_what_has_no_figure_comes_last(sort: str, expected: str) -> None:
    assert names(LINES, sort=sort) == expected.split()


def test_equal_ones_stay_the_newest_first_whichever_way() -> None:
    lines = [worlds.line(name) for name in ("Newest", "Middle", "Oldest")]
    assert names(lines, sort="sent") == names(lines, sort="-sent") == ["Newest", "Middle", "Oldest"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"channel": "smtp"}, ["Alpha"]),
        ({"channel": "telex"}, []),
        ({"owner": "me", "reader": ME}, ["beta"]),
        ({"owner": "me", "reader": ME, "status": "archived"}, ["Old"]),
        ({"first": date(2026, 12, 2)}, ["Alpha"]),
        ({"last": date(2026, 12, 1)}, ["beta"]),
        ({"first": date(2026, 12, 1), "last": date(2026, 12, 2)}, ["beta", "Alpha"]),
        ({"last": date(2026, 11, 30), "zone": "Pacific/Pago_Pago"}, ["beta"]),  # where 09:30 is the evening before
        ({"status": "archived"}, ["Old"]),
        ({"status": "ended"}, []),
    ],
)
def test_a_filter_takes(wanted: dict[str, Any], expected: list[str]) -> None:
    assert names(LINES, **wanted) == expected


def test_a_chip_counts_what_it_would_show() -> None:
    shown = show(LINES, Wanted(reader=ME))
    assert dict(shown.statuses) == {"draft": 1, "sending": 1, "sent": 1, "archived": 1}
    assert dict(shown.channels) == {"whatsapp": 2, "twilio_sms": 2, "smtp": 1}
    assert shown.mine == 1
    assert show(LINES[:1], Wanted(reader=ME)).mine is None, "there is nobody else's"
    assert show(LINES, Wanted(channel="smtp")).total == dict(show(LINES, Wanted(channel="whatsapp")).channels)["smtp"] == 1


def asked(**query: str) -> Any:
    visitor = SimpleNamespace(user_id=ME, zone="UTC")
    return SimpleNamespace(query_params=query, user=visitor)


def test_an_address_says_it_all_and_nonsense_filters_nothing() -> None:
    said = {"status": "paused", "channel": "smtp", "tag": "são paulo", "owner": "me", "q": "a&b", "sort": "-sent", "page": "3"}
    wanted = Wanted.read(asked(**said, **{"from": "2026-12-01", "to": "2026-12-31"}))
    assert dict(wanted.fields()) == said | {"from": "2026-12-01", "to": "2026-12-31"}
    assert "page" not in dict(wanted.fields("page"))
    assert "page=3" in wanted.here
    assert "page" not in wanted.url(tag="")
    turned = Wanted.read(asked(**{"from": "2026-12-31", "to": "2026-12-01"}))
    assert (turned.first, turned.last) == (date(2026, 12, 1), date(2026, 12, 31))
    odd = {"status": "x", "owner": "them", "from": "9999-99-99", "to": "0001-01-01", "sort": "weight", "page": "-1"}
    assert not Wanted.read(asked(**odd))
    assert Wanted.read(asked(**odd)).here == "/campaigns"


def test_a_head_turns_its_order_round() -> None:
    wanted = Wanted()
    assert wanted.sorted_by("sent") == "/campaigns?sort=-sent"
    assert Wanted(sort="-sent").sorted_by("sent") == "/campaigns?sort=sent"
    assert Wanted(sort="sent").sorted_by("sent") == "/campaigns?sort=-sent"
    assert wanted.sorted_by("name") == "/campaigns?sort=name"
    assert (Wanted(sort="-sent").sorting("sent"), Wanted(sort="sent").sorting("name")) == ("descending", "")


@pytest.mark.parametrize(
    ("status", "operator", "editor"),
    [
        ("draft", "", "edit review duplicate delete"),
        ("scheduled", "pause finish csv", "pause finish unschedule duplicate csv"),
        ("sending", "pause finish csv", "pause finish duplicate csv"),
        ("paused", "resume finish csv", "resume finish duplicate csv"),
        ("sent", "csv", "duplicate csv archive"),
        ("ended", "csv", "duplicate csv archive"),
        ("failed_to_start", "csv", "duplicate csv archive"),
    ],
)
def test_what_can_be_done_follows_from_status_and_role(status: str, operator: str, editor: str) -> None:
    line = worlds.line("Visits", status, started_at=None if status in ("draft", "scheduled") else worlds.NINE)
    assert May().can(line) == ()
    assert May(operate=True).can(line) == tuple(operator.split())
    assert May(operate=True, edit=True).can(line) == tuple(editor.split())
    put_away = replace(line, archived_at=worlds.NOW)
    assert ("restore" in May(True, True).can(put_away)) == ("archive" in editor)


def chosen(house: House, *at: int) -> list[str]:
    return [house.world.lines[each].campaign_id.hex() for each in at]


async def press(browser: Any, deed: str, ids: list[str], **more: str) -> Any:
    return await browser.post(f"/campaigns/many/{deed}", campaign=ids, **more)


def text_of(answer: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def test_many_are_paused_and_each_is_noted(house: House) -> None:
    browser = house.browser(Role.OPERATOR)
    answer = await press(browser, "pause", chosen(house, 0, 2), back="/campaigns?tag=december&sort=-sent")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/campaigns?tag=december&sort=-sent&did=pause&n=2"
    assert "2 campaigns were paused." in text_of(await browser.get(answer.headers["location"]))
    assert [name for name, _ in house.world.pressed] == ["pause", "pause"]
    noted = [(entry.what, entry.about, entry.who) for entry in await house.run(audit.entries, worlds.WORKSPACE)]
    assert sorted(noted[:2]) == [
        ("campaign.paused", name, "operator@example.com") for name in ("Renewal offer", "Visit reminders")
    ]


async def test_what_could_not_be_done_is_told_of_each_with_its_reason(house: House) -> None:
    browser = house.browser(Role.OWNER)
    answer = await press(browser, "pause", [*chosen(house, 0, 1, 3, 4), derived_id("nothing").hex(), "zz"])
    said = text_of(answer)
    assert answer.status_code == 200
    assert "1 campaign was paused. 4 campaigns were left as they were." in said
    for words in ("It is paused already.", "It is a draft: nothing of it is being sent.", "It is over: nothing of it",
                  "It is not in this workspace any more."):  # fmt: skip
        assert words in said
    said = text_of(await press(browser, "resume", chosen(house, 2, 3, 4)))
    assert "It is not paused." in said
    assert "Launch it from its review." in said
    assert "Duplicate it to send it again." in said
    said = text_of(await press(browser, "archive", chosen(house, 1, 3)))
    assert "Wait for its end, or finish it first." in said
    assert "A draft that is not needed is deleted." in said


async def test_what_is_put_away_leaves_the_list_and_comes_back(house: House) -> None:
    browser = house.browser(Role.EDITOR)
    answer = await press(browser, "archive", chosen(house, 4, 5))
    assert answer.headers["location"] == "/campaigns?did=archive&n=2"
    page = await browser.get("/campaigns")
    assert "Recall of lot 17" not in page.text
    assert "Recall of lot 17" in (await browser.get("/campaigns?status=archived")).text
    assert 'data-deed="restore"' not in page.text
    await press(browser, "restore", chosen(house, 4, 5))
    assert "Recall of lot 17" in (await browser.get("/campaigns")).text


async def test_a_stop_is_the_reason_why_nothing_goes_on(house: House) -> None:
    house.world.lines = [worlds.line("Held", "paused")]
    house.world.refusal = worlds.Refused("Only a paused campaign can go on.")
    await house.run(workspaces.stop, worlds.WORKSPACE, "Olga", worlds.NOW)
    said = text_of(await press(house.browser(Role.OWNER), "resume", chosen(house, 0)))
    assert "Everything is stopped. Lift the emergency stop first." in said


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/campaigns", "/settings", "/campaigns/new", ""])
async def test_a_form_leads_back_to_the_list_and_nowhere_else(house: House, back: str) -> None:
    answer = await press(house.browser(Role.OWNER), "pause", chosen(house, 0), back=back)
    assert answer.headers["location"] == "/campaigns?did=pause&n=1"


async def test_nothing_selected_says_so(house: House) -> None:
    browser = house.browser(Role.OWNER)
    answer = await press(browser, "pause", [])
    assert "No campaign is selected." in text_of(await browser.get(answer.headers["location"]))


async def test_roles_see_what_they_may_do(house: House) -> None:
    viewer, operator = house.browser(Role.VIEWER), house.browser(Role.OPERATOR)
    page = (await viewer.get("/campaigns")).text
    assert "data-bulk" not in page
    assert "popover" not in page
    assert 'type="checkbox"' not in page
    assert (await press(viewer, "pause", chosen(house, 0))).status_code == 403
    page = (await operator.get("/campaigns")).text
    assert "/campaigns/many/pause" in page
    assert "/campaigns/many/archive" not in page
    assert (await press(operator, "archive", chosen(house, 4))).status_code == 403
    assert house.world.pressed == []


async def test_another_workspace_touches_nothing(house: House) -> None:
    said = text_of(await press(house.browser(worlds.STRANGER), "pause", chosen(house, 0)))
    assert "It is not in this workspace any more." in said
    assert "Visit reminders" not in said
    assert house.world.pressed == []


async def test_an_empty_list_does_not_hide_the_archive(house: House) -> None:
    house.world.lines = [worlds.line("Old", "sent", archived_at=worlds.NOW)]
    page = (await house.browser(Role.OWNER).get("/campaigns")).text
    assert "All campaigns are in the archive." in page
    assert "/campaigns?status=archived" in page


async def test_the_bar_says_what_is_being_sent(house: House) -> None:
    browser, home = house.browser(Role.VIEWER), f"/campaigns/{chosen(house, 0)[0]}"
    answer = await browser.get("/bar")
    assert "1 sending · 5,210 of 12,480" in text_of(answer)
    assert f'href="{home}"' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    house.world.lines[1] = replace(house.world.lines[1], status="sending")
    answer = await browser.get("/bar?lang=pt_BR")
    assert "45.322 de 110.690" in text_of(answer)
    assert 'href="/campaigns?status=sending"' in answer.text
    house.world.lines.clear()
    assert text_of(await browser.get("/bar")) == ""
    assert text_of(await house.browser(worlds.STRANGER).get("/bar")) == ""


async def test_every_page_says_that_everything_is_stopped(house: House) -> None:
    browser = house.browser(Role.VIEWER)
    assert "Everything is stopped" not in (await browser.get("/account")).text
    await house.run(workspaces.stop, worlds.WORKSPACE, "Olga <b>", worlds.NOW)
    for path in ("/account", "/campaigns", "/bar", "/nowhere"):
        answer = await browser.get(path)
        assert "Everything is stopped since 1 Dec 2026, 10:15 by Olga <b>. Nothing goes out." in text_of(answer), path
        assert 'href="/stop"' in answer.text
    assert "Everything is stopped" not in (await house.browser(worlds.STRANGER).get("/account")).text
    await house.run(workspaces.lift_stop, worlds.WORKSPACE)
    assert "Everything is stopped" not in (await browser.get("/bar")).text
