"""The rows of an audience one page at a time, found by their number or by what is wrong with them, and changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, text, update

from campana.core.audience import DUPLICATE
from campana.core.ids import Id
from campana.store.dialect import SetStatement, given
from campana.store.schema import audience_row
from campana.store.schema.audiences import PROBLEM

ALL, PROBLEMS = "", "problems"  # what is shown; else the flag of the rows
R = audience_row.c
ROW = select(R.number, R.cells, R.phone, R.email, R.issues, R.left_out, R.flag)
PUT = given(R.audience_id, R.number, R.cells, R.phone, R.email, R.issues, R.left_out, R.flag)
SAVE = SetStatement(
    update(audience_row)
    .where(R.audience_id == PUT.c.audience_id, R.number == PUT.c.number)
    .values({one.name: one for one in PUT.columns if one.name not in ("audience_id", "number")}),
    PUT,
)


def _shown(audience_id: Id, shown: str) -> list[ColumnElement[bool]]:
    """The condition is written as the index has it, or the database would not know that it may use it."""
    where: list[ColumnElement[bool]] = [R.audience_id == audience_id]
    if shown == PROBLEMS:
        where.append(text(PROBLEM))  # type: ignore[arg-type]
    elif shown != ALL:
        where.append(R.flag == shown)
    return where


def from_number(c: Connection, audience_id: Id, shown: str, number: int, limit: int) -> Sequence[Any]:
    """The next rows from that number on: number, cells, phone, email, issues, left_out, flag."""
    return c.execute(ROW.where(*_shown(audience_id, shown), R.number >= number).order_by(R.number).limit(limit)).all()


def up_to_number(c: Connection, audience_id: Id, shown: str, number: int, limit: int) -> Sequence[Any]:
    """The last rows up to that number, in their order."""
    found = c.execute(ROW.where(*_shown(audience_id, shown), R.number <= number).order_by(R.number.desc()).limit(limit)).all()
    return found[::-1]


def last_number(c: Connection, audience_id: Id) -> int:
    """The number of the last row; 0 when there is none."""
    return c.scalar(select(func.max(R.number)).where(R.audience_id == audience_id)) or 0


def one(c: Connection, audience_id: Id, number: int) -> Any:
    """One row, or None."""
    return c.execute(ROW.where(R.audience_id == audience_id, R.number == number)).first()


def save(c: Connection, audience_id: Id, rows: Sequence[dict[str, Any]]) -> None:
    """The rows, found by their number, are as said here: cells, phone, email, issues, left_out, flag."""
    SAVE.run(c, [{"audience_id": audience_id, **row} for row in rows])


def with_addresses(
    c: Connection, audience_id: Id, phones: Collection[str], emails: Collection[str], besides: int, limit: int
) -> Sequence[Any]:
    """The rows with one of these addresses that are offered, or are the repetition of one that is; those that are offered come
    first. There is no index for it: of a million rows it takes a fifth of a second, and reading them in none longer."""
    statement: Select[Any] = ROW.where(
        R.audience_id == audience_id,
        R.number != besides,
        or_(R.left_out.is_(None), R.left_out == DUPLICATE),
        or_(and_(R.phone.is_not(None), R.phone.in_(phones)), and_(R.email.is_not(None), R.email.in_(emails))),
    )
    return c.execute(statement.order_by(R.left_out.is_not(None), R.number).limit(limit)).all()


def offered_addresses(c: Connection, audience_id: Id, after: int, limit: int) -> Sequence[Any]:
    """The next rows that are offered: number, phone, email."""
    statement = select(R.number, R.phone, R.email).where(R.audience_id == audience_id, R.number > after, R.left_out.is_(None))
    return c.execute(statement.order_by(R.number).limit(limit)).all()
