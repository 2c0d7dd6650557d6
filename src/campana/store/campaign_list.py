"""The campaign list: one line a campaign. Small sums of small tables, no big scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, select

from campana.core.campaign import Plan, name_key
from campana.core.ids import Id
from campana.core.journey import Outcome
from campana.store.campaigns import tags_of
from campana.store.counters import figures
from campana.store.schema import audience, campaign, campaign_tag, run


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """One row of the campaign list. Times are UTC microseconds."""

    campaign_id: Id
    run_id: Id | None
    name: str
    tags: Sequence[str]
    channels: Sequence[str]  # kinds, in the order of the steps
    status: str  # draft, scheduled, sending, paused, sent, ended, failed_to_start
    starts_at: int | None
    started_at: int | None
    finished_at: int | None
    people: int
    sent: int  # people with at least one message accepted
    delivered: int
    replied: int
    failed: int  # people unreached
    zone: str = ""  # in which the start was chosen; empty: it was not chosen


LINE = (
    select(
        campaign.c.id.label("campaign_id"),
        campaign.c.name,
        run.c.id.label("run_id"),
        run.c.status,
        run.c.plan,
        run.c.offered,
        audience.c.offered.label("of_draft"),
        run.c.starts_at,
        run.c.started_at,
        run.c.finished_at,
    )
    .outerjoin(run, run.c.campaign_id == campaign.c.id)
    .outerjoin(audience, and_(audience.c.id == campaign.c.audience_id, run.c.id.is_(None)))
    .order_by(campaign.c.id.desc(), run.c.id.desc())
)


def campaigns(
    c: Connection,
    workspace_id: Id,
    status: str | None = None,
    tag: str | None = None,
    search: str | None = None,
    limit: int = 200,
) -> list[CampaignLine]:
    """The campaigns of a workspace with their latest run, newest first; those in a state, with a tag, with words in the name."""
    statement = LINE.where(campaign.c.workspace_id == workspace_id, campaign.c.archived_at.is_(None))
    if status == "draft":
        statement = statement.where(run.c.id.is_(None))
    elif status:
        statement = statement.where(run.c.status == status)
    if tag:
        tagged = select(campaign_tag.c.campaign_id).where(campaign_tag.c.workspace_id == workspace_id, campaign_tag.c.tag == tag)
        statement = statement.where(campaign.c.id.in_(tagged))
    if search:
        statement = statement.where(campaign.c.name_key.contains(name_key(search), autoescape=True))
    latest: dict[Id, Any] = {}
    for row in c.execute(statement.limit(limit)):
        latest.setdefault(row.campaign_id, row)
    figures_of = figures(c, [row.run_id for row in latest.values() if row.run_id is not None])
    tags = tags_of(c, latest)
    return [line_of(row, figures_of.get(row.run_id, Counter()), tags[row.campaign_id]) for row in latest.values()]


def line_of(row: Any, counts: Counter[str], tags: Sequence[str]) -> CampaignLine:
    """The line that a row of LINE and the figures of its run make."""
    plan = Plan.model_validate_json(row.plan) if row.plan else Plan(steps=())
    return CampaignLine(
        campaign_id=row.campaign_id,
        run_id=row.run_id,
        name=row.name,
        tags=tags,
        channels=list(dict.fromkeys(step.channel for step in plan.steps)),
        status=row.status or "draft",
        starts_at=row.starts_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        people=row.offered or row.of_draft or 0,
        sent=counts["people:sent"],
        delivered=counts["people:delivered"],
        replied=counts[f"outcome:{Outcome.REPLIED}"],
        failed=counts[f"outcome:{Outcome.UNREACHED}"],
        zone=plan.zone,
    )
