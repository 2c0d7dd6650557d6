"""Who did what, when: one row for each change that people make, written in the transaction of the change itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

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


def entries(c: Connection, workspace_id: Id, who: str = "", what: str = "", offset: int = 0, limit: int = 50) -> list[Entry]:
    """The log of a workspace, the newest first; `who` and `what` take only what is exactly that."""
    a = audit.c
    wanted = [a.workspace_id == workspace_id]
    wanted += [a.who == who] if who else []
    wanted += [a.what == what] if what else []
    rows = c.execute(
        select(a.id, a.at, a.who, a.what, a.about, a.details, a.address)
        .where(*wanted)
        .order_by(a.id.desc())
        .offset(offset)
        .limit(limit)
    )
    return [Entry(row.id, row.at, row.who, row.what, row.about, json.loads(row.details), row.address) for row in rows]


def known(c: Connection, workspace_id: Id) -> tuple[Sequence[str], Sequence[str]]:
    """Everybody and everything that the log of a workspace names: what it can be filtered by."""
    a = audit.c
    who = c.scalars(select(a.who).where(a.workspace_id == workspace_id).distinct().order_by(a.who))
    what = c.scalars(select(a.what).where(a.workspace_id == workspace_id).distinct().order_by(a.what))
    return who.all(), what.all()
