"""Changing an audience row by row, by the rules of the file's own check, with figures that are right after each change."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import structlog
from msgspec.structs import replace
from sqlalchemy import Connection

from campana.core.audience import DROPPED, DUPLICATE, Checker, Columns
from campana.core.campaign import AudienceSpec
from campana.core.ids import Id, new_id
from campana.core.quick_add import Typed
from campana.core.seen import Seen
from campana.core.tally import EMPTY, moved
from campana.core.template import column_key
from campana.core.workbench import (
    Row,
    accepted,
    among,
    columns_of,
    dropped,
    repetitions,
    settled,
    with_cells,
)
from campana.core.workbench import checked as checked_again
from campana.engine.house import House
from campana.engine.readings import NotADraft, Note, Place, Readings
from campana.store import audience_rows, audiences, jobs
from campana.store.audiences import Audience
from campana.store.workbench import CHANGE, busy, row_of, rows_of, stored

What = Literal["save", "drop", "restore", "accept"]
AT_ONCE = 500  # rows of one transaction
REPETITIONS = 200  # of one address that are looked at anew at once
ATTEMPTS = 4
SHORT = 0.8  # seconds that a page waits for many rows to be changed before it shows how far it is
TYPED = ("name", "phone", "email")  # columns of people typed by hand
OUR_FAULT = "Not all rows were changed, for a reason of ours that stands in the log. Change the others too."
NAMES = ("name", "nombre", "nome", "first_name", "firstname")

log = structlog.get_logger("campana.workbench")


class Unchangeable(ValueError):
    """The row cannot be changed now; the sentence says why."""


class ChangedMeanwhile(Unchangeable):
    """Somebody else changed the row since it was looked at."""


@dataclass(frozen=True)
class Changed:
    """What became of a row, and of those that had been its repetitions."""

    row: Row
    freed: tuple[int, ...] = ()  # rows that are offered now


async def change(
    house: House, at: Place, audience_id: Id, number: int, what: What, cells: Mapping[int, str], note: Note, seen: str = ""
) -> Changed:
    """Changes one row. What it means for the others is worked out beside the store, and done anew when somebody was faster.
    `seen` is the mark of the row as it was looked at; when it is another one by now, ChangedMeanwhile is raised."""
    for _ in range(ATTEMPTS):
        audience, before, after = await house.db.read(_worked_out, at, audience_id, number, what, cells, seen)
        if await house.db.run(_save, house, at, audience, before, after, note):
            freed = [now.number for was, now in zip(before, after, strict=True) if was.left_out and not now.left_out]
            return Changed(after[0], tuple(one for one in freed if one != number))
    raise Unchangeable("Others change these people just now. Try it again in a moment.")


def _worked_out(
    c: Connection, at: Place, audience_id: Id, number: int, what: What, cells: Mapping[int, str], seen: str
) -> tuple[Audience, list[Row], list[Row]]:
    """The rows that change, as they are and as they will be."""
    audience = _at_hand(c, at, audience_id)
    found = audience_rows.one(c, audience_id, number)
    if found is None:
        raise Unchangeable(f"There is no row {number} any more.")
    was = row_of(found)
    if seen and was.mark != seen:
        raise ChangedMeanwhile(f"Somebody else changed row {number} meanwhile. Look at both, and save again what is to hold.")
    now = {"save": with_cells(was, cells), "drop": dropped(was), "accept": accepted(was), "restore": was}[what]
    columns = columns_of(audience.columns, audience.spec)
    check = what in ("save", "restore")
    if what == "accept":
        return audience, [was], [now]
    probe = checked_again(Checker(columns, audience.spec), now) if check else now
    touched = _touched(audience, was, probe if what != "drop" else None)
    others = _others(c, audience_id, [was, probe], number) if touched else []
    doubles = repetitions(was, others)
    offered = others + (_others(c, audience_id, doubles, number) if doubles else [])
    after = settled(columns, audience.spec, now, offered, doubles, check)
    return audience, [was, *doubles], after


def _touched(audience: Audience, was: Row, now: Row | None) -> bool:
    """Whether a change of a row can mean anything for others, so that they must be looked for among all: an address that it
    did not offer before, or one that it offers no more and that others repeat."""
    before = {was.phone, was.email} - {None} if was.left_out is None else set()
    after = {now.phone, now.email} - {None} if now is not None and now.left_out is None else set()
    return bool(after - before) or bool(before - after and audience.summary.left_out.get(DUPLICATE))


def _others(c: Connection, audience_id: Id, rows: Sequence[Row], besides: int, most: int = REPETITIONS) -> list[Row]:
    phones = {row.phone for row in rows if row.phone is not None}
    emails = {row.email for row in rows if row.email is not None}
    if not phones and not emails:
        return []
    return rows_of(audience_rows.with_addresses(c, audience_id, phones, emails, besides, most))


def _at_hand(c: Connection, at: Place, audience_id: Id, lock: bool = False) -> Audience:
    """The audience, when its rows may be changed; raises Unchangeable or NotADraft with a sentence when not."""
    known, current = audiences.of_draft(c, at.workspace_id, at.campaign_id, lock)
    if not known:
        raise NotADraft("This campaign was launched, or is gone: its people are those it was launched with.")
    audience = audiences.load(c, at.workspace_id, current, lock)
    if audience is None or audience.id != audience_id:
        raise Unchangeable("The file was read anew meanwhile. Look at its rows as they are now.")
    if not audience.loaded:
        raise Unchangeable("The file is still being read. Rows can be changed as soon as all are there.")
    if audiences.shared(c, audience_id, at.campaign_id):
        raise Unchangeable("Another campaign has these people too. Read the file again, so that these are for this one alone.")
    return audience


def _save(
    c: Connection, house: House, at: Place, seen: Audience, before: Sequence[Row], after: Sequence[Row], note: Note
) -> bool:
    """Whether the change was made: not when the audience is another one than the one that was looked at."""
    audience = _at_hand(c, at, seen.id, lock=True)
    if audience.summary.changed != seen.summary.changed:
        return False
    _refuse_while_busy(c, house, at, audience.id)
    audience_rows.save(c, audience.id, [stored(row) for row in after])
    audiences.count(c, audience.id, moved(audience.summary, audience.spec, before, after, by_hand=1))
    note(c)
    return True


def _refuse_while_busy(c: Connection, house: House, at: Place, audience_id: Id) -> None:
    if busy(c, at.campaign_id, audience_id, house.clock.now()):
        raise Unchangeable("Many rows are being changed just now. Wait until that is done.")


# --- many rows --------------------------------------------------------------------------------------------------------------


async def change_all(readings: Readings, at: Place, audience_id: Id, what: What, kind: str, note: Note) -> None:
    """Changes all rows of a kind, as a job. Returns when it is done, or after a moment while it goes on."""
    house = readings.house

    def begin(c: Connection) -> tuple[Id, int]:
        audience = _at_hand(c, at, audience_id, lock=True)
        _refuse_while_busy(c, house, at, audience_id)
        total = {**audience.summary.left_out, **audience.summary.warned}.get(kind, 0)
        note(c)
        job_id = jobs.start(c, at.workspace_id, CHANGE, audience_id, house.clock.now(), json.dumps(f"{what}:{kind}"))
        jobs.beat(c, job_id, 0, total, house.clock.now())
        return job_id, total

    job_id, _ = await house.db.run(begin)
    task = readings.spawn(_change_all(house, at, audience_id, job_id, what, kind))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), SHORT)


async def _change_all(house: House, at: Place, audience_id: Id, job_id: Id, what: What, kind: str) -> None:
    trouble: str | None = None
    try:
        if what == "restore":
            await _check_all(house, at, audience_id, job_id, DROPPED)
        else:
            becomes = dropped if what == "drop" else accepted
            await _each(house, at, audience_id, job_id, kind, lambda rows: [becomes(row) for row in rows])
            if what == "drop":  # their repetitions may be offered instead, and those of rows that were dropped before a kill
                await _check_all(house, at, audience_id, job_id, DUPLICATE)
    except (Unchangeable, NotADraft) as error:
        trouble = str(error)
    except Exception:
        log.exception("rows were not changed to the last", audience=audience_id.hex(), what=what, kind=kind)
        trouble = OUR_FAULT
    await house.db.run(jobs.finish, job_id, None, trouble, house.clock.now())


async def _check_all(house: House, at: Place, audience_id: Id, job_id: Id, flag: str) -> None:
    """Looks at all rows of a flag anew, beside all that are offered."""
    phones, emails, after = Seen(), Seen(), 0
    while rows := await house.db.read(audience_rows.offered_addresses, audience_id, after, 10 * AT_ONCE):
        for row in rows:
            if row.phone is not None and not phones.row_of(row.phone):
                phones.add(row.phone, row.number)
            if row.email is not None and not emails.row_of(row.email):
                emails.add(row.email, row.number)
        after = rows[-1].number
        await house.db.run(jobs.beat, job_id, None, None, house.clock.now())
    audience = await house.db.read(_at_hand, at, audience_id)
    checker = Checker(columns_of(audience.columns, audience.spec), audience.spec, (), phones, emails)
    await _each(house, at, audience_id, job_id, flag, lambda rows: [checked_again(checker, row) for row in rows])


async def _each(
    house: House, at: Place, audience_id: Id, job_id: Id, flag: str, becomes: Callable[[list[Row]], list[Row]]
) -> None:
    """Changes all rows of a flag batch by batch."""
    after = done = 0
    while rows := rows_of(await house.db.read(audience_rows.from_number, audience_id, flag, after + 1, AT_ONCE)):
        changed = becomes(rows)
        done += len(rows)
        await house.db.run(_save_batch, house, at, audience_id, rows, changed, job_id, done)
        after = rows[-1].number


def _save_batch(
    c: Connection, house: House, at: Place, audience_id: Id, before: list[Row], after: list[Row], job_id: Id, done: int
) -> None:
    audience = _at_hand(c, at, audience_id, lock=True)
    audience_rows.save(c, audience_id, [stored(row) for row in after])
    audiences.count(c, audience_id, moved(audience.summary, audience.spec, before, after, by_hand=len(after)))
    jobs.beat(c, job_id, done, None, house.clock.now())


# --- people typed by hand ---------------------------------------------------------------------------------------------------


async def add(house: House, at: Place, people: Sequence[Typed], country: str | None, note: Note) -> list[Row]:
    """The people are rows at the end of the audience, or a new one; checked like those of a file. Returns the rows."""
    audience_id = await house.db.run(_begun, house, at, country)
    for _ in range(ATTEMPTS):
        audience, rows = await house.db.read(_typed_rows, at, audience_id, people, country)
        if await house.db.run(_append, house, at, audience, rows, note):
            return rows
    raise Unchangeable("Others change these people just now. Try it again in a moment.")


def _begun(c: Connection, house: House, at: Place, country: str | None) -> Id:
    """The draft's audience. One whose file could not be read makes room for an empty one."""
    known, current = audiences.of_draft(c, at.workspace_id, at.campaign_id, lock=True)
    if not known:
        raise NotADraft("This campaign was launched, or is gone: its people are those it was launched with.")
    audience = audiences.load(c, at.workspace_id, current)
    if audience is not None and (audience.loaded or audience.trouble is None):
        return audience.id
    now, spec = house.clock.now(), AudienceSpec(country=country)
    audience_id = new_id(now)
    audiences.create(c, audience_id, at.workspace_id, "", "", json.dumps(TYPED), now, spec.model_dump_json())
    fields = columns_of(TYPED, spec).custom
    audiences.finish(c, audience_id, 0, 0, msgspec.json.encode(replace(EMPTY, fields=fields)).decode())
    audiences.give(c, at.campaign_id, audience_id)
    return audience_id


