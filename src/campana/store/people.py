"""The people of a campaign as pages show them: in the order of their rows, by outcome, or by an address.

Whatever is asked for is found by an index, or looked for among no more rows than one request has the time for; then it is told
how far was looked, and the next request goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, select, text

from campana.core.campaign import Plan
from campana.core.ids import Id, numbered_id
from campana.core.journey import Outcome
from campana.store import campaigns, messages, recipients
from campana.store.campaigns import RunRow
from campana.store.messages import MessageRow
from campana.store.recipients import BY_OPEN, OPEN, OUTCOME_NUMBER, Person
from campana.store.schema import address, audience, audience_row, campaign, recipient
from campana.store.suppressions import HIGHEST

LOOKED = 20_000  # rows of one request
COMPARED = 10_000  # of one request, when their cells or addresses are compared here
AT_ONCE = 2_000
STILL_OPEN = frozenset({Outcome.WAITING, Outcome.SENDING})
OVER = text("recipient.stage = 4")  # word for word as the index says it
BY_OVER = (recipient, "INDEXED BY recipient_over", "sqlite")
CELLS = msgspec.json.Decoder(list[str])
R, A = recipient.c, audience_row.c


@dataclass(frozen=True, slots=True)
class Head:
    """A campaign with its latest run, as its pages begin."""

    campaign_id: Id
    name: str
    run: RunRow
    plan: Plan
    columns: tuple[str, ...]

    @property
    def zone(self) -> str:
        """By whose clocks the campaign goes; empty: nobody chose them."""
        return self.plan.hours.zone if self.plan.hours else self.plan.zone


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which people are looked for. Of the three ways to search, one is given at most."""

    outcome: Outcome | None = None
    step: int | None = None
    number: int | None = None  # the row
    address: tuple[str, str] | None = None  # (phone or email, how it begins)
    words: str = ""  # somewhere in their cells

    @property
    def reach(self) -> int:
        """How many rows one request looks through."""
        return COMPARED if self.words else LOOKED


@dataclass(frozen=True, slots=True)
class Line:
    """One person. Who is not enrolled yet is a row of the audience and nothing else."""

    number: int
    phone: str | None
    email: str | None
    cells: Sequence[str]
    person: Person | None = None
    message: MessageRow | None = None  # the latest attempt


@dataclass(frozen=True, slots=True)
class Page:
    """Some people, and where the next ones begin."""

    lines: Sequence[Line]
    after: str = ""  # what the next page comes after; empty: these are the last
    looked_to: int | None = None  # not all was looked through: only rows up to this one


def head(c: Connection, workspace_id: Id, campaign_id: Id) -> Head | None:
    """The campaign when the workspace has it and it was launched."""
    where = (campaign.c.id == campaign_id, campaign.c.workspace_id == workspace_id)
    name = c.scalar(select(campaign.c.name).where(*where))
    found = campaigns.latest_run(c, campaign_id) if name is not None else None
    return _head(name or "", found) if found else None


def head_of_run(c: Connection, workspace_id: Id, run_id: Id) -> Head | None:
    """The campaign of a run, when the workspace has it."""
    found = campaigns.get_run(c, run_id)
    if found is None or found.workspace_id != workspace_id:
        return None
    return _head(campaigns.name_of(c, workspace_id, found.campaign_id), found)


def _head(name: str, found: RunRow) -> Head:
    columns = tuple(msgspec.json.decode(found.columns, type=list[str]))
    return Head(found.campaign_id, name, found, Plan.model_validate_json(found.plan), columns)


def page(c: Connection, head: Head, wanted: Wanted, after: str, limit: int) -> Page:
    """The next people after a place that an earlier page named; empty: the first ones."""
    if wanted.number is not None:
        return Page([line for line in [_row(c, head, wanted.number)] if line and _fits(line, wanted)])
    if wanted.address is not None:
        return _by_address(c, head, wanted, after, limit)
    number = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
    through = head.run.enrolled_through if _more_to_come(head) else 2**63 - 1
    found: list[int] = []
    if number < through:
        found, looked_to = _enrolled(c, head, wanted, number, through, limit + 1)
        if looked_to is not None or len(found) > limit:
            shown, more = found[:limit], len(found) > limit
            return Page(_lines(c, head, shown), str(shown[-1] if more else looked_to), None if more else looked_to)
    lines = _lines(c, head, found)
    if not _more_to_come(head) or not _may_be_waiting(wanted):
        return Page(lines)
    return _with_waiting(c, head, wanted, lines, max(number, through), limit)


