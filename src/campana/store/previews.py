"""One person of an audience, as a preview shows them. Only people who are offered are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, select

from campana.core.ids import Id
from campana.store import suppressions
from campana.store.schema import audience, audience_row


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a preview is drawn for, and the rows of those before and after them; None: there is nobody."""

    number: int
    phone: str | None
    email: str | None
    cells: Mapping[str, str]
    barred: frozenset[tuple[str, str]] = frozenset()  # (address, medium) that must not be written to
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class People:
    """The audience of a draft as a preview needs it."""

    columns: tuple[str, ...] = ()
    person: Person | None = None
    wanted: bool = True  # the person is the one who was asked for, not another one in their stead
    out: tuple[int, str] | None = None  # the row that was asked for and gets nothing, and why
    file_name: str = ""
    loaded: bool = False
    rows: int = 0
    offered: int = 0
    facts: Any = field(default=None, repr=False)


R = audience_row.c
SAMPLE = 200
NEAR = 500  # rows that are looked at first
CELLS = msgspec.json.Decoder(list[str])


def people(c: Connection, workspace_id: Id, audience_id: Id | None, asked: str = "") -> People:
    """The audience, and the person that a row number, a phone number or an e-mail address names. When that one is left out, the
    next; when there is no such one, the first."""
    a = audience.c
    facts = c.execute(
        select(a.file_name, a.columns, a.loaded, a.rows, a.offered, a.summary, a.spec, a.trouble).where(
            a.workspace_id == workspace_id, a.id == audience_id
        )
    ).first()
    if audience_id is None or facts is None:
        return People()
    columns = tuple(msgspec.json.decode(facts.columns, type=list[str]))
    found = _asked(c, audience_id, asked.strip())
    out = None if found is not None or not asked.strip() else _asked(c, audience_id, asked.strip(), left_out=True)
    row = found or (out and _neighbour(c, audience_id, out.number)) or _neighbour(c, audience_id, 0)
    person = _person(c, workspace_id, audience_id, columns, row) if row else None
    wanted = found is not None or not asked.strip()
    why = (out.number, out.left_out) if out else None
    return People(columns, person, wanted, why, facts.file_name, facts.loaded, facts.rows, facts.offered, facts)


def _row(*where: ColumnElement[bool], left_out: bool = False) -> Any:
    offered = R.left_out.is_not(None) if left_out else R.left_out.is_(None)
    return select(R.number, R.cells, R.phone, R.email, R.left_out).where(offered, *where).limit(1)


def _asked(c: Connection, audience_id: Id, asked: str, left_out: bool = False) -> Any:
    """The row that is asked for, among those offered or among those left out."""

    def first(*where: ColumnElement[bool]) -> Any:
        return c.execute(_row(R.audience_id == audience_id, *where, left_out=left_out)).first()

    digits = "".join(sign for sign in asked if sign in "0123456789")
    if not asked:
        return None
    if asked.isascii() and asked.isdigit() and len(asked) < 8:
        return first(R.number == int(asked))
    if "@" in asked:
        return first(R.email == asked.lower())
    if len(digits) < 4:
        return None
    return first(R.phone == f"+{digits}") or first(R.phone.contains(digits, autoescape=True))


def _neighbour(c: Connection, audience_id: Id, number: int, back: bool = False) -> Any:
    """The next offered row, or the one before. Near rows are looked at first: of rows that were just loaded PostgreSQL knows so
    little that it would sort them all."""
    order = R.number.desc() if back else R.number
    near = R.number.between(number - NEAR, number - 1) if back else R.number.between(number + 1, number + NEAR)
    for where in (near, R.number < number if back else R.number > number):
        if (row := c.execute(_row(R.audience_id == audience_id, where).order_by(order)).first()) is not None:
            return row
    return None


def _person(c: Connection, workspace_id: Id, audience_id: Id, columns: tuple[str, ...], row: Any) -> Person:
    before = _neighbour(c, audience_id, row.number, back=True)
    after = _neighbour(c, audience_id, row.number)
    cells = dict(zip(columns, CELLS.decode(row.cells), strict=False))
    addresses = {address for address in (row.phone, row.email) if address}
    barred = frozenset(suppressions.among(c, workspace_id, addresses))
    numbers = (before.number if before else None, after.number if after else None)
    return Person(row.number, row.phone, row.email, cells, barred, *numbers)


def sample(c: Connection, audience_id: Id, columns: Sequence[str]) -> list[tuple[int, Mapping[str, str]]]:
    """Some of the first people of an audience: row number, cells by column."""
    where = (R.audience_id == audience_id, R.number.between(1, NEAR), R.left_out.is_(None))
    rows = c.execute(select(R.number, R.cells).where(*where).order_by(R.number).limit(SAMPLE))
    return [(row.number, dict(zip(columns, CELLS.decode(row.cells), strict=False))) for row in rows]


@dataclass(frozen=True, slots=True)
class Offered:
    """A person whose texts are counted."""

    number: int
    phone: str | None
    email: str | None
    cells: Mapping[str, str]


def offered_between(c: Connection, audience_id: Id, columns: Sequence[str], first: int, last: int) -> list[Offered]:
    """The people of these rows who are offered, in their order."""
    where = (R.audience_id == audience_id, R.number.between(first, last), R.left_out.is_(None))
    rows = c.execute(select(R.number, R.cells, R.phone, R.email).where(*where).order_by(R.number))
    return [Offered(row.number, row.phone, row.email, dict(zip(columns, CELLS.decode(row.cells), strict=False))) for row in rows]
