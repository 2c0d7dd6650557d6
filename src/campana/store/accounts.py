"""Workspaces, vendor accounts, senders and vendors' templates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from campana.core.durations import MINUTE
from campana.core.ids import Id, derived_id, new_id
from campana.store.dialect import upsert
from campana.store.schema import integration, sender, template, workspace


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
    """The workspace of that name, made when there is none."""
    here = select(workspace.c.id).where(workspace.c.name == name)
    found = c.scalar(here)
    if found is None:
        made = upsert(c, workspace).values(id=new_id(now), name=name, created_at=now)
        c.execute(made.on_conflict_do_nothing())  # of processes that start together, one makes it
        found = c.execute(here).scalar_one()
    return found


def put_integration(c: Connection, workspace_id: Id, name: str, kind: str, now: int) -> Id:
    """The integration of that name, made or brought to that kind."""
    found = derived_id(workspace_id, "integration", name)
    row: dict[str, Any] = {"id": found, "workspace_id": workspace_id, "name": name, "kind": kind, "hook": name}
    row |= {"credentials": b"", "from_file": True, "changed_at": now, "created_at": now}
    c.execute(upsert(c, integration).values(row).on_conflict_do_update(index_elements=["id"], set_={"kind": kind}))
    return found


def put_sender(
    c: Connection,
    workspace_id: Id,
    integration_id: Id,
    name: str,
    address: str,
    rate: float,
    daily_limit: int | None,
    now: int,
) -> Id:
    """The sender of that name, made or brought up to date; its pace's past stays."""
    found = derived_id(workspace_id, "sender", name)
    facts = {"integration_id": integration_id, "address": address, "rate": rate, "daily_limit": daily_limit}
    row = {"id": found, "workspace_id": workspace_id, "name": name, "created_at": now, **facts}
    c.execute(upsert(c, sender).values(row).on_conflict_do_update(index_elements=["id"], set_=facts))
    return found


def keep_active(c: Connection, workspace_id: Id, integration_ids: Iterable[Id], sender_ids: Iterable[Id]) -> None:
    """These of the workspace are in use, and no others: what the settings do not name any more sends nothing."""
    for table, ids in ((integration, list(integration_ids)), (sender, list(sender_ids))):
        c.execute(update(table).where(table.c.workspace_id == workspace_id).values(active=table.c.id.in_(ids)))


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
        .where(sender.c.workspace_id == workspace_id)
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


CLOCK_MARGIN = 5 * MINUTE  # our clock and a vendor's differ: what it told shortly before we read its list may be news


def put_templates(c: Connection, workspace_id: Id, integration_id: Id, found: Iterable[Any], now: int) -> None:
    """The vendor's whole list replaces what we knew. Each has name, language, status, category, parameter_format,
    components and vendor_id."""
    c.execute(template.delete().where(template.c.workspace_id == workspace_id, template.c.integration_id == integration_id))
    rows = [
        {
            "workspace_id": workspace_id,
            "integration_id": integration_id,
            "name": one.name,
            "language": one.language,
            "status": one.status,
            "category": one.category,
            "parameter_format": one.parameter_format,
            "components": msgspec.json.encode(one.components).decode(),
            "vendor_id": one.vendor_id,
            "changed_at": now - CLOCK_MARGIN,
        }
        for one in found
    ]
    if rows:
        c.execute(insert(template), rows)


def change_template(
    c: Connection, integration_id: Id, name: str, language: str, status: str | None, category: str | None, at: int
) -> int:
    """Writes down what a webhook told of a template, unless a later status is known: vendors repeat theirs for days.

    Returns how many rows it changed.
    """
    values: dict[str, object] = {}
    if status is not None:
        values |= {"status": status, "changed_at": at}
    if category is not None:
        values["category"] = category
    t = template.c
    where = (t.integration_id == integration_id, t.name == name, t.language == language, t.changed_at <= at)
    return c.execute(update(template).where(*where).values(**values)).rowcount if values else 0


def find_template(c: Connection, integration_id: Id, name: str, language: str) -> Any:
    """None, or one template: name, language, status, category, format, components as JSON, vendor id."""
    t = template.c
    return c.execute(
        select(t.name, t.language, t.status, t.category, t.parameter_format, t.components, t.vendor_id).where(
            t.integration_id == integration_id, t.name == name, t.language == language
        )
    ).first()


def integration_of_sender(c: Connection, sender_id: Id) -> Id:
    """The integration a sender belongs to."""
    return c.execute(select(sender.c.integration_id).where(sender.c.id == sender_id)).scalar_one()


def integrations_of(c: Connection, sender_ids: Iterable[Id]) -> dict[Id, Id]:
    """The integration of each of these senders."""
    rows = c.execute(select(sender.c.id, sender.c.integration_id).where(sender.c.id.in_(list(sender_ids))))
    return {row.id: row.integration_id for row in rows}


def workspace_of_integration(c: Connection, integration_id: Id) -> Id:
    """The workspace an integration belongs to."""
    return c.execute(select(integration.c.workspace_id).where(integration.c.id == integration_id)).scalar_one()


def any_workspace(c: Connection) -> Id:
    """The first workspace there is: for what belongs to nobody."""
    return c.execute(select(workspace.c.id).order_by(workspace.c.id).limit(1)).scalar_one()


def note_integration(c: Connection, integration_id: Id, words: str) -> None:
    """What the vendor told of the account, for people."""
    c.execute(update(integration).where(integration.c.id == integration_id).values(last_error=words))


def sender_address(c: Connection, sender_id: Id) -> str:
    """A sender's address as the vendor knows it."""
    return c.execute(select(sender.c.address).where(sender.c.id == sender_id)).scalar_one()
