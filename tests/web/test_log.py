"""People of a campaign, one person's timeline and the log of messages, as pages over a real store."""

from __future__ import annotations

import csv
import io
import re

import pytest

from campana.core.reason import KNOWN
from campana.store import log, suppressions
from campana.web.console import i18n
from campana.web.console.messages import pretty
from campana.web.console.run_people import name_of, searched
from tests.engine.conftest import worlds  # noqa: F401 - fixtures
from tests.engine.world import ANA, BRUNO, CARLA, sms
from tests.web.log_story import DIEGO, FAULTS, told
from tests.web.studio import Studio
from tests.web.test_journey import words


@pytest.fixture
async def studio(worlds):  # noqa: F811
    studio = Studio(await worlds(faults=FAULTS))
    await studio.prepare()
    studio.campaign_id = await told(studio.world)
    return studio


@pytest.fixture
async def http(studio):
    async with studio.as_user() as http:
        yield http


def links(html: str, begin: str) -> list[str]:
    """The addresses on a page that begin so, each once."""
    return list(dict.fromkeys(re.findall(rf'href="({re.escape(begin)}[^"]*)"', html)))


async def page(http, path: str, status: int = 200) -> str:
    answer = await http.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


# --- people -----------------------------------------------------------------------------------------------------------------


async def test_people_tell_their_stage_and_what_comes_next(http, studio):
    html = await page(http, f"{studio.home}/people")
    found = map(words, re.findall(r"<tr role=\"row\"><td.*?</tr>", html, re.S))
    rows = dict(zip(("Ana", "Bruno", "Carla", "Eva", "Diego"), found, strict=True))
    assert "Over" in rows["Ana"]
    assert "Replied" in rows["Ana"]
    assert "Nothing more" in rows["Ana"]
    assert "Reached; waiting for a reply" in rows["Bruno"]
    assert "Follow-up on Thu 3 Dec 2026, 06:00" in rows["Bruno"]
    assert "Fallback 1 of 2" not in rows["Carla"]
    assert "There is no phone number." in rows["Eva"]
    assert "Skipped" in rows["Eva"]
    assert "The person wrote: “STOP”" in rows["Diego"]
    assert "Opted out" in rows["Diego"]
    assert "Diego &lt;b&gt;" in html
    assert "Times are those of Sao Paulo." in words(html)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ["Ana", "Bruno", "Carla", "Eva", "Diego"]),
        ("q=2", ["Bruno"]),
        ("q=%2B1212", ["Ana", "Bruno", "Carla", "Diego"]),
        ("q=1 (212) 555-0102", ["Bruno"]),
        ("q=eva@", ["Eva"]),
        ("q=SÃO", ["Ana"]),
        ("outcome=skipped", ["Eva"]),
        ("outcome=waiting", ["Bruno", "Carla"]),
        ("outcome=opted_out&step=4", ["Diego"]),
        ("step=3", ["Eva"]),
        ("outcome=skipped&step=1", []),
        ("q=nobody", []),
        ("outcome=nonsense&step=99&after=x", ["Ana", "Bruno", "Carla", "Eva", "Diego"]),
    ],
)
async def test_people_are_found_by_row_address_words_outcome_and_step(http, studio, asked, found):
    html = await page(http, f"{studio.home}/people?{asked}")
    names = re.findall(r'<th scope="row"[^>]*>(?:<a[^>]*>)?(\w+)', html)
    assert names == found
    assert ("Nobody matches." in html) == (not found)


async def test_who_is_not_enrolled_yet_is_shown_too(http, studio):
    await studio.world.launch(sms(), people=[BRUNO, CARLA], name="Later", start=studio.world.clock.now() + 10**12)
    from tests.web.log_story import campaign_of

    home = f"/campaigns/{(await campaign_of(studio.world)).hex()}"
    for query in ("", "?q=ana", "?q=2", "?outcome=waiting"):
        text = words(await page(http, f"{home}/people{query}"))
        assert "Not enrolled yet" in text, query
    assert "Nobody matches." in await page(http, f"{home}/people?outcome=delivered")


