"""What people are told about a vendor's error code, in their language: what happened, why, what to do, and what follows.

A vendor's table says what the engine does with each code; beside it lies one file of sentences a language,
`advice/<table>.<language>.csv` with the columns code, what, why and do. A package that brings a channel of its own lays both
into a folder of its own and names it: `Errors("acme", package="acme_campana", folder="errors")`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple

from campana.core.failure import Class, Failure, Follows, Retry, Table, follows

HOUSE = "campana.channels"
FOLDER = "errors"
SOURCE = "en"
LANGUAGES = ("en", "pt_BR", "es")
LIST = " | "  # in a cell: the sentence before it introduces what comes after it as a list
CODE = re.compile(r"\((\d{1,9}|http-\d{3}|status-\d{1,4})\)\W*$", re.ASCII)
AGAIN = frozenset({"http-425", "http-429"})  # not processed, so the same may be sent again

# What is said when the table has nothing: our own codes, and what is known of a code besides its name.
GENERAL = "general"
UNLISTED, NAMELESS, UNSENT, HTTP = "unlisted", "nameless", "unsent", "http"


class Words(NamedTuple):
    """One row of a file of advice."""

    what: str
    why: str
    reasons: tuple[str, ...]
    do: str


@dataclass(frozen=True, slots=True)
class Advice:
    """All that people are told about one code."""

    code: str
    meaning: str  # in the words of the table, which are English; empty when the code is in none
    what: str
    why: str
    reasons: tuple[str, ...]  # the possible ones, when `why` introduces a list
    do: str
    link: str  # the vendor's own page, or nothing
    cls: Class | None
    follows: Follows | None  # what the journey does; None when that depends on more than the code
    general: bool  # nobody wrote about this very code

    @property
    def text(self) -> str:
        """All of its words, to be searched."""
        return " ".join((self.code, self.meaning, self.what, self.why, *self.reasons, self.do))


class Errors:
    """A vendor's error codes: what each means for the step, and what people are told about it."""

    def __init__(
        self,
        table: str = "",
        bad_address: frozenset[str] = frozenset(),
        page: str = "",  # the vendor's own page about a code, with {code} in it
        package: str = HOUSE,
        folder: str = FOLDER,
    ) -> None:
        self.package, self.folder, self.name, self.page = package, folder, table, page
        text = _file(package, f"{folder}/{table}.csv") if table else ""
        self.table = Table.read(text or "", bad_address)

    def codes(self) -> Iterator[str]:
        """Every code of the table in its order; a range by its first and last number."""
        return iter(self.table.codes)

    def words(self, language: str) -> Mapping[str, Words]:
        """The file of advice in that language, in English where there is none."""
        return _words(self.package, f"{self.folder}/advice/{self.name}", language) if self.name else {}

    def advice(self, code: str, language: str = SOURCE, cls: Class | None = None) -> Advice:
        """What to say about a code; of one that the table does not have, what its class or its kind tells."""
        row = self.table.row(code)
        words = self.words(language).get(row.code) if row else None
        if row is None or words is None:
            return self._general(code, language, row, cls)
        return self._made(code, words, row, row.cls, general=False)

    def _general(self, code: str, language: str, row: Failure | None, cls: Class | None) -> Advice:
        kind = _kind_of(code, row.cls if row else cls)
        words = general(language)[kind]
        failure = row or _OURS.get("http-429" if code in AGAIN else kind)
        return self._made(code, words, failure, cls or (failure.cls if failure else None), general=True)

    def _made(self, code: str, words: Words, failure: Failure | None, cls: Class | None, general: bool) -> Advice:
        known = self.table.row(code)
        meaning = known.words if known else ""
        then = follows(failure) if failure else None
        return Advice(code, meaning, words.what, words.why, words.reasons, words.do, self._link(code), cls, then, general)

    def _link(self, code: str) -> str:
        of_its_own = code.isascii() and code.isdigit() and len(code) < 10
        return self.page.replace("{code}", code) if of_its_own or "{code}" not in self.page else ""


def code_in(words: str) -> str:
    """The code at the end of what is kept of a vendor's refusal, as in "Access token expired (190)"; empty when there is none."""
    found = CODE.search(words)
    return found[1] if found else ""


def _kind_of(code: str, cls: Class | None) -> str:
    """Which of the general texts fits a code that nobody wrote about."""
    if not code:
        return NAMELESS
    if code == UNSENT:
        return UNSENT
    if code.startswith("http-"):
        return Class.TRANSIENT if code in AGAIN else HTTP
    return cls or UNLISTED


_OURS = {
    HTTP: Failure(HTTP, "", Class.CONFIG, fallback=False),
    "http-429": Failure(HTTP, "", Class.TRANSIENT, fallback=True, retry=Retry.YES),
}


def general(language: str) -> Mapping[str, Words]:
    """What is said when only the class is known, or a code is our own."""
    return _words(HOUSE, f"{FOLDER}/advice/{GENERAL}", language)


@cache
def _words(package: str, path: str, language: str) -> Mapping[str, Words]:
    text = _file(package, f"{path}.{language}.csv")
    if text is None:
        return {} if language == SOURCE else _words(package, path, SOURCE)
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return MappingProxyType({row["code"]: _row(row) for row in rows})


def _row(row: Mapping[str, str]) -> Words:
    why, *reasons = row["why"].split(LIST)
    return Words(row["what"], why, tuple(reasons), row["do"])


def _file(package: str, path: str) -> str | None:
    """A file of a package, None when it is not there."""
    file = resources.files(package).joinpath(path)
    return file.read_text(encoding="utf-8") if file.is_file() else None


NONE = Errors()
