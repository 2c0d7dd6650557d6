"""What people are told about error codes: every code of every table in every language, and what is said of all others."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from campana.channels.advice import GENERAL, LANGUAGES, NONE, SOURCE, Errors, Words, general
from campana.channels.contract import Channel
from campana.channels.registry import channels
from campana.channels.twilio_sms import ERRORS as TWILIO
from campana.channels.whatsapp import ERRORS as WHATSAPP
from campana.core.failure import Class, Failure, Follows, Retry, Verdict, follows

TRANSLATED = [language for language in LANGUAGES if language != SOURCE]
LONGEST = Words(90, 150, 80, 170)  # characters of what, why, each reason, and do
ALL = pytest.mark.parametrize("channel", channels().values(), ids=list(channels()))


def rows(name: str, language: str) -> list[dict[str, str]]:
    path = f"errors/advice/{name}.{language}.csv"
    text = resources.files("campana.channels").joinpath(path).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def sentences(words: Words) -> Iterator[tuple[str, int]]:
    """Each text of a row, with how long it may be."""
    yield words.what, LONGEST.what
    yield words.why, LONGEST.why
    yield words.do, LONGEST.do
    yield from ((reason, LONGEST.reasons) for reason in words.reasons)


@ALL
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_its_advice_in_every_language_and_no_advice_is_left_over(channel: Channel, language: str) -> None:
    written = [row["code"] for row in rows(channel.errors.name, language)]
    assert written == list(dict.fromkeys(written))
    assert set(written) == set(channel.errors.codes())
    assert set(channel.errors.words(language)) == set(written)
    assert not any(channel.errors.advice(code, language).general for code in written)


@ALL
@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_left_in_english(channel: Channel, language: str) -> None:
    english, theirs = channel.errors.words(SOURCE), channel.errors.words(language)
    same = [(code, text) for code, words in theirs.items() for (text, _), (first, _) in
            zip(sentences(words), sentences(english[code]), strict=True) if text == first]  # fmt: skip
    assert same == []
    assert [code for code in theirs if len(theirs[code].reasons) != len(english[code].reasons)] == []


@pytest.mark.parametrize("name", [*(channel.errors.name for channel in channels().values()), GENERAL])
@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_short_whole_and_calm(name: str, language: str) -> None:
    words = general(language) if name == GENERAL else Errors(name).words(language)
    wrong = []
    for code, row in words.items():
        wrong += [(code, text) for text, most in sentences(row) if len(text) > most or "!" in text or "  " in text]
        whole = (row.what, row.do, row.why) if not row.reasons else (row.what, row.do)
        wrong += [(code, text) for text in whole if not text.endswith(".") or not text[0].isupper()]
        wrong += [(code, row.why) for _ in row.reasons[:1] if not row.why.endswith(":")]
        wrong += [(code, text) for text in row.reasons if text.endswith(".")]
    assert wrong == []
    assert words


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_general_advice_covers_every_class_and_our_own_codes(language: str) -> None:
    assert set(general(language)) == {*Class, "unlisted", "nameless", "http", "unsent"}


REFUSALS = {WHATSAPP: ("0", "3", "10", "190", "200", "131005", "http-404"), TWILIO: ("20003", "20005", "http-404")}


@pytest.mark.parametrize(("language", "sender"), {"en": "sender", "es": "remitente", "pt_BR": "remetente"}.items())
def test_what_refuses_credentials_is_told_to_who_connects_an_account_that_has_no_sender_yet(language: str, sender: str) -> None:
    told = {(errors.name, code): errors.advice(code, language).do for errors, codes in REFUSALS.items() for code in codes}
    assert [found for found in told.items() if sender in found[1]] == []


@ALL
def test_a_code_leads_to_the_vendors_page(channel: Channel) -> None:
    for code in channel.errors.codes():
        assert channel.errors.advice(code).link.startswith("https://"), code
    assert TWILIO.advice("30007").link == "https://www.twilio.com/docs/api/errors/30007"
    assert TWILIO.advice("29999").link == "https://www.twilio.com/docs/api/errors/29999"
    assert TWILIO.advice("http-404").link == ""


def test_a_code_in_a_range_is_told_what_the_range_is() -> None:
    for code in ("200", "250", "299", "200-299"):
        found = WHATSAPP.advice(code, "es")
        assert (found.code, found.general, found.cls) == (code, False, Class.CONFIG)
        assert found.what == "Meta rechazó el acceso."
    assert WHATSAPP.advice("300").general


UNWRITTEN = [
    ("29999", None, "unlisted", None, None),
    ("29999", Class.TRANSIENT, Class.TRANSIENT, Class.TRANSIENT, None),
    ("29999", Class.OPTOUT, Class.OPTOUT, Class.OPTOUT, None),
    ("", None, "nameless", None, None),
    ("unsent", None, "unsent", None, None),
    ("http-403", None, "http", Class.CONFIG, Verdict.HOLD),
    ("http-429", None, Class.TRANSIENT, Class.TRANSIENT, Verdict.RETRY),
    ("²", None, "unlisted", None, None),
    ("9" * 5000, None, "unlisted", None, None),
]


@ALL
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("code", "cls", "kind", "found_cls", "verdict"), UNWRITTEN, ids=[str(row[:2])[:30] for row in UNWRITTEN])
def test_what_no_table_has_is_told_in_general(
    channel: Channel, language: str, code: str, cls: Class | None, kind: str, found_cls: Class | None, verdict: Verdict | None
) -> None:
    found = channel.errors.advice(code, language, cls)
    assert found.what == general(language)[kind].what
    assert (found.general, found.meaning, found.cls) == (True, "", found_cls)
    assert (found.follows and found.follows.first) == verdict


def test_a_channel_without_a_table_has_advice_too() -> None:
    assert NONE.advice("7", "pt_BR").do == general("pt_BR")["unlisted"].do
    assert list(NONE.codes()) == []


def test_a_channel_of_another_package_brings_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "acme_campana"
    (home / "words/advice").mkdir(parents=True)
    (home / "__init__.py").touch()
    (home / "words/acme.csv").write_text(
        "code,meaning,class,fire_fallback,retry_same_channel\n7,Line is cut,transient,yes,once\n8,New,optout,no,no\n", "utf-8"
    )
    (home / "words/advice/acme.en.csv").write_text('code,what,why,do\n7,The line is cut.,"So, a storm.",Wait.\n', "utf-8")
    (home / "words/advice/acme.es.csv").write_text("code,what,why,do\n7,La línea se cortó.,Una tormenta.,Espere.\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    errors = Errors("acme", package="acme_campana", folder="words", page="https://acme.example/{code}")
    sys.modules.pop("acme_campana", None)
    assert errors.advice("7", "es").do == "Espere."
    assert errors.advice("7", "pt_BR").why == "So, a storm."  # English, where there is no other
    assert errors.advice("7").link == "https://acme.example/7"
    assert errors.advice("8", "es").what == general("es")[Class.OPTOUT].what  # in the table, but nobody wrote about it
    assert errors.advice("8").meaning == "New"


@pytest.mark.parametrize(
    ("failure", "found"),
    [
        (("transient", True, "once"), (Verdict.RETRY, Verdict.NEXT)),
        (("config", False, "no"), (Verdict.HOLD, Verdict.HOLD)),
        (("config", False, "later"), (Verdict.RETRY, Verdict.HOLD)),
        (("permanent", False, "no"), (Verdict.END, Verdict.END)),
        (("optout", False, "no"), (Verdict.OPTED_OUT, Verdict.OPTED_OUT)),
        (("transient", False, "reconcile"), (Verdict.ASK, Verdict.ASK)),
    ],
)
def test_what_follows_at_once_and_at_last(failure: tuple[str, bool, str], found: tuple[Verdict, Verdict]) -> None:
    cls, fallback, retry = failure
    assert follows(Failure("1", "x", Class(cls), fallback, Retry(retry))) == Follows(*found, Retry(retry), of_step=False)