def test_a_search_is_a_row_an_address_or_words():
    assert searched("#12") == searched("12") == {"number": 12}
    assert searched("+55 11") == {"address": ("phone", "+5511")}
    assert searched("5511987654321") == {"address": ("phone", "+5511987654321")}
    assert searched("Ana@X.com") == {"address": ("email", "ana@x.com")}
    assert searched("@x.com") == {"words": "@x.com"}
    assert searched("") == {}


def test_a_person_is_called_by_the_cell_that_is_for_names():
    assert name_of(("phone", "Nome", "x"), ("+551199", "Ana", "y")) == "Ana"
    assert name_of(("a", "b"), ("+55 11-99", "gold"), "+551199") == "gold"
    assert name_of(("a",), ("+551199",), "+551199") == ""


# --- one person -------------------------------------------------------------------------------------------------------------


async def timeline_of(http, studio, row: int, lang: str = "en") -> str:
    people = await page(http, f"{studio.home}/people?q={row}")
    (path,) = links(people, f"{studio.home}/people/")
    return await page(http, path if lang == "en" else f"{path}", 200)


async def test_a_timeline_tells_everything_in_its_order(http, studio):
    text = words(await timeline_of(http, studio, 1))
    told = [
        "The campaign started",
        "Hi Ana, we expect you on Monday.",
        "131026",
        "Fallback 1 of 2 has its turn",
        "(131026)",
        "Hi Ana",
        "The person wrote on SMS",
        "yes",
        "Follow-up is not needed any more",
        "The person replied.",
        "The end",
    ]
    places = [text.index(told[0])]
    for one in told[1:]:
        places.append(text.index(one, places[-1] + 1))
    assert "City" in text or "city" in text
    assert "São Paulo" in text


async def test_timelines_tell_skips_and_stops(http, studio):
    eva = words(await timeline_of(http, studio, 4))
    assert "Primary message: skipped" in eva
    assert eva.count("There is no phone number.") >= 3
    html = await timeline_of(http, studio, 5)
    assert "Opted out: WhatsApp" in words(html)
    assert "Diego &lt;b&gt;" in html
    assert "<b>we" not in html


async def test_what_a_person_wished_before_the_campaign_stands_before_its_start(http, studio):
    await studio.write(
        suppressions.suppress, studio.workspace_id, ["eva@example.com"], "email", 1, "by hand", "asked on the phone"
    )
    text = words(await timeline_of(http, studio, 4))
    assert text.index("Opted out: E-mail") < text.index("The campaign started")
    assert "asked on the phone" in text


async def test_reasons_are_told_in_the_readers_language(http, studio):
    http.cookies.set("lang", "pt_BR")
    text = words(await timeline_of(http, studio, 4))
    assert "There is no phone number." not in text
    assert "Não há número de telefone." in text


def test_every_reason_has_its_sentence_in_every_language():
    for language in i18n.LANGUAGES:
        source = (i18n.HERE / "templates" / "_reasons.html").read_text("utf-8")
        assert [code for code in KNOWN if f'"{code}"' not in source] == []
        assert language


# --- messages ---------------------------------------------------------------------------------------------------------------


def addressees(html: str) -> list[str]:
    return re.findall(r'<th scope="row" role="rowheader"><span class="num">([^<]+)', html)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("code=131026", [ANA]),
        ("status=not_delivered", [CARLA, ANA]),
        ("status=failed&code=131026", [ANA]),
        ("status=read", []),
        ("channel=twilio_sms", [CARLA, ANA]),
        ("channel=whatsapp&status=delivered", [DIEGO, BRUNO]),
        ("step=2", [CARLA, ANA]),
        (f"to={BRUNO[1:]}", [BRUNO]),
        ("to=ANA@example.com", [ANA, ANA]),
        ("to=%2B19999999999", []),
        ("from=2026-12-01&until=2026-12-01&code=131026", [ANA]),
        ("until=2026-11-30", []),
        ("status=unknown", []),
        ("status=nonsense&step=x&before=y&code=131026", [ANA]),
    ],
)
@pytest.mark.parametrize("place", ["/messages", "campaign"])
async def test_messages_are_found_by_what_the_address_says(http, studio, asked, found, place):
    home = f"{studio.home}/messages" if place == "campaign" else place
    html = await page(http, f"{home}?{asked}")
    assert sorted(addressees(html)) == sorted(found)
    if not found:
        assert "No message matches these filters." in html


