"""Who did what, when: one row for each change that people make, written in the transaction of the change itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, insert, select

from campana.core.ids import Id, new_id
from campana.store.schema import audit


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit log."""

    id: Id
    at: int
    who: str
    what: str
    about: str
    details: Mapping[str, Any]
    address: str


def note(
    c: Connection,
    workspace_id: Id,
    user_id: Id | None,
    who: str,
    what: str,
    about: str,
    now: int,
    object_id: Id | None = None,
    details: Mapping[str, Any] | None = None,
    address: str = "",
) -> None:
    """The audit log tells what was done. `what` is a word like "campaign.launched"; `details` must hold no secrets."""
    c.execute(
        insert(audit).values(
            id=new_id(now),
            workspace_id=workspace_id,
            at=now,
            user_id=user_id,
            who=who,
            what=what,
            about=about,
            object_id=object_id,
            details=json.dumps(dict(details or {}), ensure_ascii=False, sort_keys=True),
            address=address,
        )
    )


def entries(
    c: Connection,
    workspace_id: Id,
    who: str = "",
    what: str = "",
    before: Id | None = None,
    after: Id | None = None,
    limit: int = 50,
) -> list[Entry]:
    """The log of a workspace, the newest first; `who` and `what` take only what is exactly that. `before` and `after` are
    entries: with one of them, those that come next below or above it."""
    a = audit.c
    wanted = [a.workspace_id == workspace_id]
    wanted += [a.who == who] if who else []
    wanted += [a.what == what] if what else []
    wanted += [a.id < before] if before is not None else []
    wanted += [a.id > after] if after is not None else []
    found = select(a.id, a.at, a.who, a.what, a.about, a.details, a.address).where(*wanted).limit(limit)
    rows = c.execute(found.order_by(a.id if after is not None else a.id.desc())).all()
    read = [Entry(row.id, row.at, row.who, row.what, row.about, json.loads(row.details), row.address) for row in rows]
    return read[::-1] if after is not None else read


def people(c: Connection, workspace_id: Id) -> Sequence[str]:
    """Everybody whom the log of a workspace names. It goes from name to name in the index, however much each of them did."""
    a = audit.c

    def first(*more: ColumnElement[bool]) -> ScalarSelect[str]:
        return select(a.who).where(a.workspace_id == workspace_id, *more).order_by(a.who).limit(1).scalar_subquery()

    known = select(first().label("who")).cte("known", recursive=True)
    known = known.union_all(select(first(a.who > known.c.who)).where(known.c.who.is_not(None)))
    return c.scalars(select(known.c.who).where(known.c.who.is_not(None))).all()


def who_did(c: Connection, workspace_id: Id, what: str, object_id: Id, since: Id) -> str:
    """Who did it to that one last, looking no further back than the entry id `since`; empty when nobody did."""
    a = audit.c
    wanted = (a.workspace_id == workspace_id, a.what == what, a.id >= since, a.object_id == object_id)
    return c.scalar(select(a.who).where(*wanted).order_by(a.id.desc()).limit(1)) or ""
