"""What becomes of an audience's rows when people fix one, drop it, bring it back, or say that it is right all the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from campana.core.audience import DROPPED, DUPLICATE, CheckedRow, Checker, Columns, Issue, resolve_columns
from campana.core.campaign import AudienceSpec

LONGEST = 10_000  # signs of a cell, as in files


class Row(msgspec.Struct, frozen=True):
    """A row of the audience as it stands."""

    number: int
    cells: tuple[str, ...]
    phone: str | None
    email: str | None
    issues: tuple[Issue, ...]
    left_out: str | None
    flag: str | None

    @classmethod
    def of(cls, row: CheckedRow) -> Row:
        """The row as it was checked."""
        return cls(row.number, tuple(row.raw), row.phone, row.email, row.issues, row.reason, row.flag)

    @property
    def mark(self) -> str:
        """Names the row as people saw it: other cells, or another state, are another mark."""
        seen = msgspec.json.encode((self.cells, self.left_out, self.flag))
        return blake2b(seen, digest_size=8).hexdigest()


class Addresses:
    """The addresses of a few rows that are offered, and the row of each."""

    def __init__(self, known: Mapping[str, int]) -> None:
        self._rows = dict(known)

    def row_of(self, value: str) -> int:
        """The row that has the address; 0 when it is nobody's."""
        return self._rows.get(value, 0)

    def add(self, value: str, row: int) -> None:
        """The address is that row's from now on."""
        self._rows[value] = row


def columns_of(names: Sequence[str], spec: AudienceSpec) -> Columns:
    """The columns of an audience that was read before."""
    return resolve_columns(names, spec)


def among(rows: Iterable[Row]) -> tuple[Addresses, Addresses]:
    """The phones and the e-mail addresses of those rows that are offered."""
    offered = [row for row in rows if row.left_out is None]
    phones = {row.phone: row.number for row in offered if row.phone is not None}
    return Addresses(phones), Addresses({row.email: row.number for row in offered if row.email is not None})


def dropped(row: Row) -> Row:
    """Out of the audience, by hand."""
    return replace(row, left_out=DROPPED, flag=DROPPED)


def accepted(row: Row) -> Row:
    """All that was only worth a look is right as it is (contract 101)."""
    issues = tuple(replace(issue, severity="accepted") if issue.severity == "warning" else issue for issue in row.issues)
    return replace(row, issues=issues, flag=row.left_out)


def with_cells(row: Row, cells: Mapping[int, str]) -> Row:
    """The row with other texts in some of its cells; nothing is checked yet."""
    return replace(row, cells=tuple(cells.get(at, cell)[:LONGEST] for at, cell in enumerate(row.cells)))


def checked(checker: Checker, row: Row) -> Row:
    """The row as the rules see it now. What was accepted before and has not changed stays accepted."""
    found = Row.of(checker.check(row.number, _within(row.cells, len(checker.columns.names))))
    before = {(issue.column, issue.words) for issue in row.issues if issue.severity == "accepted"}
    known = all((issue.column, issue.words) in before for issue in found.issues if issue.severity == "warning")
    return accepted(found) if before and known else found


def _within(cells: Sequence[str], width: int) -> list[str]:
    """The cells without empty ones that belong to no column."""
    end = len(cells)
    while end > width and not cells[end - 1].strip():
        end -= 1
    return list(cells[:end])


def joined(cells: Mapping[int, str], at: int, sign: str) -> dict[int, str]:
    """The cells with two of them made one, as they were before `sign` divided them; those behind move up."""
    places = sorted(cells)
    if at not in places[:-1]:
        return dict(cells)
    here = places.index(at)
    texts = [cells[place] for place in places]
    texts[here : here + 2] = [texts[here] + sign + texts[here + 1]]
    return dict(zip(places, [*texts, ""], strict=True))


def repetitions(row: Row, others: Sequence[Row]) -> list[Row]:
    """Of the others, those left out as a repetition of an address that the row offered."""
    if row.left_out is not None:
        return []
    mine = {row.phone, row.email} - {None}
    return [other for other in others if other.left_out == DUPLICATE and mine & {other.phone, other.email}]


def settled(
    columns: Columns, spec: AudienceSpec, now: Row, offered: Sequence[Row], doubles: Sequence[Row], check: bool = True
) -> list[Row]:
    """The row after a change, and those that were its repetitions and are looked at anew: `offered` has all that any of
    their addresses could repeat."""
    phones, emails = among([one for one in offered if one.number != now.number] + ([] if check else [now]))
    checker = Checker(columns, spec, (), phones, emails)
    first = checked(checker, now) if check else now
    return [first, *(checked(checker, double) for double in doubles if double.number != now.number)]
