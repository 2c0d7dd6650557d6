"""The campaign list: one line a campaign, what is being sent, and what was put away. Small sums of small tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, exists, select, update

from campana.core.ids import Id
from campana.core.journey import Outcome
from campana.store import audit
from campana.store.campaigns import LIVE, tags_of
from campana.store.counters import figures_named
from campana.store.drafts import Author
from campana.store.outlines import outline
from campana.store.schema import audience, campaign, run, user

SENT, DELIVERED = "people:sent", "people:delivered"
REPLIED, FAILED = f"outcome:{Outcome.REPLIED}", f"outcome:{Outcome.UNREACHED}"
SHOWN = (SENT, DELIVERED, REPLIED, FAILED)
MOST_SENDING = 200  # runs that the bar sums: whoever sends more than those at once sees the sum of so many


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
    owner_id: Id | None = None  # who made it; None on the command line
    owner: str = ""
    archived_at: int | None = None


_runs = run.alias("runs")
LATEST = select(_runs.c.id).where(_runs.c.campaign_id == campaign.c.id).order_by(_runs.c.id.desc()).limit(1)
LINE = (
    select(
        campaign.c.id.label("campaign_id"),
        campaign.c.name,
        campaign.c.archived_at,
        campaign.c.owner_id,
        user.c.name.label("owner_name"),
        user.c.email.label("owner_email"),
        run.c.id.label("run_id"),
        run.c.status,
        run.c.plan,
        run.c.offered,
        audience.c.offered.label("of_draft"),
        run.c.starts_at,
        run.c.started_at,
        run.c.finished_at,
    )
    .select_from(campaign)
    .outerjoin(run, run.c.id == LATEST.correlate(campaign).scalar_subquery())
    .outerjoin(audience, and_(audience.c.id == campaign.c.audience_id, run.c.id.is_(None)))
    .outerjoin(user, user.c.id == campaign.c.owner_id)
)


def campaigns(c: Connection, workspace_id: Id, limit: int = 200, archived: bool = False) -> list[CampaignLine]:
    """The campaigns of a workspace with their latest run, the newest first; with `archived`, those after all others."""
    found = LINE.where(campaign.c.workspace_id == workspace_id)
    if not archived:
        found = found.where(campaign.c.archived_at.is_(None))
    rows = c.execute(found.order_by(campaign.c.archived_at.is_not(None), campaign.c.id.desc()).limit(limit)).all()
    counts = figures_named(c, [row.run_id for row in rows if row.run_id is not None], SHOWN)
    tags = tags_of(c, [row.campaign_id for row in rows])
    none: Counter[str] = Counter()
    return [line_of(row, counts.get(row.run_id, none), tags[row.campaign_id]) for row in rows]


def line_of(row: Any, counts: Counter[str], tags: Sequence[str]) -> CampaignLine:
    """The line that a row of LINE and the figures of its run make."""
    plan = outline(row.plan)
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
        sent=counts[SENT],
        delivered=counts[DELIVERED],
        replied=counts[REPLIED],
        failed=counts[FAILED],
        zone=plan.zone,
        owner_id=row.owner_id,
        owner=row.owner_name or row.owner_email or "",
        archived_at=row.archived_at,
    )


@dataclass(frozen=True, slots=True)
class Sending:
    """What a workspace is sending at this moment, summed."""

    campaigns: int
    sent: int
    people: int
    only: Id | None  # the campaign, when it is one


def sending(c: Connection, workspace_id: Id) -> Sending:
    """How many campaigns are being sent, and how far they are."""
    wanted = (run.c.status == "sending", run.c.workspace_id == workspace_id)
    rows = c.execute(select(run.c.id, run.c.campaign_id, run.c.offered).where(*wanted).limit(MOST_SENDING)).all()
    counts = figures_named(c, [row.id for row in rows], (SENT,))
    campaign_ids = {row.campaign_id for row in rows}
    return Sending(
        len(campaign_ids),
        sum(count[SENT] for count in counts.values()),
        sum(row.offered for row in rows),
        next(iter(campaign_ids)) if len(campaign_ids) == 1 else None,
    )


def archive(c: Connection, workspace_id: Id, campaign_id: Id, author: Author, now: int) -> bool:
    """A campaign that is over is put away; False when it is not over, put away already, or unknown."""
    of_it = run.c.campaign_id == campaign.c.id
    over = exists().where(of_it) & ~exists().where(of_it, run.c.status.in_(LIVE))
    return _put(c, workspace_id, campaign_id, author, now, campaign.c.archived_at.is_(None) & over, now, "campaign.archived")


def restore(c: Connection, workspace_id: Id, campaign_id: Id, author: Author, now: int) -> bool:
    """A campaign that was put away is in the list again; False when it was not."""
    put_away = campaign.c.archived_at.is_not(None)
    return _put(c, workspace_id, campaign_id, author, now, put_away, None, "campaign.restored")


def _put(
    c: Connection, workspace_id: Id, campaign_id: Id, author: Author, now: int, where: Any, archived_at: int | None, what: str
) -> bool:
    mine = (campaign.c.workspace_id == workspace_id, campaign.c.id == campaign_id)
    changed = update(campaign).where(*mine, where).values(archived_at=archived_at).returning(campaign.c.name)
    name = c.scalar(changed)
    if name is not None:
        audit.note(c, workspace_id, author.user_id, author.who, what, name, now, campaign_id, address=author.address)
    return name is not None
