"""The page of reports, its file, saved views, and the form of reports by e-mail."""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import io
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from aiosmtpd.smtp import SMTP
from sqlalchemy import select, update

from campana.core.ids import new_id
from campana.core.periods import Every, next_due
from campana.mail import mailer
from campana.store import audit, campaigns, counters, report_mails, saved_views, schema
from campana.store.campaigns import add_run, create
from campana.store.report_mails import LETTERS_A_DAY
from campana.vault import Vault
from campana.web.app import create_app
from campana.web.console import i18n
from campana.web.console.report_mails import MOST_ADDRESSES, read
from campana.web.console.reports import Wanted
from campana.web.doors import Doors
from tests.web.forms import filled

_spec = importlib.util.spec_from_file_location("world", Path(__file__).parents[1] / "browser" / "world.py")
worlds: Any = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(worlds)  # type: ignore[union-attr]

DAY = 24 * 60 * worlds.MINUTE
PLAN = '{"steps":[{"channel":"whatsapp"},{"channel":"twilio_sms"}]}'


def some_campaigns(c: Any, count: int = 2) -> None:
    """Campaigns that started yesterday, and one the month before."""
    for number in range(count + 1):
        name, started = (f"=Offer {number}", worlds.NINE - DAY) if number < count else ("Earlier", worlds.NINE - 40 * DAY)
        campaign_id = create(c, worlds.WORKSPACE, name, "one_time", "{}", ["spring"] if number else [], worlds.NINE)
        run_id = new_id(worlds.NINE)
        row = {"id": run_id, "workspace_id": worlds.WORKSPACE, "campaign_id": campaign_id, "status": "sent", "plan": PLAN}
        times = {"starts_at": started, "started_at": started, "created_at": started}
        add_run(c, {**row, **times, "columns": "[]", "offered": 1500})
        tally = counters.Tally()
        for key, n in {"outcome:replied": 300, "outcome:delivered": 900, "outcome:unreached": 200, "outcome:unknown": 100,
                       "people:sent": 1500, "people:delivered": 1200, "people:read": 800, "step:0:sent": 1500,
                       "step:0:delivered": 1000, "step:0:failed": 400, "step:1:sent": 400, "step:1:delivered": 200,
                       "fail:whatsapp:131026": 400, f"minute:{started // worlds.MINUTE}": 1900}.items():  # fmt: skip
            tally.add(run_id, key, n)
        tally.write(c)


@pytest.fixture
def world() -> Any:
    world = worlds.World()
    yield world
    world.close()


def asking(world: Any, who: str = "editor") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(world.app(), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", cookies={worlds.COOKIE: worlds.token(who)})


@pytest.fixture
async def http(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    await world.db.run(some_campaigns)
    async with asking(world) as found:
        yield found


def text_of(html: str) -> str:
    """What is read on a page."""
    main = html[html.index("<main") :]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


async def test_a_period_shows_its_figures_beside_those_before(http: httpx.AsyncClient) -> None:
    said = text_of((await http.get("/reports")).text)
    assert "2 Nov 2026 to 1 Dec 2026 compared with 3 Oct 2026 to 1 Nov 2026" in said
    assert "3,000 in 2 starts of campaigns before: 1,500" in said
    assert "40.0%" not in said
    assert "80.0% 2,400 as before" in said
    assert "Replied 600 20.0% 20.0%" in said
    assert "at most 3,800" in said
    nothing = text_of((await http.get("/reports?period=today")).text)
    assert "No campaign started in this period." in nothing


async def test_what_changed_is_told_in_points(world: Any, http: httpx.AsyncClient) -> None:
    def fewer(c: Any) -> None:
        run_id = c.scalar(select(schema.run.c.id).where(schema.run.c.started_at < worlds.NINE - 30 * DAY))
        tally = counters.Tally()
        tally.add(run_id, "people:delivered", -150)
        tally.add(run_id, "outcome:unreached", -30)
        tally.write(c)

    await world.db.run(fewer)
    said = text_of((await http.get("/reports?period=30")).text)
    assert "▲ 10 points more than before (70.0%)" in said
    assert "▲ 2 points more than before (11.3%)" in said
    said = text_of((await http.get("/reports?period=30&lang=pt_BR", follow_redirects=True)).text)
    assert "70,0%" in said


async def test_a_campaign_a_channel_and_a_tag_can_be_chosen(http: httpx.AsyncClient) -> None:
    page = (await http.get("/reports")).text
    offer = re.search(r'<option value="(\w{32})">=Offer 0', page)
    assert offer
    for query, people in ((f"campaign={offer[1]}", "1,500"), ("channel=twilio_sms", "3,000"), ("tag=spring", "1,500")):
        assert f"{people} in " in text_of((await http.get(f"/reports?{query}")).text), query
    none = text_of((await http.get("/reports?tag=nothing")).text)
    assert "No campaign of this kind started in this period." in none
    one = (await http.get("/reports?channel=twilio_sms")).text
    assert "131026" not in text_of(one)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ("from=2026-02-30&to=2026-03-01", "Write both days as year-month-day"),
        ("from=2026-03-02&to=2026-03-01", "The last day is before the first"),
        ("from=2020-03-02&to=2026-03-01", "one year at most"),
        ("from=%00&to=", "Write both days"),
    ],
)
async def test_days_that_are_none_are_told_and_kept(http: httpx.AsyncClient, days: str, said: str) -> None:
    answer = await http.get(f"/reports?period=own&{days}")
    assert (answer.status_code, said in answer.text) == (200, True)
    if "%00" not in days:
        assert f'value="{days[5:15]}"' in answer.text
    file = await http.get(f"/reports.csv?period=own&{days}")
    assert file.status_code == 302