# --- who is enrolled --------------------------------------------------------------------------------------------------------


def _place(ids: Id) -> int:
    return int.from_bytes(ids[8:], "big")


def _among(wanted: Wanted) -> tuple[Select[Any], list[ColumnElement[bool]]]:
    """Which index finds them, and the conditions that it answers."""
    statement = select(R.id)
    if wanted.outcome is None:
        return statement, []
    if wanted.outcome in STILL_OPEN:
        return statement.with_hint(*BY_OPEN), [OPEN]  # type: ignore[list-item]
    return statement.with_hint(*BY_OVER), [OVER, R.outcome == OUTCOME_NUMBER[wanted.outcome]]  # type: ignore[list-item]


def _enrolled(c: Connection, head: Head, wanted: Wanted, number: int, through: int, limit: int) -> tuple[list[int], int | None]:
    """Row numbers of people enrolled, and up to which row was looked when that is not all of them."""
    statement, told = _among(wanted)
    low, high = (numbered_id(head.run.id, at) for at in (number, through))
    rest: list[ColumnElement[bool]] = []
    if wanted.outcome in STILL_OPEN:
        rest.append(R.outcome == OUTCOME_NUMBER[wanted.outcome])
    if wanted.step is not None:
        rest.append(R.step == wanted.step)
    last = None
    if rest or wanted.words:
        # Not a way to turn pages: it counts in the index how far this one request may look.
        bound = statement.where(R.id > low, R.id <= high, *told).order_by(R.id).offset(wanted.reach - 1).limit(1)
        last = c.scalar(bound)
        high = last or high
    if wanted.words:
        found = _with_words(c, statement, [*told, *rest], wanted.words, low, high, limit)
    else:
        found = list(c.scalars(statement.where(R.id > low, R.id <= high, *told, *rest).order_by(R.id).limit(limit)))
    return [_place(one) for one in found], _place(last) if last else None


def _with_words(
    c: Connection, statement: Select[Any], where: list[ColumnElement[bool]], words: str, low: Id, high: Id, limit: int
) -> list[Id]:
    """Whose cells have these words: compared here, as databases fold no letters but the English ones."""
    found: list[Id] = []
    statement = statement.add_columns(R.cells).where(R.id <= high, *where).order_by(R.id).limit(AT_ONCE)
    while len(found) < limit:
        rows = c.execute(statement.where(R.id > low)).all()
        found += [row.id for row in rows if _says(row.cells, words)]
        if len(rows) < AT_ONCE:
            break
        low = rows[-1].id
    return found[:limit]


def _says(cells: str, words: str) -> bool:
    """Whether one of the cells has the words. JSON's own signs are no part of them."""
    if words not in cells.casefold() and "\\" not in cells:
        return False
    return any(words in cell.casefold() for cell in CELLS.decode(cells))


def _lines(c: Connection, head: Head, numbers: Sequence[int]) -> list[Line]:
    """Their lines, in the order of the numbers."""
    people = {_place(one.id): one for one in recipients.load(c, [numbered_id(head.run.id, number) for number in numbers])}
    latest = messages.load(c, [one.message_id for one in people.values() if one.message_id])
    return [_line(number, people[number], latest) for number in numbers if number in people]


def _line(number: int, person: Person, latest: dict[Id, MessageRow]) -> Line:
    cells = CELLS.decode(person.cells)
    return Line(number, person.phone, person.email, cells, person, latest.get(person.message_id or b""))


# --- who is not -------------------------------------------------------------------------------------------------------------


def _more_to_come(head: Head) -> bool:
    return not head.run.enrolled and head.run.audience_id is not None


def _may_be_waiting(wanted: Wanted) -> bool:
    return wanted.outcome in (None, Outcome.WAITING) and wanted.step in (None, 0)


