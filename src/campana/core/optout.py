"""What a person's words ask of us: a keyword counts only when it is the whole message."""

from __future__ import annotations

import csv
import unicodedata
from importlib import resources

from campana.core.message import Wish

KINDS = {"opt_out": Wish.STOP, "opt_in": Wish.START, "help": Wish.HELP}
LONGEST = 60  # characters; a keyword with its punctuation is never longer


def plain_words(text: str) -> str:
    """The message as keywords are compared: no accents, no case, no marks or blanks around it."""
    spread = unicodedata.normalize("NFKD", text)
    letters = "".join(sign for sign in spread if not unicodedata.combining(sign) and unicodedata.category(sign) != "Cf")
    first, last = 0, len(letters)
    while first < last and _is_around(letters[first]):
        first += 1
    while last > first and _is_around(letters[last - 1]):
        last -= 1
    return " ".join(letters[first:last].split()).casefold()


def _is_around(sign: str) -> bool:
    return sign.isspace() or unicodedata.category(sign).startswith("P")


def _keywords() -> dict[str, tuple[Wish, bool]]:
    text = resources.files("campana.core").joinpath("data/optout_keywords.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {plain_words(row["keyword"]): (KINDS[row["kind"]], row["only_if_opted_out"] == "yes") for row in rows}


KEYWORDS = _keywords()


def wish_of(text: str) -> Wish | None:
    """The wish these words are, or None when they are a reply."""
    return _keyword(text)[0]


def only_if_opted_out(text: str) -> bool:
    """True for words such as YES: they bring back someone who had opted out, from anyone else they are a reply."""
    return _keyword(text)[1]


def _keyword(text: str) -> tuple[Wish | None, bool]:
    return KEYWORDS.get(plain_words(text), (None, False)) if len(text) <= LONGEST else (None, False)