async def test_days_that_somebody_changed_count_whatever_stands_before_them(http: httpx.AsyncClient) -> None:
    answer = await http.get("/reports?was=2026-11-02/2026-12-01&period=30&from=2026-10-01&to=2026-10-31&campaign=&tag=&channel=")
    assert (answer.status_code, answer.headers["location"]) == (302, "/reports?period=own&from=2026-10-01&to=2026-10-31")
    kept = await http.get("/reports?was=2026-11-02/2026-12-01&period=7&from=2026-11-02&to=2026-12-01&tag=spring")
    assert kept.headers["location"] == "/reports?period=7&tag=spring"


def test_an_address_that_makes_no_sense_says_nothing() -> None:
    odd = {"period": "century", "campaign": "' OR 1=1", "sort": "password-up", "tag": "x" * 999}
    assert Wanted.of(odd) == Wanted(tag="x" * 200, up=True)
    assert Wanted.of({"sort": "replied-up"}).by("replied") == "/reports?period=30&sort=replied"


async def test_campaigns_are_sorted_and_those_that_are_left_away_are_in_the_file(world: Any) -> None:
    await world.db.run(some_campaigns, 203)
    async with asking(world) as http:
        page = (await http.get("/reports?sort=name-up")).text
        assert page.index("=Offer 100<") < page.index("=Offer 2<")
        assert "3 more campaigns are in the CSV." in page
        assert 'aria-sort="ascending"' in page
        rows = list(csv.reader(io.StringIO((await http.get("/reports.csv?sort=name-up")).text.removeprefix("\ufeff"))))
    assert sum(row[0].startswith("'=Offer") for row in rows if row) == 203


