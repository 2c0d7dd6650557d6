"""What people say in the forms of an audience: how a file is read, what a column is, what a cell should hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import phonenumbers
from babel import Locale

from campana.core.audience import REASONS
from campana.core.campaign import AudienceSpec
from campana.core.reading import EMAIL, FIELD, IGNORE, PHONE, Found, Told, mapped
from campana.core.workbench import Row, joined
from campana.store.audience_rows import ALL, PROBLEMS
from campana.store.audiences import Audience
from campana.web.console.page import AnyRequest, number

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
ENCODINGS = ("utf-8", "utf-16", "cp1252", "iso-8859-1", "iso-8859-15", "cp850", "mac_roman")
ROLES = (PHONE, EMAIL, FIELD, IGNORE)
WARNINGS = ("not_in_plan", "no_plus", "extension")
TOO_WIDE = "too_many_cells"
KINDS = (*REASONS, *WARNINGS)
PAGE = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows the reader wants to see, as the address says it."""

    shown: str = ALL
    first: int = 1
    until: int = 0  # the page that ends with this row, instead of beginning with `first`
    edit: int = 0  # the row whose cells are all open
    poll: int = 0  # it is asked for only to see how far the work is

    @classmethod
    def read(cls, asked: Mapping[str, Any]) -> Wanted:
        """What makes no sense there is left away."""
        shown = str(asked.get("show", ""))
        return cls(
            shown if shown in (PROBLEMS, *KINDS) else ALL,
            max(1, number(asked.get("from"))),
            number(asked.get("until")),
            number(asked.get("edit")),
            number(asked.get("poll")),
        )

    def query(self, **changes: Any) -> str:
        """The address's query with some of this changed; another filter begins with its first row."""
        wanted = replace(self, **{"edit": 0, "poll": 0, **changes})
        if "shown" in changes:
            wanted = replace(wanted, first=1, until=0)
        named = {"show": wanted.shown, "from": wanted.first if wanted.first > 1 else "", "until": wanted.until or ""}
        named |= {"edit": wanted.edit or "", "poll": wanted.poll or ""}
        asked = urlencode({name: value for name, value in named.items() if value})
        return f"?{asked}" if asked else ""


def told_of(form: Mapping[str, Any], found: Found | None, spec: AudienceSpec) -> tuple[Told, AudienceSpec]:
    """How a file shall be read, by the form of the workbench."""
    header = {"yes": True, "no": False}.get(str(form.get("header", "")))
    encoding, sheet = str(form.get("encoding", "")), str(form.get("sheet", ""))
    told = Told(
        encoding if encoding in ENCODINGS else None,
        SEPARATORS.get(str(form.get("separator", ""))),
        header,
        sheet if found and sheet in (found.sheet, *found.other_sheets) else None,
    )
    spec = spec_of(form, spec)
    columns = found.header if found and _same_table(form, told, found) else ()
    roles = {
        at: (str(form.get(f"role-{at}", FIELD)), str(form.get(f"name-{at}", ""))[:200])
        for at in range(len(columns))
        if f"role-{at}" in form
    }
    return mapped(told, spec, columns, roles) if roles else (told, spec.model_copy(update={"phone": None, "email": None}))


def _same_table(form: Mapping[str, Any], told: Told, found: Found) -> bool:
    """Whether the columns are those that the form shows: with another separator or header they are others."""
    changed = (
        told.separator not in (None, found.separator),
        told.encoding is not None and told.encoding != (found.encoding or "").removesuffix("-sig"),
        told.header is not None and told.header != found.has_header,
        told.sheet not in (None, found.sheet),
    )
    return not any(changed)


def spec_of(form: Mapping[str, Any], spec: AudienceSpec) -> AudienceSpec:
    """Country and policy as the form says. Flagged rows are shown, never a reason to refuse the file."""
    country = str(form.get("country", ""))
    duplicates = str(form.get("duplicates", "")) or spec.duplicates
    return spec.model_copy(
        update={
            "country": country if country in phonenumbers.SUPPORTED_REGIONS else None,
            "duplicates": duplicates if duplicates in ("first", "refuse") else spec.duplicates,
            "flagged": "leave_out",
        }
    )


def cells_of(form: Mapping[str, Any]) -> dict[int, str]:
    """The cells that a row's form holds, by the place of their column."""
    found = {}
    for name, value in form.items():
        place = name.removeprefix("cell-")
        if place != name and place.isdecimal() and len(place) < 4:
            found[int(place)] = str(value)
    return found


@lru_cache(8)
def countries(language: str) -> list[tuple[str, str]]:
    """All countries that have numbers, by their name in a language."""
    names = Locale.parse(language).territories
    return sorted(((code, names.get(code, code)) for code in phonenumbers.SUPPORTED_REGIONS), key=lambda pair: pair[1])


def separator_of(audience: Audience) -> str:
    """What divides two cells of its file; a space when nothing that can be seen does."""
    found = audience.reading.found
    return found.separator if found and found.separator and found.separator != "\t" else " "


def surplus(row: Row, columns: tuple[str, ...]) -> set[int]:
    """The cells of a row that belong to no column; empty ones are nobody's loss."""
    more = range(len(columns), len(row.cells))
    return set(more) if any(row.cells[at].strip() for at in more) else set()


def mended(cells: dict[int, str], columns: tuple[str, ...], how: str, sign: str) -> dict[int, str]:
    """The cells of a row that has too many: `cut` leaves away those that belong to no column, `join-2` makes one of the cell at
    2 and the next one. Anything else changes nothing."""
    if how == "cut":
        return {at: "" if at >= len(columns) else cell for at, cell in cells.items()}
    verb, _, at = how.partition("-")
    return joined(cells, number(at), sign) if verb == "join" and at.isdecimal() else cells


def open_cells(row: Row, columns: tuple[str, ...], reachable: tuple[int | None, int | None], edit: bool) -> set[int]:
    """The cells of a row that can be typed into: those with a problem, or all of them."""
    if row.left_out == "dropped":
        return set()
    if edit:
        return set(range(len(columns))) | surplus(row, columns)
    problems = [issue for issue in row.issues if issue.severity == "problem"]
    if any(issue.code == TOO_WIDE for issue in problems):
        return set(range(len(columns))) | surplus(row, columns)  # nobody knows which one is too many
    found = {columns.index(issue.column) for issue in problems if issue.column in columns}
    if any(issue.code == "missing" for issue in problems):
        found |= {place for place in reachable if place is not None}
    return found


def asked_of(request: AnyRequest) -> Wanted:
    """Which rows a request's address wants."""
    return Wanted.read(request.query_params)
