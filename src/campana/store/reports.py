"""What people look at: one line a campaign, and one page of what a run is doing. Small sums of small tables, no big scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, func, select

from campana.core.audience import REASONS
from campana.core.campaign import Plan, name_key
from campana.core.ids import Id
from campana.core.journey import Outcome, Stage
from campana.store.campaigns import LIVE, tags_of
from campana.store.counters import figures
from campana.store.flows import FOR_GOOD
from campana.store.schema import audience, campaign, campaign_tag, flow, integration, recipient, run, sender

IN_USE = sender.c.active & integration.c.active
OFF = {True: "not in the settings any more", False: "off: its integration was turned off, or the sender was removed"}


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


@dataclass(frozen=True, slots=True)
class FailureLine:
    """How often one code was told in a run."""

    channel: str
    code: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run is doing, whole: every figure can be drawn from this alone."""

    line: CampaignLine
    outcomes: Mapping[str, int]  # every outcome's count of people; they sum to `line.people`
    left_out: Mapping[str, int]  # rows of the file that are not offered, by reason
    funnel: Mapping[str, int]  # people: audience, sent, delivered, read, replied
    steps: Sequence[Mapping[str, int | str]]  # for each step: kind, channel, sent, delivered, read, failed, skipped
    minutes: Sequence[tuple[int, int]]  # (minute since 1970, messages handed to vendors), oldest first
    failures: Sequence[FailureLine] = field(default_factory=tuple)
    held: Sequence[str] = ()  # sentences: why people wait


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
    return [_line(row, figures_of.get(row.run_id, Counter()), tags[row.campaign_id]) for row in latest.values()]


def _line(row: Any, counts: Counter[str], tags: Sequence[str]) -> CampaignLine:
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


def progress(c: Connection, workspace_id: Id, campaign_id: Id, now: int = 0) -> Progress | None:
    """All figures of a campaign's latest run, None when there is no such campaign in the workspace.

    Without `now`, a flow that was closed once is said to be held, whether or not it is open again.
    """
    row = c.execute(LINE.where(campaign.c.workspace_id == workspace_id, campaign.c.id == campaign_id).limit(1)).first()
    if row is None:
        return None
    counts = figures(c, [row.run_id])[row.run_id] if row.run_id else Counter()
    line = _line(row, counts, tags_of(c, [campaign_id])[campaign_id])
    return Progress(
        line=line,
        outcomes=outcomes(counts, line.people),
        left_out=_left_out(c, row.run_id),
        funnel={
            "audience": line.people,
            "sent": line.sent,
            "delivered": line.delivered,
            "read": counts["people:read"],
            "replied": line.replied,
        },
        steps=_steps(row.plan, counts),
        minutes=_minutes(counts),
        failures=_failures(c, row.run_id, counts),
        held=_held(c, row.run_id, now) if row.status in LIVE else (),
    )


def _left_out(c: Connection, run_id: Id | None) -> dict[str, int]:
    """Rows of the file that are not offered, by reason, as its summary says: nobody counts rows while people look on."""
    told = c.scalar(select(audience.c.summary).join(run, run.c.audience_id == audience.c.id).where(run.c.id == run_id))
    found = msgspec.json.decode(told or "{}", type=dict[str, Any]).get("left_out", {})
    return {REASONS.get(code, code): n for code, n in found.items()}


def outcomes(counts: Mapping[str, int], people: int) -> dict[str, int]:
    """Every outcome's count; who has not been enrolled yet is waiting, so they always sum to the people offered."""
    found = {str(outcome): counts.get(f"outcome:{outcome}", 0) for outcome in Outcome}
    found[Outcome.WAITING] += people - sum(found.values())
    return found


def _steps(plan: str | None, counts: Counter[str]) -> list[dict[str, int | str]]:
    steps = Plan.model_validate_json(plan).steps if plan else ()
    keys = ("sent", "delivered", "read", "failed", "skipped")
    return [
        {"kind": step.kind, "channel": step.channel, **{key: counts[f"step:{position}:{key}"] for key in keys}}
        for position, step in enumerate(steps)
    ]


def _minutes(counts: Counter[str]) -> list[tuple[int, int]]:
    """The last two hours in which something was handed over, minute by minute, quiet minutes too."""
    handed = {int(key.removeprefix("minute:")): n for key, n in counts.items() if key.startswith("minute:")}
    if not handed:
        return []
    last = max(handed)
    return [(minute, handed.get(minute, 0)) for minute in range(max(min(handed), last - 119), last + 1)]


def _failures(c: Connection, run_id: Id | None, counts: Counter[str]) -> list[FailureLine]:
    found = []
    for key, n in counts.items():
        if key.startswith("fail:") and n > 0:
            _, channel, code = key.split(":", 2)
            found.append((n, channel, code))
    return [FailureLine(channel, code, "", n) for n, channel, code in sorted(found, reverse=True)]


def _held(c: Connection, run_id: Id, now: int) -> list[str]:
    """Why people of the run wait: senders that are gone, paused or slow, and flows that are closed at this moment."""
    rows = c.execute(
        select(sender.c.name, sender.c.trouble, IN_USE.label("in_use"), integration.c.from_file, flow.c.held, flow.c.open_at)
        .join(flow, flow.c.sender_id == sender.c.id)
        .join(integration, integration.c.id == sender.c.integration_id)
        .where(flow.c.run_id == run_id)
    ).all()
    said = [f"the sender {row.name} is {OFF[row.from_file]}" for row in rows if not row.in_use]
    said += [f"{row.name}: {row.trouble}" for row in rows if row.trouble]
    said += [f"{row.name}: {_until(row.open_at)}{row.held}" for row in rows if row.held and row.open_at > now]
    return list(dict.fromkeys(said))


def _until(moment: int) -> str:
    """Until when a flow is held, unless only a person can open it."""
    if moment >= FOR_GOOD:
        return ""
    return f"held until {datetime.fromtimestamp(moment / 1_000_000, UTC):%Y-%m-%d %H:%M} UTC: "


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