def _typed_rows(
    c: Connection, at: Place, audience_id: Id, people: Sequence[Typed], country: str | None
) -> tuple[Audience, list[Row]]:
    """The rows that these people will be."""
    audience = _at_hand(c, at, audience_id)
    columns = columns_of(audience.columns, audience.spec)
    for place, value, words in (
        (columns.phone, any(one.phone for one in people), "phone numbers"),
        (columns.email, any(one.email for one in people), "e-mail addresses"),
    ):
        if value and place is None:
            raise Unchangeable(f"These people have no column for {words}. Leave those away, or read the file with one.")
    spec = audience.spec.model_copy(update={"country": country or audience.spec.country})
    last = audience_rows.last_number(c, audience_id)
    plain = [_typed_row(columns, last + place, one) for place, one in enumerate(people, 1)]
    probe = Checker(columns, spec)
    phones, emails = among(_others(c, audience_id, [checked_again(probe, row) for row in plain], 0, 2 * len(plain)))
    checker = Checker(columns, spec, (), phones, emails)
    return audience, [checked_again(checker, row) for row in plain]


def _typed_row(columns: Columns, number: int, typed: Typed) -> Row:
    cells = [""] * len(columns.names)
    name = next((place for place, column in enumerate(columns.names) if column_key(column) in NAMES), None)
    for place, value in ((name, typed.name), (columns.phone, typed.phone), (columns.email, typed.email)):
        if place is not None:
            cells[place] = value
    return Row(number, tuple(cells), None, None, (), None, None)


def _append(c: Connection, house: House, at: Place, seen: Audience, rows: Sequence[Row], note: Note) -> bool:
    audience = _at_hand(c, at, seen.id, lock=True)
    if audience.summary.changed != seen.summary.changed:
        return False
    _refuse_while_busy(c, house, at, audience.id)
    audiences.add_rows(c, audience.id, [stored(row) for row in rows])
    audiences.count(c, audience.id, moved(audience.summary, audience.spec, [], rows, by_hand=len(rows)))
    note(c)
    return True
