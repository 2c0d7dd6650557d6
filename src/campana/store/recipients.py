"""People in runs: enrolment, what waits, and the state of each journey."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, exists, func, literal, literal_column, null, select, text, update

from campana.core.ids import Id
from campana.core.journey import OUTCOMES, Journey, Outcome, Stage
from campana.store.campaigns import RunRow
from campana.store.dialect import SetStatement, counted, given, locked, numbered_id, upsert
from campana.store.flows import CLOCK, flow_id
from campana.store.schema import address, audience_row, contact, recipient, run

STAGES = tuple(Stage)
# To these a vendor need not have been asked for anything: they are left out with a reason, or their turn is still to come.
OWED_NOTHING = frozenset({Outcome.SUPPRESSED, Outcome.SKIPPED, Outcome.ENDED, Outcome.WAITING, Outcome.SENDING})
OUTCOME_NUMBER = {outcome: number for number, outcome in enumerate(OUTCOMES)}
TRIED, UNKNOWN, BARRED, HANDED, READ = 1, 2, 4, 8, 16


class Person(Struct):
    """One person of a run as the database has them."""

    id: Id
    workspace_id: Id
    run_id: Id
    contact_id: Id
    phone: str | None
    email: str | None
    cells: str
    unit_id: Id | None
    message_id: Id | None
    journey: Journey
    handed: bool = False  # a vendor has taken a message of theirs
    read: bool = False  # they have read one


COLUMNS = (
    recipient.c.id,
    recipient.c.workspace_id,
    recipient.c.run_id,
    recipient.c.contact_id,
    recipient.c.phone,
    recipient.c.email,
    recipient.c.cells,
    recipient.c.unit_id,
    recipient.c.message_id,
    recipient.c.stage,
    recipient.c.step,
    recipient.c.tries,
    recipient.c.due_at,
    recipient.c.step_at,
    recipient.c.reached_at,
    recipient.c.flags,
    recipient.c.outcome,
    recipient.c.reason,
)
PEOPLE = select(*COLUMNS)
OPEN = text("recipient.stage < 4")  # word for word as the index says it, or SQLite does not see that it fits
BY_OPEN = (recipient, "INDEXED BY recipient_open", "sqlite")  # without, it would look through everybody of the run
R = recipient.c
WANTED = given(R.id)
_BY_ID = PEOPLE.where(R.id == WANTED.c.id).order_by(R.id)
BY_ID = SetStatement(_BY_ID, WANTED)
OURS_BY_ID = SetStatement(locked(_BY_ID, recipient), WANTED)
SAVED = given(
    R.id,
    R.stage,
    R.step,
    R.tries,
    R.flow_id,
    R.due_at,
    R.unit_id,
    R.message_id,
    R.step_at,
    R.reached_at,
    R.flags,
    R.outcome,
    R.reason,
)
SAVE = SetStatement(
    update(recipient).where(R.id == SAVED.c.id).values({one.name: one for one in SAVED.columns if one.name != "id"}), SAVED
)
PUT_BACK = given(R.id, R.unit_id)
BACK = SetStatement(
    update(recipient).where(R.id == PUT_BACK.c.id, R.unit_id == PUT_BACK.c.unit_id).values(unit_id=null()), PUT_BACK
)


def _person(row: Any) -> Person:
    (id_, workspace_id, run_id, contact_id, phone, email, cells, unit_id, message_id, *state) = row
    stage, step, tries, due_at, step_at, reached_at, flags, outcome, reason = state
    journey = Journey(
        STAGES[stage],
        step,
        tries,
        due_at,
        step_at,
        reached_at,
        bool(flags & TRIED),
        bool(flags & UNKNOWN),
        bool(flags & BARRED),
        OUTCOMES[outcome],
        reason,
    )
    return Person(
        id_,
        workspace_id,
        run_id,
        contact_id,
        phone,
        email,
        cells,
        unit_id,
        message_id,
        journey,
        bool(flags & HANDED),
        bool(flags & READ),
    )


def load(c: Connection, ids: Iterable[Id]) -> list[Person]:
    """These people as they are now, in id order."""
    return [_person(row) for row in BY_ID.fetch(c, [{"id": one} for one in sorted(ids)])]


def lock(c: Connection, ids: Iterable[Id]) -> list[Person]:
    """These people, in id order, which is also the order in which they are locked: until the transaction ends nobody else
    changes them or their messages."""
    return [_person(row) for row in OURS_BY_ID.fetch(c, [{"id": one} for one in sorted(ids)])]


BEGUN = given(R.id, R.message_id, R.flags, R.reached_at)
_AS_BEGUN = select(R.id).where(
    R.id == BEGUN.c.id,
    R.message_id == BEGUN.c.message_id,
    R.stage == literal_column(str(int(Stage.SENDING))),
    R.flags == BEGUN.c.flags,
    R.reached_at.is_not_distinct_from(BEGUN.c.reached_at),
)
AS_BEGUN = SetStatement(
    select(func.count()).select_from(locked(_AS_BEGUN.order_by(R.id), recipient).subquery()),
    BEGUN,
)


def as_begun(c: Connection, people: Sequence[Person]) -> bool:
    """Whether nothing has happened to any of these people since their attempts began; they are locked then."""
    rows = [
        {"id": one.id, "message_id": one.message_id, "flags": _flags(one), "reached_at": one.journey.reached_at} for one in people
    ]
    return sum(n for (n,) in AS_BEGUN.fetch(c, rows)) == len(people)


def _flags(person: Person) -> int:
    journey = person.journey
    return (
        TRIED * journey.tried | UNKNOWN * journey.unknown | BARRED * journey.barred | HANDED * person.handed | READ * person.read
    )


def save(c: Connection, people: Iterable[Person]) -> None:
    """Writes their journeys down. What waits is found again by the flow of its next step, a receipt clock by the run's."""
    SAVE.run(c, [_saved(person) for person in people])


