"""What the steps of a campaign can be made of: the senders of a workspace, and the templates its vendors keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from campana.core.campaign import Hours
from campana.core.ids import Id
from campana.store.schema import integration, sender, template, workspace


@dataclass(frozen=True, slots=True)
class SenderChoice:
    """A sender, whether or not it can be chosen now."""

    id: Id
    name: str
    address: str
    kind: str  # of its channel
    integration_id: Id
    integration: str
    active: bool  # it and its integration are
    rate: float
    daily_limit: int | None
    paused_at: int | None
    trouble: str | None
    weight: str | None = None  # what its pace and limit count: messages or segments; None: as the channel does
    heard: bool = True  # a good webhook of its integration ever came


@dataclass(frozen=True, slots=True)
class Choices:
    """All that a workspace has, in the order people read it."""

    senders: tuple[SenderChoice, ...]
    templates: tuple[Any, ...]  # rows: integration_id, name, language, status, category, parameter_format, components, vendor_id
    email_alpha: bool
    zone: str
    hours: Hours | None

    def sender(self, hex_id: str) -> SenderChoice | None:
        """The sender of that id, as a draft names it."""
        return next((one for one in self.senders if one.id.hex() == hex_id), None)


def choices(c: Connection, workspace_id: Id) -> Choices:
    """What the steps of this workspace's campaigns can be made of."""
    facts = c.execute(
        select(workspace.c.email_alpha, workspace.c.zone, workspace.c.hours).where(workspace.c.id == workspace_id)
    ).one()
    t = template.c
    columns = (t.integration_id, t.name, t.language, t.status, t.category, t.parameter_format, t.components, t.vendor_id)
    found = c.execute(select(*columns).where(t.workspace_id == workspace_id).order_by(t.name, t.language)).all()
    hours = Hours.model_validate_json(facts.hours) if facts.hours else None
    return Choices(_senders(c, workspace_id), tuple(found), facts.email_alpha, facts.zone, hours)


def _senders(c: Connection, workspace_id: Id) -> tuple[SenderChoice, ...]:
    rows = c.execute(
        select(
            sender.c.id,
            sender.c.name,
            sender.c.address,
            integration.c.kind,
            sender.c.integration_id,
            integration.c.name,
            sender.c.active & integration.c.active,
            sender.c.rate,
            sender.c.daily_limit,
            sender.c.paused_at,
            sender.c.trouble,
            sender.c.weight,
            integration.c.heard_at.is_not(None),
        )
        .join(integration, integration.c.id == sender.c.integration_id)
        .where(sender.c.workspace_id == workspace_id, sender.c.removed_at.is_(None))
        .order_by(sender.c.name)
    )
    return tuple(SenderChoice(*row) for row in rows)