async def test_the_file_has_all_figures_in_the_readers_language(world: Any, http: httpx.AsyncClient) -> None:
    answer = await http.get("/reports.csv?period=30", headers={"accept-language": "pt-BR"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "filename=report-2026-11-02-2026-12-01.csv" in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert ["Respondidas", "600", "20,0%", "300", "20,0%"] in rows or any(
        row[1:] == ["600", "20,0%", "300", "20,0%"] for row in rows
    )
    assert any(row[0] == "'=Offer 0" and row[2] == "1500" for row in rows if row)
    failure = next(row for row in rows if row and row[0] == "131026")
    assert failure[3] == "800"
    assert ["2026-11-30", "3800"] in rows
    assert (await world.db.read(audit.entries, worlds.WORKSPACE, what="report.exported"))[0].about == "2026-11-02 – 2026-12-01"


# --- saved views ------------------------------------------------------------------------------------------------------------


async def post(http: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    token = re.search(r'name="_csrf_token" value="(\w{64,})"', (await http.get("/campaigns")).text)
    return await http.post(path, data={"_csrf_token": token[1] if token else "", **fields})


async def test_a_view_is_kept_opened_renamed_and_deleted(world: Any, http: httpx.AsyncClient) -> None:
    kept = await post(http, "/views", page="reports", name="  Spring   so far ", query="?period=last&tag=spring")
    assert (kept.status_code, kept.headers["location"]) == (303, "/reports?period=last&tag=spring")
    (view,) = await world.db.read(saved_views.of_page, worlds.WORKSPACE, "reports")
    assert (view.name, view.query) == ("Spring so far", "period=last&tag=spring")
    async with asking(world, "viewer") as viewer:
        page = (await viewer.get("/reports?period=last&tag=spring")).text
        assert 'href="/reports?period=last&amp;tag=spring" aria-current="true">Spring so far' in page
        assert "Save this view" not in page
    await post(http, "/views", page="reports", name="Other", query="")
    taken = await post(http, f"/views/{view.id.hex()}/rename", name="Other")
    assert (taken.status_code, "Another view has this name" in taken.text, 'value="Other"' in taken.text) == (422, True, True)
    assert (await post(http, f"/views/{view.id.hex()}/rename", name="Spring")).status_code == 303
    assert (await post(http, f"/views/{view.id.hex()}/delete")).status_code == 303
    assert [one.name for one in await world.db.read(saved_views.of_page, worlds.WORKSPACE, "reports")] == ["Other"]
    deeds = [one.what for one in await world.db.read(audit.entries, worlds.WORKSPACE) if one.what.startswith("view.")]
    assert deeds == ["view.deleted", "view.renamed", "view.kept", "view.kept"]


async def test_a_view_without_a_good_name_is_refused_and_nothing_typed_is_lost(world: Any, http: httpx.AsyncClient) -> None:
    await post(http, "/views", page="reports", name="Spring", query="tag=spring")
    for name, said in (("", "Write a name."), ("x" * 81, "no more than 80"), ("Spring", "Another view has this name")):
        answer = await post(http, "/views", page="reports", name=name, query="tag=other")
        assert (answer.status_code, said in answer.text) == (422, True), name
        assert 'name="query" value="tag=other"' in answer.text
        assert f'value="{name}"' in answer.text
    assert (await post(http, "/views", page="passwords", name="x", query="")).status_code == 404


async def test_views_of_another_workspace_are_not_there(world: Any, http: httpx.AsyncClient) -> None:
    theirs = await world.db.run(saved_views.add, worlds.ELSEWHERE, "reports", "Theirs", "", None, worlds.NINE)
    for deed in ("rename", "delete"):
        assert (await post(http, f"/views/{theirs.hex()}/{deed}", name="Mine")).status_code == 404
    assert "Theirs" not in (await http.get("/reports")).text


@pytest.mark.parametrize("first", ["plain", "escaped"])
def test_what_is_escaped_and_what_is_not_never_share_their_code(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for cache in ("COMPILED", "PLAIN"):
        monkeypatch.setattr(i18n, cache, i18n._Compiled())

    def said(escaped: bool) -> str:
        env = i18n.environment("en", "UTC", {})
        module: Any = (env if escaped else i18n.plain(env)).get_template("_report_words.html").module
        return str(module.filters_in_words("<b>", "", ""))

    said(first == "escaped")
    assert ("<b>" in said(False), "<b>" in said(True), "&lt;b&gt;" in said(True)) == (True, False, True)


# --- reports by e-mail ------------------------------------------------------------------------------------------------------

FORM = {"name": "Weekly", "every": "week", "at": "08:00", "zone": "America/Sao_Paulo", "language": "pt_BR"}
FORM |= {"addresses": "ana@example.com,\n BRUNO@example.com ana@example.com"}
INSIDE = FORM | {"addresses": "viewer@example.com"}
WRONG = [
    ("name", "", "name_wanted"),
    ("name", "x" * 81, "name_long"),
    ("every", "hour", "every"),
    ("at", "24:00", "at"),
    ("at", "", "at"),
    ("zone", "Mars/Base", "zone"),
    ("language", "fr", "language"),
    ("addresses", " ,", "addresses_wanted"),
    ("addresses", "ana@example.com, bruno", "addresses_wrong"),
    ("addresses", "a\r\nBcc: x@example.com", "addresses_wrong"),
    ("addresses", " ".join(f"p{n}@example.com" for n in range(MOST_ADDRESSES + 1)), "addresses_many"),
    ("addresses", "a " * 50_000, "addresses_wrong"),
]


@pytest.mark.parametrize(("field", "value", "said"), WRONG)
def test_what_is_wrong_with_a_form_is_told_at_its_field(field: str, value: str, said: str) -> None:
    assert read({**FORM, field: value}).errors == {field: said}


def test_a_good_form_names_each_address_once() -> None:
    found = read(FORM)
    assert (found.errors, found.addresses) == ({}, ("ana@example.com", "bruno@example.com"))


async def test_a_report_by_mail_is_made_paused_resumed_and_deleted(world: Any, http: httpx.AsyncClient) -> None:
    page = (await http.get("/reports/mails?tag=spring&channel=whatsapp")).text
    assert "CAMPANA_SMTP_URL" in page
    wrong = await http.post("/reports/mails", data=filled(page, "/reports/mails", name="Weekly", addresses="bruno"))
    assert (wrong.status_code, "Some of these are no e-mail addresses: bruno." in wrong.text) == (422, True)
    good = filled(wrong.text, "/reports/mails", addresses="viewer@example.com", zone="America/Sao_Paulo")
    assert (good["name"], good["tag"]) == ("Weekly", "spring")
    assert (await http.post("/reports/mails", data=good)).headers["location"] == "/reports/mails?said=added"
    (mail,) = await world.db.read(report_mails.of_workspace, worlds.WORKSPACE)
    assert (mail.every, mail.at, mail.zone, mail.addresses) == (Every.WEEK, "08:00", "America/Sao_Paulo", ("viewer@example.com",))
    assert mail.query == "period=30&channel=whatsapp&tag=spring"
    assert mail.next_at > worlds.NOW
    page = text_of((await http.get("/reports/mails?said=added")).text)
    assert "Every Monday, of the week before · 08:00 America/Sao_Paulo · English · Channel: WhatsApp Cloud · Tag: spring" in page
    for deed in ("pause", "resume", "delete"):
        assert (await post(http, f"/reports/mails/{mail.id.hex()}/{deed}")).status_code == 303
        left = await world.db.read(report_mails.of_workspace, worlds.WORKSPACE)
        assert [one.active for one in left] == {"pause": [False], "resume": [True], "delete": []}[deed]
    deeds = [one.what for one in await world.db.read(audit.entries, worlds.WORKSPACE) if one.what.startswith("report.")]
    assert deeds == ["report.deleted", "report.resumed", "report.paused", "report.scheduled"]
    assert "<span data-raw>" not in (await asking(world, "owner").get("/settings/audit")).text


async def test_the_page_says_what_became_of_a_letter_in_the_words_of_the_server(world: Any, http: httpx.AsyncClient) -> None:
    await post(http, "/reports/mails", **INSIDE)
    trouble, some = report_mails.Trouble, {"left": ("ana@example.com",), "refused": {"bo@example.com": "550 No such mailbox"}}
    told = [
        (trouble(report_mails.REFUSED, worlds.NINE, "451 Busy."), "it is tried again for a day, in the end once an hour."),
        (trouble(report_mails.REJECTED, worlds.NINE, "554 Too big."), "is not sent again; the next one goes out as planned."),
        (trouble(report_mails.GIVEN_UP, worlds.NINE, "451 Busy."), "was tried for a day and is not sent any more"),
        (trouble(report_mails.PARTLY, worlds.NINE, **some), "has not taken it yet for ana@example.com; for them"),
        (trouble(report_mails.PARTLY, worlds.NINE, **some), "refused these addresses: bo@example.com (550 No such mailbox)."),
    ]
    for one, said in told:
        stored = msgspec.json.encode(one).decode()
        await world.db.run(lambda c, stored=stored: c.execute(update(schema.report_mail).values(trouble=stored)))
        page = text_of((await http.get("/reports/mails")).text)
        assert said in page
        assert one.words in page


async def test_only_an_admin_sends_a_report_out_of_the_workspace(world: Any, http: httpx.AsyncClient) -> None:
    assert "Only an admin can send it to people outside this workspace." in (await http.get("/reports/mails")).text
    mixed = FORM | {"addresses": "VIEWER@example.com ana@example.com stranger@example.com"}
    refused = await post(http, "/reports/mails", **mixed)
    said = "Nobody in this workspace has these addresses: ana@example.com, stranger@example.com."
    assert (refused.status_code, said in refused.text, mixed["addresses"] in refused.text) == (422, True, True)
    assert await world.db.read(report_mails.of_workspace, worlds.WORKSPACE) == []
    async with asking(world, "admin") as admin:
        assert "Only an admin can" not in (await admin.get("/reports/mails")).text
        assert (await post(admin, "/reports/mails", **mixed)).status_code == 303


async def test_a_report_by_mail_is_changed(world: Any, http: httpx.AsyncClient) -> None:
    async with asking(world, "admin") as admin:
        await post(admin, "/reports/mails?tag=spring", **FORM, tag="spring")
    (mail,) = await world.db.read(report_mails.of_workspace, worlds.WORKSPACE)
    deed = f"/reports/mails/{mail.id.hex()}/edit"
    page = (await http.get(f"/reports/mails?edit={mail.id.hex()}")).text
    form = filled(page, deed)
    assert (form["name"], form["addresses"].split(), form["at"]) == ("Weekly", list(mail.addresses), "08:00")
    assert "Tag: spring" in text_of(page)
    assert "<option selected>America/Sao_Paulo</option>" in page
    zone = {"zone": "America/Sao_Paulo"}
    wrong = await http.post(deed, data=filled(page, deed, name="Daily", addresses="bruno"))
    assert (wrong.status_code, filled(wrong.text, deed)["name"]) == (422, "Daily")
    outside = await http.post(deed, data=filled(page, deed, addresses="ana@example.com stranger@example.com", **zone))
    assert "Nobody in this workspace has these addresses: stranger@example.com." in text_of(outside.text)
    good = filled(page, deed, name="Daily", every="day", at="09:30", addresses="ana@example.com viewer@example.com", **zone)
    assert (await http.post(deed, data=good)).headers["location"] == "/reports/mails?said=changed"
    (after,) = await world.db.read(report_mails.of_workspace, worlds.WORKSPACE)
    assert (after.name, after.every, after.at, after.query) == ("Daily", Every.DAY, "09:30", mail.query)
    assert after.addresses == ("ana@example.com", "viewer@example.com")
    assert after.next_at == next_due(Every.DAY, "09:30", after.zone, world.console().clock.now())
    assert (await world.db.read(audit.entries, worlds.WORKSPACE))[0].what == "report.changed"
    assert "<span data-raw>" not in (await asking(world, "owner").get("/settings/audit")).text
    assert (await http.get(f"/reports/mails?edit={new_id(1).hex()}")).status_code == 404


async def test_a_campaign_of_another_workspace_is_not_named(world: Any, http: httpx.AsyncClient) -> None:
    theirs = await world.db.run(campaigns.create, worlds.ELSEWHERE, "Secret offer", "one-time", "{}", [], worlds.NINE)
    for page in ("/reports/mails", "/reports"):
        assert "Secret offer" not in (await http.get(f"{page}?campaign={theirs.hex()}")).text


async def test_reports_by_mail_of_another_workspace_are_not_there(world: Any, http: httpx.AsyncClient) -> None:
    facts = {"name": "Theirs", "query": "", "every": Every.DAY, "at": "08:00", "zone": "UTC", "language": "en"}
    theirs = await world.db.run(
        lambda c: report_mails.add(
            c, worlds.ELSEWHERE, None, worlds.NINE, **facts, addresses=["x@example.com"], next_at=worlds.NINE
        )
    )
    for deed in ("pause", "resume", "delete", "now", "edit"):
        assert (await post(http, f"/reports/mails/{theirs.hex()}/{deed}")).status_code == 404
    assert "Theirs" not in (await http.get("/reports/mails")).text


class Box:
    """A mail server's inbox; it may refuse."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refuses = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the server's own name
        if self.refuses:
            return "550 No such mailbox"
        self.mails.append(envelope)
        return "250 OK"


async def test_one_goes_at_once_to_whoever_asks_and_to_nobody_else(world: Any) -> None:
    box = Box()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box), "127.0.0.1", 0)
    doors = Doors(Vault(["x" * 64]), mailer(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", "c@example.com"))
    app = create_app(replace(world.console(), doors=doors))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    cookies = {worlds.COOKIE: worlds.token("editor")}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", cookies=cookies) as http:
        await post(http, "/reports/mails", **INSIDE)
        (mail,) = await world.db.read(report_mails.of_workspace, worlds.WORKSPACE)
        assert (await post(http, f"/reports/mails/{mail.id.hex()}/now")).headers["location"] == "/reports/mails?said=sent"
        assert [one.rcpt_tos for one in box.mails] == [["editor@example.com"]]
        box.refuses = True
        for _ in range(2):
            answer = await post(http, f"/reports/mails/{mail.id.hex()}/now")
            assert (answer.status_code, "did not take the mail" in answer.text) == (502, True)
        box.refuses = False
        await world.db.run(report_mails.spend, worlds.WORKSPACE, LETTERS_A_DAY - 2, world.console().clock.now())
        assert (await post(http, f"/reports/mails/{mail.id.hex()}/now")).status_code == 303, "what was refused does not count"
        answer = await post(http, f"/reports/mails/{mail.id.hex()}/now")
        assert (answer.status_code, "has sent its 100 letters of the day" in answer.text) == (429, True)
        assert len(box.mails) == 2
    server.close()
    (after,) = await world.db.read(report_mails.of_workspace, worlds.WORKSPACE)
    assert (after.next_at, after.sent_at, after.trouble) == (mail.next_at, None, None), "what is due stays due"


async def test_without_a_mail_server_nothing_is_sent_and_the_page_says_what_to_set(world: Any, http: httpx.AsyncClient) -> None:
    await post(http, "/reports/mails", **INSIDE)
    (mail,) = await world.db.read(report_mails.of_workspace, worlds.WORKSPACE)
    answer = await post(http, f"/reports/mails/{mail.id.hex()}/now")
    assert "Nothing was sent: no mail server is set." in answer.text