def _saved(person: Person) -> dict[str, Any]:
    journey = person.journey
    step = CLOCK if journey.stage is Stage.SENT else journey.step
    return {
        "id": person.id,
        "stage": int(journey.stage),
        "step": journey.step,
        "tries": journey.tries,
        "flow_id": flow_id(person.run_id, step),
        "due_at": journey.due_at,
        "unit_id": person.unit_id,
        "message_id": person.message_id,
        "step_at": journey.step_at,
        "reached_at": journey.reached_at,
        "flags": _flags(person),
        "outcome": OUTCOME_NUMBER[journey.outcome],
        "reason": journey.reason,
    }


def enrol(c: Connection, run_row: RunRow, limit: int, now: int) -> tuple[int, int]:
    """Enrols the next batch of the run's audience. Returns the last row number it took, and how many people it enrolled.

    Doing it again enrols nobody twice: a person's id is made of the run and the row.
    """
    offered = (audience_row.c.audience_id == run_row.audience_id) & audience_row.c.left_out.is_(None)
    window = select(audience_row.c.number).where(offered, audience_row.c.number > run_row.enrolled_through)
    last = c.scalar(select(func.max(window.order_by(audience_row.c.number).limit(limit).subquery().c.number)))
    if last is None:
        return run_row.enrolled_through, 0
    batch = offered & (audience_row.c.number > run_row.enrolled_through) & (audience_row.c.number <= last)
    _make_contacts(c, run_row, batch, now)
    phone = address.alias("phone")
    email = address.alias("email")
    workspace_id = run_row.workspace_id
    rows = (
        select(
            numbered_id(run_row.id, audience_row.c.number),
            literal(workspace_id),
            literal(run_row.id),
            audience_row.c.number,
            func.coalesce(phone.c.contact_id, email.c.contact_id),
            audience_row.c.phone,
            audience_row.c.email,
            audience_row.c.cells,
            literal(flow_id(run_row.id, 0)),
            literal(now),
        )
        .outerjoin_from(
            audience_row,
            phone,
            (phone.c.workspace_id == workspace_id) & (phone.c.kind == "phone") & (phone.c.value == audience_row.c.phone),
        )
        .outerjoin(
            email,
            (email.c.workspace_id == workspace_id) & (email.c.kind == "email") & (email.c.value == audience_row.c.email),
        )
        .where(batch)
    )
    names = ["id", "workspace_id", "run_id", "number", "contact_id", "phone", "email", "cells", "flow_id", "due_at"]
    return last, counted(c, upsert(c, recipient).from_select(names, rows).on_conflict_do_nothing())


