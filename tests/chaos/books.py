"""The books after the kills: what the store says of everybody, against what the vendors saw."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from campana.core.ids import Id
from campana.core.journey import OUTCOMES, Outcome
from campana.core.message import Status
from campana.engine.house import LEASE
from campana.standin.balance import Balance, Person, balance
from campana.store import counters
from campana.store.database import create_store_engine, is_sqlite
from campana.store.engines import reading_options
from campana.store.messages import STAMPS
from campana.store.recipients import HANDED, OWED_NOTHING, READ
from campana.store.schema import exchange, inbox, message, recipient, run, unit
from tests.chaos.acknowledged import check_acknowledged
from tests.chaos.blows import Blow
from tests.chaos.world import World

OPEN = (int(Status.SENDING), int(Status.UNCERTAIN))
EXAMPLES = 5  # of each problem


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
    unknown_by_blow: int = 0
    unknown_by_blow_accepted: int = 0
    calls_struck: int = 0  # under way when a blow came, each counted once
    most_calls_struck: int = 0  # by one blow
    uncertain_once: int = 0  # messages whose answer was lost at first, settled or not
    accepted: int = 0
    acknowledged: int = 0  # receipts and words of people that were answered with 2xx
    forgotten: int = 0  # of these, how many the store does not know
    problems: list[str] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Whether everybody is accounted for."""
        return not self.problems and self.lost == 0 and self.twice == 0


def close_books(world: World, blows: Sequence[Blow], people_of_run: int, lease: int = LEASE, may_forget: bool = False) -> Books:
    """Balances everything in the world. Nothing may be working on its database.

    `may_forget`: the disks of the bus were wiped, so that webhooks it held are lost, which is counted and no problem.
    """
    books = Books()
    if is_sqlite(world.url):
        _check_file(world, books)
    engine = create_store_engine(world.url)
    try:
        with engine.connect().execution_options(**reading_options(engine)) as c, c.begin():
            people = _people(c, books)
            _check_runs(c, books, people_of_run)
            _check_leftovers(c, books)
            unknown = _unknown(c, books)
            found = balance([world.ledger], people, [one.hex() for one in unknown])
            _trace(c, books, found, unknown, blows, lease)
            books.acknowledged, forgotten = check_acknowledged(c, world.ledger)
    finally:
        engine.dispose()
    books.lost, books.twice = found.lost, found.twice
    books.accepted = len(world.accepted())
    books.forgotten = len(forgotten)
    if not may_forget:
        books.problems += forgotten[:EXAMPLES]
    books.problems += [f"{sort}: {', '.join(who)}" for sort, who in found.examples.items() if who]
    return books


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


def _trace(c: Connection, books: Books, found: Balance, ids: Sequence[Id], blows: Sequence[Blow], lease: int) -> None:
    """Each unknown has its cause: a fault line of the vendors, or a blow during its call that explains how it was lost."""
    calls = Calls(c, lease)
    struck = [calls.struck_by(blow) for blow in blows]
    books.calls_struck, books.most_calls_struck = len(set().union(*struck)), max(map(len, struck), default=0)
    answered = set(c.scalars(select(exchange.c.message_id)))  # somebody wrote down that there was no answer
    for id_, trace in zip(ids, found.traced, strict=True):
        books.unknown_accepted += trace.accepted
        if trace.fault is not None:
            books.unknown_by_fault += 1
        elif any(
            id_ in hit and (blow.takes_answers if id_ in answered else blow.takes_records)
            for blow, hit in zip(blows, struck, strict=True)
        ):
            books.unknown_by_blow += 1
            books.unknown_by_blow_accepted += trace.accepted
        else:
            books.problems.append(f"message {trace.ref} is unknown without a fault or a blow")


class Calls:
    """When the call of each message was under way: from its start until the first that is known of it, never longer than a
    lease."""

    def __init__(self, c: Connection, lease: int) -> None:
        m = message.c
        self.rows = c.execute(select(m.started_at, m.id, *(m[name] for name in STAMPS.values())).order_by(m.started_at)).all()
        self.starts = [row.started_at for row in self.rows]
        self.lease = lease

    def struck_by(self, blow: Blow) -> set[Id]:
        """The messages whose calls were under way when the blow came."""
        first, last = bisect_left(self.starts, blow.at - self.lease), bisect_right(self.starts, blow.until)
        return {row.id for row in self.rows[first:last] if blow.at <= self._ended(row)}

    def _ended(self, row: Any) -> int:
        known = min((at for at in row[2:] if at is not None), default=row.started_at + self.lease)
        return min(int(known), row.started_at + self.lease)
