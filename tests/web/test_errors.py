"""Error codes in the console: the list with its search, one code in the reader's language, and links from failures."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from campana.channels import twilio_sms, whatsapp
from campana.channels.advice import LANGUAGES, code_in
from campana.core.access import Role
from campana.store import accounts, integrations, senders
from campana.web.console import i18n
from campana.web.console.errors import HOME, looked_up, plain
from campana.web.console.page import Face
from tests.web.vendors_world import place

_spec = importlib.util.spec_from_file_location("world", Path(__file__).parents[1] / "browser" / "world.py")
worlds: Any = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(worlds)  # type: ignore[union-attr]

FACES = {"whatsapp": Face.of(whatsapp.CHANNEL), "twilio_sms": Face.of(twilio_sms.CHANNEL), "smtp": Face("E-mail", "email")}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    world = worlds.World()
    transport = httpx.ASGITransport(world.app(), raise_app_exceptions=False)
    cookies = {worlds.COOKIE: worlds.token("viewer")}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", cookies=cookies) as client:
        yield client
    world.close()


def words_of(page: httpx.Response) -> str:
    """What a reader sees of a page's main part, on one line."""
    main = page.text.partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def found(language: str, text: str, kind: str = "") -> list[str]:
    return [one.code for _, told in looked_up(FACES, language, kind, text) for one in told]


def test_advice_is_written_in_the_languages_of_the_console() -> None:
    assert set(LANGUAGES) == set(i18n.LANGUAGES)


def test_the_search_finds_codes_and_words_without_case_or_accents() -> None:
    assert found("en", "131026") == ["131026"]
    assert found("es", "NUMERO fijo") == found("es", "número fijo") != []
    assert "21635" in found("es", "telefono fijo")
    assert {"131026", "1013"} < set(found("pt_BR", "nao esta no whatsapp", "whatsapp"))
    assert found("en", "toll-free") == ["30032"]
    assert found("en", "Undeliverable") == ["131026"]  # the vendor's own words are searched too
    assert found("en", "zzz") == []
    assert len(found("en", "")) == len(set(whatsapp.ERRORS.codes())) + len(set(twilio_sms.ERRORS.codes()))
    assert plain("Ação É") == "acao e"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_131026_shows_its_eight_reasons_as_a_list(http: httpx.AsyncClient, language: str) -> None:
    page = await http.get(f"{HOME}/whatsapp/131026", headers={"accept-language": language.replace("_", "-")})
    advice = whatsapp.ERRORS.advice("131026", language)
    assert page.status_code == 200
    assert len(advice.reasons) == 8
    for text in (advice.what, advice.why, *advice.reasons, advice.do, advice.meaning):
        assert text in words_of(page)
    assert page.text.partition('class="why-list"')[2].partition("</ul>")[0].count("<li>") == 8
    assert f'href="{advice.link}"' in page.text


@pytest.mark.parametrize("language", LANGUAGES)
async def test_failures_say_what_happened_what_to_do_and_where_more_stands(http: httpx.AsyncClient, language: str) -> None:
    page = await http.get(f"/campaigns/{worlds.REMINDERS.hex()}", headers={"accept-language": language.replace("_", "-")})
    for kind, code, link in (
        ("whatsapp", "131026", "https://developers.facebook.com/"),
        ("twilio_sms", "30005", "https://www.twilio.com/docs/api/errors/30005"),
    ):
        advice = FACES[kind].errors.advice(code, language)
        for text in (advice.what, advice.why, *advice.reasons, advice.do):
            assert text in words_of(page)
        assert f'href="{HOME}/{kind}/{code}"' in page.text
        assert f'href="{link}' in page.text
        assert f'/messages?code={code}"' in page.text


async def test_the_list_keeps_search_and_channel_in_its_address(http: httpx.AsyncClient) -> None:
    page = await http.get(f"{HOME}?channel=twilio_sms&q=landline")
    assert "21635" in words_of(page)
    assert "131026" not in words_of(page)
    assert f'href="{HOME}?channel=whatsapp&amp;q=landline"' in page.text
    assert f'href="{HOME}?q=landline"' in page.text
    assert 'value="landline"' in page.text
    everything = words_of(await http.get(f"{HOME}?channel=nothing"))
    assert "131026" in everything
    assert "21635" in everything