def _make_contacts(c: Connection, run_row: RunRow, batch: Any, now: int) -> None:
    """Everybody in the batch is a contact afterwards: one phone or e-mail address, one person."""
    workspace_id = run_row.workspace_id
    fresh = numbered_id(run_row.audience_id, audience_row.c.number)
    names = ["workspace_id", "kind", "value", "contact_id"]
    phones = select(literal(workspace_id), literal("phone"), audience_row.c.phone, fresh)
    c.execute(
        upsert(c, address).from_select(names, phones.where(batch, audience_row.c.phone.is_not(None))).on_conflict_do_nothing()
    )
    known = (
        select(address.c.contact_id)
        .where(address.c.workspace_id == workspace_id, address.c.kind == "phone", address.c.value == audience_row.c.phone)
        .scalar_subquery()
    )
    emails = select(literal(workspace_id), literal("email"), audience_row.c.email, func.coalesce(known, fresh))
    c.execute(
        upsert(c, address).from_select(names, emails.where(batch, audience_row.c.email.is_not(None))).on_conflict_do_nothing()
    )
    made = select(fresh, literal(workspace_id), literal(now)).where(batch, exists().where(address.c.contact_id == fresh))
    c.execute(upsert(c, contact).from_select(["id", "workspace_id", "created_at"], made).on_conflict_do_nothing())


def due_clocks(c: Connection, flow_ids: Sequence[Id], now: int, limit: int) -> list[Person]:
    """People whose receipt did not come in time."""
    found: list[Person] = []
    for clock in flow_ids:
        left = limit - len(found)
        if left <= 0:
            break
        due = PEOPLE.where(recipient.c.flow_id == clock, recipient.c.due_at <= now, recipient.c.unit_id.is_(None))
        due = locked(due.order_by(recipient.c.due_at).limit(left), recipient, skip_locked=True)
        found += [_person(row) for row in c.execute(due)]
    return sorted(found, key=lambda person: person.id)


def next_due(c: Connection, flow_ids: Iterable[Id], now: int) -> int | None:
    """When the next person of these flows is due, after `now`."""
    moments = (
        c.scalar(
            select(func.min(recipient.c.due_at)).where(
                recipient.c.flow_id == one, recipient.c.due_at > now, recipient.c.unit_id.is_(None)
            )
        )
        for one in flow_ids
    )
    return min((moment for moment in moments if moment is not None), default=None)


def open_people(c: Connection, run_id: Id, limit: int) -> list[Person]:
    """People of a run whose journey is not over, locked."""
    low, high = id_range(run_id)
    where = (recipient.c.id.between(low, high), OPEN)
    statement = PEOPLE.with_hint(*BY_OPEN).where(*where).order_by(recipient.c.id).limit(limit)
    return [_person(row) for row in c.execute(locked(statement, recipient))]


def all_done(c: Connection, run_id: Id) -> bool:
    """Whether every journey of a run is over."""
    low, high = id_range(run_id)
    found = select(recipient.c.id).with_hint(*BY_OPEN).where(recipient.c.id.between(low, high), OPEN)
    return c.scalar(found.limit(1)) is None


def any_untried(c: Connection, run_id: Id) -> bool:
    """Whether anybody enrolled waits for an attempt, or has one open."""
    low, high = id_range(run_id)
    found = select(recipient.c.id).with_hint(*BY_OPEN).where(recipient.c.id.between(low, high), OPEN)
    return c.scalar(found.where(recipient.c.stage < int(Stage.SENT)).limit(1)) is not None


def id_range(run_id: Id) -> tuple[Id, Id]:
    """All people of a run lie between these ids."""
    return run_id[:8] + bytes(8), run_id[:8] + b"\xff" * 8


def of_contact(c: Connection, contact_id: Id) -> list[Person]:
    """All journeys of a person in campaigns that have not been ended, the one written to last first; locked."""
    statement = (
        PEOPLE.join(run, run.c.id == recipient.c.run_id)
        .where(recipient.c.contact_id == contact_id, run.c.status != "ended")
        .order_by(recipient.c.id)  # the order in which people are locked
    )
    found = [_person(row) for row in c.execute(locked(statement, recipient))]
    return sorted(found, key=lambda person: person.message_id or b"", reverse=True)


def put_back(c: Connection, unit_id: Id, ids: Sequence[Id]) -> None:
    """These people wait again, in nobody's hands."""
    BACK.run(c, [{"id": one, "unit_id": unit_id} for one in ids])


def after(c: Connection, run_id: Id, number: int, limit: int) -> Sequence[Any]:
    """A page of people by row number: number, phone, email, cells, stage, outcome, reason, step, reached_at."""
    r = recipient.c
    low, high = id_range(run_id)
    return c.execute(
        select(r.number, r.phone, r.email, r.cells, r.stage, r.outcome, r.reason, r.step, r.reached_at, r.id)
        .where(r.id > low[:8] + number.to_bytes(8, "big"), r.id <= high)
        .order_by(r.id)
        .limit(limit)
    ).all()
