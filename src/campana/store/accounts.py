"""Senders as the wheels see them: which there are, how fast each may go, and what stops it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, or_, select, update

from campana.core.ids import Id, derived_id, new_id
from campana.store.dialect import upsert
from campana.store.schema import integration, sender, workspace


@dataclass(frozen=True, slots=True)
class SenderRow:
    """A sender as it stands."""

    id: Id
    integration: str
    kind: str
    name: str
    address: str
    rate: float
    active: bool
    paused_at: int | None
    trouble: str | None


def ensure_workspace(c: Connection, name: str, now: int) -> Id:
    """The workspace that the settings call by that name, however people have renamed it; made when there is none."""
    here = select(workspace.c.id).where(workspace.c.setting == name)
    found = c.scalar(here)
    if found is None:
        made = upsert(c, workspace).values(id=new_id(now), name=name, setting=name, created_at=now)
        c.execute(made.on_conflict_do_nothing())  # of processes that start together, one makes it
        nobodys = (workspace.c.name == name, workspace.c.setting.is_(None))
        c.execute(update(workspace).where(*nobodys).values(setting=name))  # of the console, and in the settings from now on
        found = c.execute(here).scalar_one()
    return found


def sender_id(workspace_id: Id, name: str) -> Id:
    """The id of a sender that the settings name."""
    return derived_id(workspace_id, "sender", name)


def put_sender(
    c: Connection,
    workspace_id: Id,
    integration_id: Id,
    name: str,
    address: str,
    rate: float,
    daily_limit: int | None,
    now: int,
    weight: str | None = None,
) -> Id:
    """The sender of that name, made or brought up to date; its pace's past stays."""
    found = sender_id(workspace_id, name)
    facts: dict[str, Any] = {"integration_id": integration_id, "address": address}
    facts |= {"weight": weight, "rate": rate, "daily_limit": daily_limit}
    row = {"id": found, "workspace_id": workspace_id, "name": name, "created_at": now, **facts}
    moves = or_(sender.c.address != address, sender.c.integration_id != integration_id)
    moved = {"moved_at": case((moves, now), else_=sender.c.moved_at)}
    c.execute(upsert(c, sender).values(row).on_conflict_do_update(index_elements=["id"], set_=facts | moved))
    return found


def senders(c: Connection, workspace_id: Id) -> list[SenderRow]:
    """All senders of a workspace."""
    rows = c.execute(
        select(
            sender.c.id,
            integration.c.name,
            integration.c.kind,
            sender.c.name,
            sender.c.address,
            sender.c.rate,
            sender.c.active & integration.c.active,
            sender.c.paused_at,
            sender.c.trouble,
        )
        .join(integration, integration.c.id == sender.c.integration_id)
        .where(sender.c.workspace_id == workspace_id, sender.c.removed_at.is_(None))
        .order_by(sender.c.name)
    )
    return [SenderRow(*row) for row in rows]


def pause_sender(c: Connection, sender_id: Id, why: str, now: int) -> None:
    """Nothing more goes out by this sender until a person resumes it."""
    c.execute(update(sender).where(sender.c.id == sender_id, sender.c.paused_at.is_(None)).values(paused_at=now, trouble=why))


def resume_senders(c: Connection, sender_ids: Iterable[Id]) -> None:
    """These senders may go on; their trouble is taken as mended."""
    c.execute(update(sender).where(sender.c.id.in_(list(sender_ids))).values(paused_at=None, trouble=None, setbacks=0))


def set_back(c: Connection, sender_id: Id, until: int, why: str) -> None:
    """The vendor could not be reached: the sender's next turn comes no earlier than `until`."""
    values = {"tat": until, "trouble": why, "setbacks": sender.c.setbacks + 1}
    c.execute(update(sender).where(sender.c.id == sender_id).values(**values))


def slow_down(c: Connection, sender_id: Id, until: int) -> None:
    """The vendor asked for fewer messages: the next one goes no earlier than `until`."""
    c.execute(update(sender).where(sender.c.id == sender_id, sender.c.tat < until).values(tat=until))


def note_trouble(c: Connection, sender_id: Id, why: str) -> None:
    """Something is wrong with the sender that people should know, though it goes on."""
    c.execute(update(sender).where(sender.c.id == sender_id).values(trouble=why))


def reached(c: Connection, sender_id: Id) -> None:
    """The vendor answers again."""
    mended = (sender.c.id == sender_id, sender.c.paused_at.is_(None), (sender.c.setbacks > 0) | sender.c.trouble.is_not(None))
    c.execute(update(sender).where(*mended).values(setbacks=0, trouble=None))


def integration_of_sender(c: Connection, sender_id: Id) -> Id:
    """The integration a sender belongs to."""
    return c.execute(select(sender.c.integration_id).where(sender.c.id == sender_id)).scalar_one()


def integrations_of(c: Connection, sender_ids: Iterable[Id]) -> dict[Id, Id]:
    """The integration of each of these senders."""
    rows = c.execute(select(sender.c.id, sender.c.integration_id).where(sender.c.id.in_(list(sender_ids))))
    return {row.id: row.integration_id for row in rows}


def any_workspace(c: Connection) -> Id:
    """The first workspace there is: for what belongs to nobody."""
    return c.execute(select(workspace.c.id).order_by(workspace.c.id).limit(1)).scalar_one()


def sender_address(c: Connection, sender_id: Id) -> str:
    """A sender's address as the vendor knows it."""
    return c.execute(select(sender.c.address).where(sender.c.id == sender_id)).scalar_one()


def moved_at(c: Connection, sender_id: Id) -> int | None:
    """When the sender's address, or its account's credentials, last became others; None: they are those of the start."""
    both = select(sender.c.moved_at, integration.c.moved_at).join(integration, integration.c.id == sender.c.integration_id)
    moments = [at for at in c.execute(both.where(sender.c.id == sender_id)).one() if at is not None]
    return max(moments, default=None)
