"""How many parts an SMS is: the 7-bit alphabet of 3GPP TS 23.038 with its shift tables, or 16-bit units."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

ESCAPE = "\x1b"
UCS2_SINGLE, UCS2_MULTI = 70, 67


class Segments(NamedTuple):
    """A text as it is sent. `units` are septets, or UTF-16 units for UCS2."""

    encoding: str  # GSM7, GSM7+ES (national single shift), GSM7++PT (both shifts) or UCS2
    characters: int
    units: int
    segments: int


@dataclass(frozen=True, slots=True)
class Alphabet:
    """One way to write a text in septets."""

    name: str
    plain: re.Pattern[str]  # characters of one septet
    covered: re.Pattern[str]  # those and the escaped ones
    escaped: dict[int, str]  # a character of two septets -> escape and something
    single: int
    multi: int


def _tables() -> dict[str, Any]:
    text = resources.files("campana.core").joinpath("data/gsm7_tables.json").read_text(encoding="utf-8")
    tables: dict[str, Any] = json.loads(text)
    return tables


def _alphabet(name: str, basic: Iterable[str | None], shift: Iterable[str], capacity: dict[str, int]) -> Alphabet:
    one = "".join(sign for sign in basic if sign)
    two = "".join(sign for sign in shift if sign not in one)
    return Alphabet(
        name,
        re.compile(f"[{re.escape(one)}]*"),
        re.compile(f"[{re.escape(one + two)}]*"),
        {ord(sign): ESCAPE + "e" for sign in two},
        capacity["single"],
        capacity["multi"],
    )


TABLES = _tables()
GSM7 = _alphabet("GSM7", TABLES["default"], TABLES["default_extension"].values(), TABLES["capacity"]["gsm7"])
NATIONAL = tuple(TABLES["national"])


@cache
def _national(language: str) -> tuple[Alphabet, ...]:
    """The alphabets a sender of that language may use beside the default one, the cheapest change first."""
    table, capacity = TABLES["national"][language], TABLES["capacity"]
    shift = table["single_shift"].values()
    found = [_alphabet(f"GSM7+{language}", TABLES["default"], shift, capacity["gsm7_national_single_shift"])]
    if table["locking_shift"]:
        both = capacity["gsm7_national_both_shifts"]
        found.append(_alphabet(f"GSM7++{language}", table["locking_shift"], shift, both))
    return tuple(found)


def count(text: str, national: str | None = None) -> Segments:
    """How the text is written and in how many parts; `national` is the language whose shift tables the sender may use."""
    if GSM7.plain.fullmatch(text):
        length = len(text)
        parts = -(-length // GSM7.multi) if length > GSM7.single else 1 if length else 0
        return Segments("GSM7", length, length, parts)
    if GSM7.covered.fullmatch(text):
        return _in_septets(GSM7, text)
    for alphabet in _national(national) if national in NATIONAL else ():
        if alphabet.covered.fullmatch(text):
            return _in_septets(alphabet, text)
    return _in_utf16(text)


def _in_septets(alphabet: Alphabet, text: str) -> Segments:
    septets = text.translate(alphabet.escaped)
    units = len(septets)
    parts = 1 if units <= alphabet.single else _parts(septets, alphabet.multi, ESCAPE)
    return Segments(alphabet.name, len(text), units, parts)


def _in_utf16(text: str) -> Segments:
    pairs = [" " if sign <= "\uffff" else "\ud800\udc00" for sign in text]
    units = "".join(pairs)
    parts = 1 if len(units) <= UCS2_SINGLE else _parts(units, UCS2_MULTI, "\ud800")
    return Segments("UCS2", len(text), len(units), parts)


def _parts(units: str, size: int, opener: str) -> int:
    """Greedy packing: a part whose last unit would open a pair ends one unit earlier."""
    position, parts = 0, 0
    while position < len(units):
        end = position + size
        position = end - 1 if end < len(units) and units[end - 1] == opener else end
        parts += 1
    return parts
