"""Words that end or begin messages: only when they are all that was said."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from campana.core.message import Wish
from campana.core.optout import KEYWORDS, only_if_opted_out, plain_words, wish_of

PUBLISHED = list(csv.DictReader((Path(__file__).parents[1] / "data/sms/optout_keywords.csv").open(encoding="utf-8")))
KINDS = {"opt_out": Wish.STOP, "opt_in": Wish.START, "help": Wish.HELP}


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row["keyword"])
def test_every_keyword_in_every_dress(row: dict[str, str]) -> None:
    word = row["keyword"]
    for said in (
        word,
        word.lower(),
        word.title(),
        f"  {word}. ",
        f"{word}!!",
        f"¡{word}!",
        f'"{word}"',
        f"{word}\n",
        f"*{word}*",
    ):
        assert wish_of(said) is KINDS[row["kind"]]


def test_no_keyword_is_ours_alone() -> None:
    assert KEYWORDS.keys() == {plain_words(row["keyword"]) for row in PUBLISHED}


@pytest.mark.parametrize(
    "reply",
    [
        "Please do not stop",
        "stop it, you are funny",
        "quiero cancelar mi cita",
        "No quiero baja calidad",
        "Sim",
        "Sí",
        "yes please",
        "nonstop",
        "STOP 2",
        "",
        "   ",
        "...",
        "stop " * 1000,
        "👍",
    ],
)
def test_a_keyword_within_a_sentence_is_a_reply(reply: str) -> None:
    assert wish_of(reply) is None


def test_accents_do_not_matter() -> None:
    assert [wish_of(word) for word in ("arrêt", "ARRET", "não quero", "nao  quero", "no más", "NO MA\u0301S")] == [Wish.STOP] * 6


@pytest.mark.parametrize(
    ("word", "only"), [("Yes!", True), ("START", False), ("UNSTOP", False), ("STOP", False), ("hello", False)]
)
def test_yes_brings_back_only_who_had_opted_out(word: str, only: bool) -> None:
    assert only_if_opted_out(word) is only
