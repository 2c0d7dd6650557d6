"""The senders of the console: the numbers and addresses of each account, as people see, add and change them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, insert, select, update

from campana.core.durations import DAY
from campana.core.ids import Id, new_id
from campana.store.integrations import NameTaken
from campana.store.schema import integration, sender


@dataclass(frozen=True, slots=True)
class SenderLine:
    """One sender as people see it."""

    id: Id
    integration_id: Id
    name: str
    address: str
    active: bool
    rate: float  # a second, in what it counts
    daily_limit: int | None
    used: int  # of the daily limit, today
    paused_at: int | None
    trouble: str | None
    weight: str | None = None  # what it counts: messages or segments; None: as the channel does


@dataclass(frozen=True, slots=True)
class Facts:
    """What people say of a sender."""

    name: str
    address: str
    rate: float
    daily_limit: int | None
    weight: str | None = None


def of_workspace(c: Connection, workspace_id: Id, now: int, integration_id: Id | None = None) -> list[SenderLine]:
    """The senders of a workspace by name, or those of one account; removed ones are left out."""
    s = sender.c
    columns = (s.id, s.integration_id, s.name, s.address, s.active, s.rate, s.daily_limit, s.day, s.day_used)
    wanted = [s.workspace_id == workspace_id, s.removed_at.is_(None)]
    wanted += [s.integration_id == integration_id] if integration_id else []
    rows = c.execute(select(*columns, s.paused_at, s.trouble, s.weight).where(*wanted).order_by(func.lower(s.name), s.id))
    today = now // DAY
    return [
        SenderLine(
            row.id,
            row.integration_id,
            row.name,
            row.address,
            row.active,
            row.rate,
            row.daily_limit,
            row.day_used if row.day == today else 0,
            row.paused_at,
            row.trouble,
            row.weight,
        )
        for row in rows
    ]


def add(c: Connection, workspace_id: Id, integration_id: Id, facts: Facts, now: int) -> Id | None:
    """A new sender of an account that was made in the console; None when there is no such account. Raises NameTaken."""
    i = integration.c
    mine = (i.workspace_id == workspace_id, i.id == integration_id, i.from_file.is_(False), i.removed_at.is_(None))
    if c.scalar(select(i.id).where(*mine)) is None:
        return None
    made = new_id(now)
    require_free(c, workspace_id, facts.name, made)
    row: dict[str, Any] = {"id": made, "workspace_id": workspace_id, "integration_id": integration_id, "created_at": now}
    c.execute(insert(sender).values(row | _values(facts)))
    return made


def change(c: Connection, workspace_id: Id, sender_id: Id, facts: Facts, now: int) -> bool:
    """The sender is as people say from now on; its pace's past stays. False when there is none. Raises NameTaken."""
    require_free(c, workspace_id, facts.name, sender_id)
    values = _values(facts) | {"moved_at": case((sender.c.address != facts.address, now), else_=sender.c.moved_at)}
    return c.execute(update(sender).where(*_of_console(workspace_id, sender_id)).values(**values)).rowcount > 0


def remove(c: Connection, workspace_id: Id, sender_id: Id, now: int) -> bool:
    """The sender sends nothing more and its name is free; what went out from it stays known. False when there is none."""
    s = sender.c
    gone = {"active": False, "removed_at": now, "name": s.name + f" ({sender_id.hex()[-8:]})"}
    return c.execute(update(sender).where(*_of_console(workspace_id, sender_id)).values(**gone)).rowcount > 0


def remove_all(c: Connection, workspace_id: Id, integration_id: Id, now: int) -> None:
    """All senders of an account are removed."""
    s = sender.c
    theirs = (s.workspace_id == workspace_id, s.integration_id == integration_id, s.removed_at.is_(None))
    for sender_id in c.scalars(select(s.id).where(*theirs)).all():
        remove(c, workspace_id, sender_id, now)


def resume(c: Connection, workspace_id: Id, sender_id: Id) -> bool:
    """The sender may go on; its trouble is taken as mended. False when it was not paused and had none."""
    s = sender.c
    mine = (s.workspace_id == workspace_id, s.id == sender_id, s.removed_at.is_(None))
    stopped = s.paused_at.is_not(None) | s.trouble.is_not(None)
    values = {"paused_at": None, "trouble": None, "setbacks": 0}
    return c.execute(update(sender).where(*mine, stopped).values(values)).rowcount > 0


def keep_from_file(c: Connection, workspace_id: Id, named: Collection[Id]) -> None:
    """Of the senders that the settings made, those they name are in use and no others."""
    made = select(integration.c.id).where(integration.c.workspace_id == workspace_id, integration.c.from_file)
    c.execute(update(sender).where(sender.c.integration_id.in_(made)).values(active=sender.c.id.in_(list(named))))


def require_free(c: Connection, workspace_id: Id, name: str, owner: Id) -> None:
    """Raises NameTaken when another sender of the workspace has that name."""
    s = sender.c
    if c.scalar(select(s.id).where(s.workspace_id == workspace_id, s.name == name, s.id != owner)) is not None:
        raise NameTaken(f"There is already a sender named {name}. Choose another name.")


def _values(facts: Facts) -> dict[str, Any]:
    return {
        "name": facts.name,
        "address": facts.address,
        "weight": facts.weight,
        "rate": facts.rate,
        "daily_limit": facts.daily_limit,
    }


def _of_console(workspace_id: Id, sender_id: Id) -> tuple[Any, ...]:
    s = sender.c
    made = select(integration.c.id).where(integration.c.workspace_id == workspace_id, integration.c.from_file.is_(False))
    return s.workspace_id == workspace_id, s.id == sender_id, s.removed_at.is_(None), s.integration_id.in_(made)
