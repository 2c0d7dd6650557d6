"""Texts with fields: `{{column}}` or `${Column}`. A value is data: whatever stands in it is never expanded again."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

FIELD = re.compile(r"\{\{\s*([^{}\s](?:[^{}\r\n]*[^{}\s])?)\s*\}\}|\$\{\s*([^{}\s](?:[^{}\r\n]*[^{}\s])?)\s*\}")
EMPTY = re.compile(r"\{\{\s*\}\}|\$\{\s*\}")
OPENED = re.compile(r"(?:\{\{|\$\{)[^{}\r\n]{0,30}")
SINGLE = re.compile(r"\{\s*(\w[\w ]*?)\s*\}")
CLOSED = re.compile(r"[^{}\r\n]{0,30}\}\}")


def column_key(name: str) -> str:
    """What makes two column names the same: trimmed, case folded, accents composed."""
    return unicodedata.normalize("NFC", name).strip().casefold()


class TextTemplate:
    """A text compiled once, rendered for every person."""

    __slots__ = ("_actual", "_holes", "_pieces", "fields")

    def __init__(self, pieces: list[str], holes: list[tuple[int, str]]) -> None:
        self._pieces = pieces
        self._holes = holes
        self._actual = {name: name for _, name in holes}  # field as written -> column as last seen, so that case costs nothing
        self.fields = tuple({column_key(name): name for _, name in holes}.values())

    def render(self, values: Mapping[str, str | None]) -> str:
        """The text for one person; a field without a value is empty."""
        pieces = self._pieces.copy()
        for position, name in self._holes:
            pieces[position] = values.get(self._actual[name]) or self._find(name, values) or ""
        return "".join(pieces)

    def empty_fields(self, values: Mapping[str, str | None]) -> tuple[str, ...]:
        """The fields that are empty, or only blanks, for this person."""
        return tuple(name for name in self.fields if not (self._find(name, values) or "").strip())

    def _find(self, name: str, values: Mapping[str, str | None]) -> str | None:
        """The value of a column whose name differs from the field in case or in blanks around it."""
        if (actual := self._actual.get(name, name)) in values:
            return values[actual]
        key = column_key(name)
        for column, value in values.items():
            if column_key(column) == key:
                self._actual[name] = column
                return value
        return None


def compile_text(text: str) -> TextTemplate:
    """The template of a text. Braces that are no field are plain text: see `suspicious`."""
    pieces: list[str] = []
    holes: list[tuple[int, str]] = []
    end = 0
    for found in FIELD.finditer(text):
        pieces.append(text[end : found.start()])
        holes.append((len(pieces), found[1] or found[2]))
        pieces.append("")
        end = found.end()
    pieces.append(text[end:])
    return TextTemplate(pieces, holes)


def unknown_fields(template: TextTemplate, columns: Iterable[str]) -> list[str]:
    """The fields, as written, that no column answers to."""
    known = {column_key(column) for column in columns}
    return [name for name in template.fields if column_key(name) not in known]


def duplicate_columns(columns: Iterable[str]) -> list[str]:
    """The column names, as they stand, that a field could not tell from an earlier one."""
    seen: set[str] = set()
    doubles: list[str] = []
    for column in columns:
        key = column_key(column)
        if key in seen:
            doubles.append(column)
        seen.add(key)
    return doubles


class Suspicion(NamedTuple):
    """Braces that look like a field but are none, and are sent as they stand."""

    code: Literal["no_name", "single_braces", "not_closed", "not_opened"]
    found: str
    name: str = ""  # of the column that may be meant


def suspicious(text: str) -> list[Suspicion]:
    """Each pair of braces that looks like a field but is none and will be sent as it stands."""
    rest = FIELD.sub("\n", text)
    told = [Suspicion("no_name", found[0]) for found in EMPTY.finditer(rest)]
    rest = EMPTY.sub("\n", rest)
    for found in SINGLE.finditer(rest):
        if rest[max(0, found.start() - 1)] not in "${" and rest[found.end() : found.end() + 1] != "}":
            told.append(Suspicion("single_braces", found[0], found[1]))
    for found in OPENED.finditer(rest):
        told.append(Suspicion("not_closed", found[0].strip()))
    if not OPENED.search(rest):
        for found in CLOSED.finditer(rest):
            told.append(Suspicion("not_opened", found[0].strip()))
    return told
