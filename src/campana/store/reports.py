"""What people look at of campaigns. Small sums of small tables, no big scans."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from campana.core.ids import Id
from campana.core.journey import Stage
from campana.store.flows import FOR_GOOD
from campana.store.progress import IN_USE
from campana.store.schema import campaign_tag, flow, integration, recipient, sender


def all_tags(c: Connection, workspace_id: Id) -> list[str]:
    """All tags in use in a workspace."""
    tags = select(campaign_tag.c.tag).where(campaign_tag.c.workspace_id == workspace_id).distinct().order_by(campaign_tag.c.tag)
    return list(c.scalars(tags))


def waits_for_people(c: Connection, run_id: Id) -> bool:
    """Whether something of the run is stopped for good until a person mends it, and nothing else of it is under way."""
    may_go_on = IN_USE & sender.c.paused_at.is_(None) & (flow.c.open_at != FOR_GOOD)
    senders = sender.join(integration, integration.c.id == sender.c.integration_id)
    stopped = c.scalar(
        select(func.count())
        .select_from(flow.join(senders, sender.c.id == flow.c.sender_id))
        .where(flow.c.run_id == run_id, ~may_go_on)
    )
    if not stopped:
        return False
    moving = (
        select(recipient.c.id)
        .join(flow, flow.c.id == recipient.c.flow_id)
        .outerjoin(senders, sender.c.id == flow.c.sender_id)
        .where(flow.c.run_id == run_id, recipient.c.stage < int(Stage.DONE), flow.c.sender_id.is_(None) | may_go_on)
        .limit(1)
    )
    return c.scalar(moving) is None