async def test_a_search_says_among_which_campaigns_it_looked_and_a_file_looks_at_them_all(http, studio, monkeypatch):
    monkeypatch.setattr(log, "RUNS", 1)
    await told(studio.world, "Later visits")
    html = await page(http, "/messages?code=131026")
    assert addressees(html) == [ANA]
    assert "Looked through the campaigns that began since" in html
    (older,) = links(html, "/messages?code=131026&amp;before=")
    html = await page(http, older.replace("&amp;", "&"))
    assert addressees(html) == [ANA]
    assert "Looked through" not in html
    rows = list(csv.DictReader(io.StringIO((await http.get("/messages.csv?code=131026")).text.removeprefix("\ufeff"))))
    assert [row["campaign"] for row in rows] == ["Later visits", "Visits"]


async def test_a_day_or_an_address_that_is_none_is_told_and_kept(http):
    html = await page(http, "/messages?from=soon&to=me", 422)
    assert "Choose a day of the calendar." in html
    assert "Write a phone number with its country code" in html
    assert 'value="soon"' in html
    assert 'value="me"' in html


async def test_one_message_tells_its_history_its_code_and_what_was_said(http, studio):
    (path,) = links(await page(http, f"{studio.home}/messages?status=not_delivered&to={CARLA[1:]}"), "/messages/")
    part = await page(http, f"{path}?part=1")
    whole = await page(http, path)
    for html in (part, whole):
        text = words(html)
        assert "131009" in text
        assert "Failed" in text
        assert "POST http" in text
        assert "400" in text
        assert studio.world.config.whatsapp.token not in html
    assert "<html" in whole
    assert "<html" not in part
    assert "More about code 131009" in whole


async def test_what_went_well_is_said_again_without_its_secrets(http, studio):
    for number, own in ((BRUNO, "biz_opaque_callback_data"), (ANA, "StatusCallback")):
        (path,) = links(await page(http, f"{studio.home}/messages?status=delivered&to={number[1:]}"), "/messages/")
        html = await page(http, path)
        assert own in html
        assert "made again from what was sent" in html
        assert "Authorization: ***" in html
        for secret in (studio.world.config.whatsapp.token, studio.world.config.twilio.auth_token):
            assert secret not in html


async def test_what_the_filters_take_is_a_file_without_formulas(http, studio):
    answer = await http.get(f"{studio.home}/messages.csv?channel=twilio_sms")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert sorted(row["to"] for row in rows) == [ANA, CARLA]
    assert {row["campaign"] for row in rows} == {"Visits"}
    assert rows[0]["time"].endswith("-03:00")
    everything = await http.get("/messages.csv")
    assert not {"content-encoding"} & {*answer.headers, *everything.headers}, "pressing it together keeps everybody waiting"
    assert len(list(csv.reader(io.StringIO(everything.text)))) == 7


async def test_other_workspaces_see_nothing(studio, http):
    paths = [f"{studio.home}/people", f"{studio.home}/messages", f"{studio.home}/messages.csv"]
    paths += links(await page(http, f"{studio.home}/people"), f"{studio.home}/people/")
    paths += links(await page(http, "/messages"), "/messages/")
    assert len(paths) > 10
    await studio.write(_elsewhere)
    async with studio.as_user("zoe") as stranger:
        for path in paths:
            assert (await stranger.get(path)).status_code == 404, path
        assert "Nothing was sent yet." in await page(stranger, "/messages")
        assert len((await stranger.get("/messages.csv")).text.splitlines()) == 1


def _elsewhere(c) -> None:
    from campana.core.access import Role
    from campana.store.accounts import ensure_workspace
    from tests.web.studio import _join

    _join(c, ensure_workspace(c, "elsewhere", 1), "zoe", Role.OWNER, 1_796_115_600_000_000)


def test_bodies_are_made_readable():
    assert pretty('{"a":1}') == '{\n  "a": 1\n}'
    assert pretty("To=%2B1&Body=a+b") == "To = +1\nBody = a b"
    assert pretty("<oops>") == "<oops>"
