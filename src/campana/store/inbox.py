"""What vendors and people told us, as it arrived, until the worker has understood it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from campana.core.ids import Id, new_id
from campana.store.dialect import SetStatement, counted, given, insert_many, locked, upsert
from campana.store.schema import conversation, inbound, inbox, stray

WANTED = given(inbox.c.id)
UNDERSTOOD = SetStatement(delete(inbox).where(inbox.c.id.in_(select(WANTED.c.id))), WANTED)


def put(c: Connection, rows: Sequence[Any]) -> None:
    """Keeps hooks: id, integration, method, url, headers, body, at. One that is kept already is not kept twice."""
    insert_many(
        c,
        inbox,
        [
            {
                "id": row.id,
                "integration": row.integration,
                "method": row.method,
                "url": row.url,
                "headers": msgspec.json.encode(row.headers).decode(),
                "body": row.body,
                "at": row.at,
            }
            for row in rows
        ],
        ignore_known=True,
    )


def take(c: Connection, limit: int, only: Id | None = None) -> Sequence[Any]:
    """The oldest hooks nobody has understood yet, and that nobody else is at; or the one that is named."""
    statement = select(inbox).order_by(inbox.c.id).limit(limit)
    if only is not None:
        statement = statement.where(inbox.c.id == only)
    return c.execute(locked(statement, inbox, skip_locked=True)).all()


def oldest(c: Connection) -> Id | None:
    """The oldest hook nobody has understood yet."""
    return c.scalar(select(inbox.c.id).order_by(inbox.c.id).limit(1))


def done(c: Connection, ids: Sequence[Id]) -> None:
    """These hooks are understood."""
    UNDERSTOOD.run(c, [{"id": one} for one in ids])


def size(c: Connection) -> int:
    """How many hooks wait."""
    return c.scalar(select(func.count()).select_from(inbox)) or 0


def keep_strays(c: Connection, workspace_id: Id, integration: str, words: Sequence[str], now: int) -> None:
    """Events we have no word for or no message for: kept for people."""
    rows = [
        {"id": new_id(now), "workspace_id": workspace_id, "integration": integration, "at": now, "words": one[:2000]}
        for one in words
    ]
    if rows:
        c.execute(insert(stray), rows)


def forget_strays(c: Connection, before: Id, limit: int) -> int:
    """Removes the oldest strays below that id. Returns how many."""
    oldest = select(stray.c.id).where(stray.c.id < before).order_by(stray.c.id).limit(limit)
    return c.execute(stray.delete().where(stray.c.id.in_(oldest.scalar_subquery()))).rowcount


def add_inbound(c: Connection, row: dict[str, Any]) -> bool:
    """Keeps what a person wrote; False when it was there already (vendors tell things twice)."""
    return counted(c, upsert(c, inbound).values(**row).on_conflict_do_nothing()) == 1


def open_conversation(
    c: Connection, workspace_id: Id, contact_id: Id, run_id: Id | None, recipient_id: Id | None, now: int
) -> Id:
    """The person's open conversation in that run, opened when there is none."""
    same_run = conversation.c.run_id == run_id if run_id is not None else conversation.c.run_id.is_(None)
    where = (conversation.c.workspace_id == workspace_id, conversation.c.contact_id == contact_id, same_run)
    found: Id | None = c.scalar(select(conversation.c.id).where(*where, conversation.c.status == "open").limit(1))
    if found is None:
        found = new_id(now)
        c.execute(
            insert(conversation).values(
                id=found,
                workspace_id=workspace_id,
                contact_id=contact_id,
                run_id=run_id,
                recipient_id=recipient_id,
                status="open",
                opened_at=now,
            )
        )
    return found


def close_conversations(c: Connection, run_id: Id, now: int) -> int:
    """Finish ends what is being talked about. Returns how many conversations it closed."""
    where = (conversation.c.run_id == run_id, conversation.c.status == "open")
    return c.execute(update(conversation).where(*where).values(status="closed", closed_at=now)).rowcount