async def test_what_nobody_knows_is_told_in_general_and_what_is_no_code_is_not_there(http: httpx.AsyncClient) -> None:
    unknown = await http.get(f"{HOME}/twilio_sms/29999")
    assert "a code that we do not know yet" in words_of(unknown)
    assert 'href="https://www.twilio.com/docs/api/errors/29999"' in unknown.text
    assert "without giving a code of its own" in words_of(await http.get(f"{HOME}/whatsapp/http-404"))
    assert "neither a code nor" not in words_of(unknown)
    searched = await http.get(f"{HOME}?q=29999")
    assert f'href="{HOME}/twilio_sms/29999"' in searched.text
    for path in ("nothing/1", "whatsapp/%3Cscript%3E", f"whatsapp/{'9' * 41}"):
        assert (await http.get(f"{HOME}/{path}")).status_code == 404
    nasty = await http.get(HOME, params={"q": '"><script>x'})
    assert "<script>x" not in nasty.text


FOLLOWS = [
    ("whatsapp/131026", "The next fallback takes its turn."),
    ("whatsapp/131000", "tried once more. If it still fails, the next fallback"),
    ("whatsapp/131048", "after an hour. If it still fails, the next fallback"),
    ("whatsapp/133008", "after an hour. If it still fails, the sender is paused"),
    ("whatsapp/131064", "a day later, twice at most. If it still fails"),
    ("whatsapp/132000", "The step stops for everybody"),
    ("whatsapp/190", "The sender is paused so that nobody else meets this"),
    ("twilio_sms/20429", "longer and longer pauses. If it still fails"),
    ("twilio_sms/20500", "nothing is sent again before that is known."),
    ("twilio_sms/21610", "gets nothing more on this channel"),
    ("twilio_sms/21266", "It ends for this person"),
]


@pytest.mark.parametrize(("path", "words"), FOLLOWS)
async def test_what_the_campaign_does_is_told(http: httpx.AsyncClient, path: str, words: str) -> None:
    told = words_of(await http.get(f"{HOME}/{path}")).partition("What the campaign does")[2].partition("In technical words")[0]
    assert words in told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("App user could not be authenticated (190)", "190"),
        ("graph.facebook.com: the answer was empty (http-404).", "http-404"),
        ("The carrier (Telcel) said no", ""),
        ("costs 5 (in words)", ""),
        ("", ""),
    ],
)
def test_the_code_in_what_is_kept_of_a_refusal(words: str, code: str) -> None:
    assert code_in(words) == code


async def test_an_integration_says_what_to_do_about_what_its_vendor_answered(tmp_path: Path) -> None:
    """The vendor's words stay as they are; behind them stands the advice on the code, in the reader's language."""
    async with place(tmp_path) as here:
        admin, house = here.visitor(Role.ADMIN), here.installation.house
        await admin.connect("twilio_sms", here.twilio)
        [card] = await here.cards()
        home, now = f"/integrations/{card.id.hex()}", house.clock.now()
        await admin.get(f"{home}/senders/new")
        await admin.post(f"{home}/senders/new", {"name": "clinic", "address": "+15017122661", "rate": "2"})
        [line] = await house.db.read(senders.of_workspace, here.installation.workspace_id, now)
        await house.db.run(integrations.checked, card.id, now, "Authenticate (20003)")
        await house.db.run(accounts.pause_sender, line.id, "Account suspended (30002)", now)
        page = await admin.client.get(home, headers={"accept-language": "es"})
        for words, code in (("Authenticate (20003)", "20003"), ("Account suspended (30002)", "30002")):
            assert f"{words} {twilio_sms.ERRORS.advice(code, 'es').do}" in words_of(page)
            assert f'href="{HOME}/twilio_sms/{code}"' in page.text
