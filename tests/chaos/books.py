"""The books after the kills: what the store says of everybody, against what the vendors saw."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from campana.core.ids import Id
from campana.core.journey import OUTCOMES, Outcome
from campana.core.message import Status
from campana.standin.balance import Balance, Person, Traced, balance
from campana.store import counters
from campana.store.database import create_store_engine
from campana.store.recipients import HANDED, OWED_NOTHING, READ
from campana.store.schema import inbox, message, recipient, run, unit
from tests.chaos.world import World

OPEN = (int(Status.SENDING), int(Status.UNCERTAIN))


@dataclass(frozen=True, slots=True)
class Kill:
    """One SIGKILL: whom it struck, when, and when the process was there again (UTC microseconds)."""

    who: str
    at: int
    again_at: int


@dataclass
class Books:
    """What was found. They close when `problems` is empty and nobody was lost or told twice."""

    people: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    twice: int = 0
    unknown: int = 0  # messages of which nobody can tell whether the vendor took them
    unknown_accepted: int = 0  # of these, how many the vendor had taken
    unknown_by_fault: int = 0
    unknown_by_kill: int = 0
    uncertain_once: int = 0  # messages whose answer was lost at first, settled or not
    accepted: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Whether everybody is accounted for."""
        return not self.problems and self.lost == 0 and self.twice == 0


def close_books(world: World, kills: Sequence[Kill], people_of_run: int) -> Books:
    """Balances everything in the world. Nothing may be running on its database."""
    books = Books()
    _check_file(world, books)
    engine = create_store_engine(world.url)
    try:
        with engine.connect().execution_options(reading=True) as c, c.begin():
            people = _people(c, books)
            _check_runs(c, books, people_of_run)
            _check_leftovers(c, books)
            unknown = _unknown(c, books)
            found = balance([world.ledger], people, [one.hex() for one in unknown])
            _trace(c, books, found, unknown, kills)
    finally:
        engine.dispose()
    books.lost, books.twice = found.lost, found.twice
    books.accepted = len(world.accepted())
    books.problems += [f"{sort}: {', '.join(who)}" for sort, who in found.examples.items() if who]
    return books


def unsettled(world: World) -> int:
    """Webhooks not yet understood and messages not yet settled, read beside the process that works on them."""
    connection = sqlite3.connect(f"file:{world.database}?mode=ro", uri=True, timeout=10)
    try:
        counting = "SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM message WHERE status IN (?, ?))"
        found: int = connection.execute(counting, OPEN).fetchone()[0]
        return found
    finally:
        connection.close()


def _check_file(world: World, books: Books) -> None:
    connection = sqlite3.connect(world.database)
    try:
        said = connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()
    if said != [("ok",)]:
        books.problems.append(f"integrity_check says {said[:3]}")


def _people(c: Connection, books: Books) -> list[Person]:
    """Everybody as the store has them."""
    found = []
    outcomes: Counter[str] = Counter()
    for phone, number in c.execute(select(recipient.c.phone, recipient.c.outcome)):
        outcome = OUTCOMES[number]
        outcomes[outcome] += 1
        found.append(Person(phone, owed=outcome not in OWED_NOTHING, unknown=outcome is Outcome.UNKNOWN))
    books.people = len(found)
    books.outcomes = {str(outcome): outcomes[outcome] for outcome in OUTCOMES}
    return found


def _check_runs(c: Connection, books: Books, people_of_run: int) -> None:
    """Every run is over, everybody has an end, and the figures are those of the rows."""
    runs = c.execute(select(run.c.id, run.c.status, run.c.offered)).all()
    figures = counters.figures(c, [one.id for one in runs])
    for one in runs:
        name = f"run {one.id.hex()}"
        if one.status != "sent" or one.offered != people_of_run:
            books.problems.append(f"{name} is {one.status} with {one.offered} people offered, not sent with {people_of_run}")
        counted, rows = figures[one.id], _rows(c, one.id)
        kept = {key: n for key, n in counted.items() if n and key.startswith(("outcome:", "people:"))}
        if kept != rows:
            books.problems.append(f"{name} counts {kept}, its people say {rows}")
        if sum(n for key, n in rows.items() if key.startswith("outcome:")) != one.offered:
            books.problems.append(f"{name}: its outcomes {rows} do not sum to {one.offered}")
    for open_outcome in (Outcome.WAITING, Outcome.SENDING):
        if books.outcomes[open_outcome]:
            books.problems.append(f"{books.outcomes[open_outcome]} people are still {open_outcome}")


def _rows(c: Connection, run_id: Id) -> dict[str, int]:
    """What the people themselves say, under the names of the counters."""
    r = recipient.c
    said: Counter[str] = Counter()
    for outcome, n in c.execute(select(r.outcome, func.count()).where(r.run_id == run_id).group_by(r.outcome)):
        said[f"outcome:{OUTCOMES[outcome]}"] = n
    sums = {
        "people:delivered": func.count(r.reached_at),
        "people:sent": func.count().filter(r.flags.bitwise_and(HANDED) != 0),
        "people:read": func.count().filter(r.flags.bitwise_and(READ) != 0),
    }
    row = c.execute(select(*sums.values()).where(r.run_id == run_id)).one()
    said.update(dict(zip(sums, row, strict=True)))
    return {key: n for key, n in said.items() if n}


def _check_leftovers(c: Connection, books: Books) -> None:
    """Nothing is half done."""
    left: dict[str, Any] = {
        "messages still sending or uncertain": select(func.count()).where(message.c.status.in_(OPEN)),
        "units": select(func.count()).select_from(unit),
        "webhooks in the inbox": select(func.count()).select_from(inbox),
        "people in a unit": select(func.count()).where(recipient.c.unit_id.is_not(None)),
    }
    for what, statement in left.items():
        if n := c.scalar(statement):
            books.problems.append(f"{n} {what} are left")


def _unknown(c: Connection, books: Books) -> list[Id]:
    books.uncertain_once = c.scalar(select(func.count()).where(message.c.uncertain_at.is_not(None))) or 0
    found = list(c.scalars(select(message.c.id).where(message.c.status == int(Status.UNKNOWN)).order_by(message.c.id)))
    books.unknown = len(found)
    return found


def _trace(c: Connection, books: Books, found: Balance, ids: Sequence[Id], kills: Sequence[Kill]) -> None:
    """Each unknown has its cause: a fault line of the vendors, or a kill during its call."""
    times = {row.id: row for row in c.execute(select(message.c.id, message.c.started_at, message.c.uncertain_at))} if ids else {}
    for id_, trace in zip(ids, found.traced, strict=True):
        books.unknown_accepted += trace.accepted
        if trace.fault is not None:
            books.unknown_by_fault += 1
        elif _struck(trace, times[id_], kills):
            books.unknown_by_kill += 1
        else:
            books.problems.append(f"message {trace.ref} is unknown without a fault or a kill")


def _struck(trace: Traced, row: Any, kills: Sequence[Kill]) -> bool:
    return any(row.started_at <= kill.again_at and kill.at <= (row.uncertain_at or row.started_at) for kill in kills)
