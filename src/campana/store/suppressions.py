"""Addresses that must not be written to, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, delete, or_, select

from campana.core.ids import Id
from campana.store.dialect import SetStatement, given, upsert
from campana.store.schema import suppression

ALL = "all"
HIGHEST = "\U0010ffff"  # sorts after every sign of an address
ASKED = given(suppression.c.workspace_id, suppression.c.value)
AMONG = SetStatement(
    select(suppression.c.value, suppression.c.medium).where(
        suppression.c.workspace_id == ASKED.c.workspace_id, suppression.c.value == ASKED.c.value
    ),
    ASKED,
)


def suppress(
    c: Connection,
    workspace_id: Id,
    values: Iterable[str],
    medium: str,
    at: int,
    rule: str,
    proof: str,
    message_id: Id | None = None,
) -> None:
    """Nothing more goes to these addresses on that medium, told at that time. What was known first stays: it is the proof."""
    rows = [
        {
            "workspace_id": workspace_id,
            "value": value,
            "medium": medium,
            "at": at,
            "renewed_at": at,
            "rule": rule,
            "proof": proof,
            "message_id": message_id,
        }
        for value in values
    ]
    if rows:
        statement = upsert(c, suppression)
        told = statement.excluded.renewed_at
        latest = case((told > suppression.c.renewed_at, told), else_=suppression.c.renewed_at)
        keys = ["workspace_id", "value", "medium"]
        c.execute(statement.on_conflict_do_update(index_elements=keys, set_={"renewed_at": latest}), rows)


def lift(c: Connection, workspace_id: Id, values: Iterable[str], medium: str, at: int) -> int:
    """At that time the person wanted messages again; a later wish not to get any stays. Returns how many entries were lifted."""
    where = (
        suppression.c.workspace_id == workspace_id,
        suppression.c.value.in_(list(values)),
        suppression.c.medium.in_([medium, ALL]),
        suppression.c.renewed_at <= at,
    )
    return c.execute(delete(suppression).where(*where)).rowcount


@dataclass(frozen=True, slots=True)
class Entry:
    """One address that gets nothing more on a medium, and why. `at` is when it was first told."""

    value: str
    medium: str
    at: int
    rule: str
    proof: str


def entries(c: Connection, workspace_id: Id, text: str, after: tuple[str, str], limit: int) -> list[Entry]:
    """The opt-outs of a workspace after that (address, medium), by address; with a text, those whose address begins with it."""
    s = suppression.c
    where = [s.workspace_id == workspace_id, or_(s.value > after[0], and_(s.value == after[0], s.medium > after[1]))]
    if text:
        where += [s.value >= text, s.value < text + HIGHEST]
    rows = c.execute(select(s.value, s.medium, s.at, s.rule, s.proof).where(*where).order_by(s.value, s.medium).limit(limit))
    return [Entry(*row) for row in rows]


def remove(c: Connection, workspace_id: Id, value: str, medium: str) -> Entry | None:
    """One entry is gone: people say that this person wants messages again. Returns what it was."""
    s = suppression.c
    where = (s.workspace_id == workspace_id, s.value == value, s.medium == medium)
    found = c.execute(select(s.value, s.medium, s.at, s.rule, s.proof).where(*where)).first()
    c.execute(delete(suppression).where(*where))
    return Entry(*found) if found else None


def among(c: Connection, workspace_id: Id, values: Collection[str]) -> set[tuple[str, str]]:
    """Of these addresses, the suppressed ones as (value, medium)."""
    rows = AMONG.fetch(c, [{"workspace_id": workspace_id, "value": value} for value in values])
    return {(value, medium) for value, medium in rows}
