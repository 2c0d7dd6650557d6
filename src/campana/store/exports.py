"""Everybody of a run, page by page in the order of the file, with what became of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from campana.core.ids import Id, numbered_id
from campana.core.journey import Outcome
from campana.store.engines import create_store_engine, reading_options
from campana.store.recipients import OUTCOME_NUMBER
from campana.store.schema import audience, audience_row, recipient

WAITING = OUTCOME_NUMBER[Outcome.WAITING]  # of whoever is not enrolled yet
A, R = audience_row.c, recipient.c


class Line(NamedTuple):
    """One row of the file."""

    cells: str  # JSON
    outcome: int | None  # None: it was left out, and `reason` is why
    reason: str


def rows_of(c: Connection, audience_id: Id) -> int:
    """How many rows an audience has."""
    return c.scalar(select(audience.c.rows).where(audience.c.id == audience_id)) or 0


def pages(database: str, run_id: Id, audience_id: Id, limit: int, outcomes: Collection[int]) -> Iterator[list[Line]]:
    """All lines, for a process that has nothing else to do. No transaction is open between two pages."""
    engine = create_store_engine(database)
    options = reading_options(engine)
    number: int | None = 0
    try:
        while number is not None:
            with engine.connect().execution_options(**options) as c, c.begin():
                found, number = page(c, run_id, audience_id, number, limit, outcomes)
            if found:
                yield found
    finally:
        engine.dispose()


def page(
    c: Connection, run_id: Id, audience_id: Id, number: int, limit: int, outcomes: Collection[int] = ()
) -> tuple[list[Line], int | None]:
    """The lines after a row, and the row to go on from; None: that was all. With outcomes, only people who have one of them."""
    rows = select(A.number, A.cells, A.left_out).where(A.audience_id == audience_id, A.number > number)
    offered = c.execute(rows.order_by(A.number).limit(limit)).all()
    if not offered:
        return [], None
    last = offered[-1][0]
    low, high = numbered_id(run_id, number), numbered_id(run_id, last)
    people = c.execute(select(R.number, R.outcome, R.reason).where(R.id > low, R.id <= high).order_by(R.id)).all()
    known = {at: (outcome, reason) for at, outcome, reason in people}
    nobody = (WAITING, "")
    lines = [
        Line(cells, None, left_out) if left_out is not None else Line(cells, *known.get(at, nobody))
        for at, cells, left_out in offered
    ]
    if outcomes:
        lines = [line for line in lines if line.outcome in outcomes]
    return lines, last if len(offered) == limit else None
