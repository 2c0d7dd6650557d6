"""Every sentence of the console exists in every language, says the same things, and no catalogue keeps what nobody says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from campana.web.console import i18n
from campana.web.console.i18n import LANGUAGES, SOURCE

ROOT = Path(__file__).parents[1]
LOCALE = ROOT / "src/campana/web/console/locale"
TRANSLATED = [language for language in LANGUAGES if language != SOURCE]
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")


def said() -> set[str]:
    """What the pages say, found in their sources."""
    with (ROOT / "babel.cfg").open() as config:
        methods, options = parse_mapping_cfg(config)
    found = extract_from_dir(ROOT, methods, options, keywords=DEFAULT_KEYWORDS)
    return {named(message, context) for _, _, message, _, context in found}


def named(message: object, context: str | None) -> str:
    """What makes two messages the same: their words, plural or not, and their context."""
    return f"{context or ''}|{forms(message)}"


def catalogue(language: str) -> Catalog:
    """One language's catalogue as it is kept."""
    with (LOCALE / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def entries(language: str) -> Iterator[Message]:
    """All messages of a catalogue but its head."""
    return (message for message in catalogue(language) if message.id)


def forms(text: object) -> list[str]:
    """A message as a list, plural or not."""
    return [text] if isinstance(text, str) else list(text)  # type: ignore[call-overload]


def test_the_sources_say_something():
    assert len(said()) > 80


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_missing_and_nothing_is_left_over(language):
    kept = {named(message.id, message.context) for message in entries(language)}
    assert sorted(said() - kept) == []
    assert sorted(kept - said()) == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_everything_is_translated_and_nothing_is_guessed(language):
    untold = [message.id for message in entries(language) if message.fuzzy or not all(forms(message.string))]
    assert untold == []
    assert all(len(forms(m.string)) == catalogue(language).num_plurals for m in entries(language) if m.pluralizable)


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_carry_the_same_placeholders(language):
    different = [
        message.id
        for message in entries(language)
        for form, said in zip(forms(message.string), forms(message.id), strict=True)
        if set(PLACEHOLDER.findall(form)) != set(PLACEHOLDER.findall(said)) or "%" in PLACEHOLDER.sub("", form)
    ]
    assert different == []


def test_every_deed_of_the_audit_log_has_words():
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "src/campana").rglob("*.py"))
    about = "audience|campaign|integration|optout|person|report|sender|user|view|workspace"
    deeds = {found for found in re.findall(rf'"((?:{about})\.[a-z_]+)"', sources) if not found.endswith((".id", ".html"))}
    told = (ROOT / "src/campana/web/console/templates/_deeds.html").read_text("utf-8")
    assert {deed for deed in deeds if f'"{deed}":' not in told} == set()
    assert len(deeds) > 30


def test_a_template_is_compiled_to_the_same_code_in_every_language() -> None:
    """So that one compilation serves all of them: no constant is written in a language beforehand."""
    places = [i18n.environment(language, zone, {}) for language, zone in (("en", "UTC"), ("pt_BR", "Asia/Tokyo"), ("es", "UTC"))]
    for name in places[0].list_templates():
        sources = {env.compile(env.loader.get_source(env, name)[0], name, raw=True) for env in places if env.loader}
        assert len(sources) == 1, name


AGREES = [
    ("_ui.html", "status_word", "archived", {"pt_BR": "Arquivada", "es": "Archivada"}),  # a campaign
    ("_ui.html", "status_word", "ended", {"pt_BR": "Encerrada", "es": "Terminada"}),
    ("_report_words.html", "outcome", "ended", {"pt_BR": "Encerradas", "es": "Terminadas"}),  # people
    ("_told.html", "outcome_label", "ended", {"pt_BR": "Encerradas", "es": "Terminadas"}),
    ("_told.html", "outcome_label", "unknown", {"pt_BR": "Desconhecidas", "es": "Desconocidas"}),
    ("_told.html", "status_label", "unknown", {"pt_BR": "Desconhecida", "es": "Desconocido"}),  # a message
]


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize(("template", "macro", "word", "expected"), AGREES, ids=["-".join(row[1:3]) for row in AGREES])
def test_a_word_agrees_with_what_it_is_said_of(language: str, template: str, macro: str, word: str, expected: dict[str, str]):
    env = i18n.environment(language, "UTC", {"asset": str})
    told = getattr(env.get_template(template).make_module({"channels": {}}), macro)(word)
    assert str(told).strip() == expected[language]
