"""Every sentence that keeps a file or a change of rows from being done is told in every language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campana.core.audience import REASONS
from campana.web.console import i18n
from campana.web.console.audience_form import KINDS
from campana.web.console.troubles import PLACE, SENTENCES

SOURCES = Path(__file__).parents[2] / "src" / "campana"
FILES = [*(SOURCES / "sources").glob("*.py"), *(SOURCES / "engine" / one for one in ("readings.py", "workbench.py"))]
FILES += [SOURCES / "core" / "audience.py"]
RAISED = {"BadTable", "BadAudience", "Unchangeable", "ChangedMeanwhile", "NotADraft"}
OTHERS = [language for language in i18n.LANGUAGES if language != i18n.SOURCE]


def told(language: str, text: str) -> str:
    env = i18n.environment(language, "UTC", {})
    said: str = env.from_string("{{ text|trouble }}").render(text=text)
    return said.replace("&#39;", "'").replace("&#34;", '"').replace("&lt;", "<")


def raised() -> Iterator[str]:
    """The sentences of the code, with something in their gaps."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in RAISED or not node.args:
                continue
            words = _words(node.args[0])
            if words:
                yield words


def _words(node: Any) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return ""
    parts = [one.value if isinstance(one, ast.Constant) else _gap(one) for one in node.values]
    return "".join(str(one) for one in parts)


def _gap(node: Any) -> str:
    return {"words": "phone numbers", "CONTACT": "CONTACT"}.get(ast.unparse(node.value), "7")


@pytest.mark.parametrize("language", OTHERS)
def test_every_trouble_of_the_code_is_told_in_every_language(language: str) -> None:
    found = list(raised())
    assert len(found) > 30
    assert [one for one in found if told(language, one) == one] == []


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_trouble_keeps_what_it_is_about(language: str, sentence: str) -> None:
    gaps = {found[1]: f"«{at}»" for at, found in enumerate(re.finditer(r"%\((\w+)\)s", sentence))}
    said = told(language, sentence % gaps)
    assert said != sentence % gaps
    assert all(gap in said for gap in gaps.values())
    assert not PLACE.search(said)


def test_sentences_that_stand_together_are_told_together() -> None:
    text = "The file has neither a phone nor an email column. Its columns are 'a'. "
    text += "Name one of them phone or email, or say which one it is."
    assert told("es", text).endswith("o diga cuál es.")
    assert "Sus columnas son 'a'" in told("es", text)
    assert told("es", "Nobody has translated this.") == "Nobody has translated this."


@pytest.mark.parametrize("language", OTHERS)
def test_every_kind_and_reason_of_a_row_has_a_word(language: str) -> None:
    words: Any = i18n.environment(language, "UTC", {}).get_template("_issues.html").module
    english: Any = i18n.environment("en", "UTC", {}).get_template("_issues.html").module
    for kind in {*KINDS, *REASONS}:
        assert kind_of(words, kind) not in (kind, kind_of(english, kind)), kind
        said = [
            str(one.issue_words({"code": kind, "words": "?", "of": 3}, {"country": "MX"})).strip() for one in (words, english)
        ]
        assert kind == "dropped" or (said[0] != said[1] and "?" not in said), kind


def kind_of(words: Any, kind: str) -> str:
    return str(words.kind_word(kind)).strip()


def refused() -> Iterator[str]:
    """The sentences by which the console itself refuses something."""
    for path in (SOURCES / "web" / "console").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        named = {ast.unparse(one.targets[0]): one.value for one in ast.walk(tree) if isinstance(one, ast.Assign)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused":
                said = named.get(ast.unparse(node.args[0]), node.args[0])
                yield from (one.value for one in ast.walk(said) if isinstance(one, ast.Constant) and isinstance(one.value, str))


@pytest.mark.parametrize("language", OTHERS)
def test_every_refusal_of_the_console_is_told_in_every_language(language: str) -> None:
    found, page = set(refused()), i18n.environment(language, "UTC", {}).from_string("{{ gettext(sentence) }}")
    assert len(found) > 8
    assert [one for one in found if page.render(sentence=one) == one] == []
