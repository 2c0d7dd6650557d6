"""What a run is doing, whole: the figures of its progress page. Small sums of small tables, no big scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from campana.core.audience import REASONS
from campana.core.campaign import Plan
from campana.core.ids import Id
from campana.core.journey import Outcome
from campana.store.campaign_list import LINE, CampaignLine, line_of
from campana.store.campaigns import LIVE, tags_of
from campana.store.counters import figures
from campana.store.flows import FOR_GOOD
from campana.store.schema import audience, campaign, flow, integration, run, sender

IN_USE = sender.c.active & integration.c.active
OFF = {True: "not in the settings any more", False: "off: its integration was turned off, or the sender was removed"}


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


def progress(c: Connection, workspace_id: Id, campaign_id: Id, now: int = 0) -> Progress | None:
    """All figures of a campaign's latest run, None when there is no such campaign in the workspace.

    Without `now`, a flow that was closed once is said to be held, whether or not it is open again.
    """
    row = c.execute(LINE.where(campaign.c.workspace_id == workspace_id, campaign.c.id == campaign_id).limit(1)).first()
    if row is None:
        return None
    counts = figures(c, [row.run_id])[row.run_id] if row.run_id else Counter()
    line = line_of(row, counts, tags_of(c, [campaign_id])[campaign_id])
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