def _with_waiting(c: Connection, head: Head, wanted: Wanted, lines: list[Line], number: int, limit: int) -> Page:
    """After the people enrolled come the rows that will be: as many as still fit on the page."""
    rows = select(A.number, A.phone, A.email, A.cells).where(A.audience_id == head.run.audience_id, A.left_out.is_(None))
    bound = number + wanted.reach
    room = limit - len(lines)
    found: list[Line] = []
    while len(found) <= room:
        some = c.execute(rows.where(A.number > number, A.number <= bound).order_by(A.number).limit(AT_ONCE)).all()
        fit = (row for row in some if not wanted.words or _says(row.cells, wanted.words))
        found += [Line(row.number, row.phone, row.email, CELLS.decode(row.cells)) for row in fit]
        if len(some) < AT_ONCE:
            break
        number = some[-1].number
    shown = [*lines, *found[:room]]
    if len(found) > room:
        return Page(shown, str(shown[-1].number if shown else number))
    last = c.scalar(select(audience.c.rows).where(audience.c.id == head.run.audience_id)) or 0
    return Page(shown, str(bound), bound) if bound < last else Page(shown)


# --- one row, or an address -------------------------------------------------------------------------------------------------


def _row(c: Connection, head: Head, number: int) -> Line | None:
    lines = _lines(c, head, [number])
    if lines or not _more_to_come(head) or number <= head.run.enrolled_through:
        return lines[0] if lines else None
    rows = select(A.number, A.phone, A.email, A.cells).where(A.audience_id == head.run.audience_id, A.number == number)
    row = c.execute(rows.where(A.left_out.is_(None))).first()
    return Line(row.number, row.phone, row.email, CELLS.decode(row.cells)) if row else None


def _fits(line: Line, wanted: Wanted) -> bool:
    """Whether the other filters take a person too."""
    outcome, step = (line.person.journey.outcome, line.person.journey.step) if line.person else (Outcome.WAITING, 0)
    return wanted.outcome in (None, outcome) and wanted.step in (None, step)


def _by_address(c: Connection, head: Head, wanted: Wanted, after: str, limit: int) -> Page:
    """In the order of their addresses, which is the order of the index."""
    kind, begins = wanted.address or ("", "")
    names = select(address.c.value, address.c.contact_id).where(
        address.c.workspace_id == head.run.workspace_id, address.c.kind == kind, address.c.value < begins + HIGHEST
    )
    low, high = recipients.id_range(head.run.id)
    found: list[tuple[str, Line]] = []
    place, looked, batch = after, 0, min(AT_ONCE, 500)
    while len(found) <= limit and looked < COMPARED:
        follows = address.c.value > place if place else address.c.value >= begins
        some = c.execute(names.where(follows).order_by(address.c.value).limit(batch)).all()
        firsts = _first_addresses(c, kind, begins, [row.contact_id for row in some])
        theirs = {row.contact_id: at for at, row in enumerate(some) if firsts.get(row.contact_id) == row.value}
        where = (R.contact_id.in_(list(theirs)), R.id.between(low, high))
        ids = {row.id: theirs[row.contact_id] for row in c.execute(select(R.id, R.contact_id).where(*where))}
        lines = _lines(c, head, sorted(map(_place, ids)))
        fit = [(ids[line.person.id], line) for line in lines if line.person and _fits(line, wanted)]
        found += [(some[at].value, line) for at, line in sorted(fit, key=lambda pair: pair[0])]
        looked += len(some)
        if len(some) < batch:
            place = ""
            break
        place = some[-1].value
    while limit < len(found) and found[limit][0] == found[limit - 1][0]:
        limit += 1  # two rows of one contact: the next page begins after both
    shown = [line for _, line in found[:limit]]
    if len(found) > limit:
        return Page(shown, found[limit - 1][0])
    return Page(shown, place) if place and looked >= COMPARED else Page(shown)


def _first_addresses(c: Connection, kind: str, begins: str, contact_ids: Sequence[Id]) -> dict[Id, str]:
    """Under which address each contact is shown, who may have several that begin so."""
    value = address.c.value
    where = (address.c.contact_id.in_(contact_ids), address.c.kind == kind, value >= begins, value < begins + HIGHEST)
    first: dict[Id, str] = {}
    for row in c.execute(select(address.c.contact_id, value).where(*where).order_by(value)):
        first.setdefault(row.contact_id, row.value)
    return first
