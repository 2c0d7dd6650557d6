"""What a run is doing, whole: the figures of its progress page. Small sums of small tables, no big scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from campana.core.audience import REASONS
from campana.core.campaign import Hours, Plan
from campana.core.canary import Breach, Tried, Watch
from campana.core.durations import DAY, MINUTE
from campana.core.forecast import Forecast, Queue
from campana.core.held import BY_WORDS, Held, Why
from campana.core.ids import Id, first_id
from campana.core.journey import Outcome
from campana.store import audit, campaigns, recipients, workspaces
from campana.store.campaign_list import LINE, CampaignLine, line_of
from campana.store.campaigns import LIVE, RunRow, tags_of
from campana.store.counters import failures, figures_but_minutes, last_minutes
from campana.store.flows import FOR_GOOD
from campana.store.schema import audience, campaign, flow, integration, message, recipient, run, sender
from campana.store.workspaces import Stop

IN_USE = sender.c.active & integration.c.active
WATCH = msgspec.json.Decoder(Watch)
NOTHING_TRIED = Tried()
STEP_KEYS = ("sent", "delivered", "read", "failed", "skipped")
SHOWN_MINUTES = 120
SAMPLE = 100  # people whose messages tell how many segments one has


@dataclass(frozen=True, slots=True)
class FailureLine:
    """How often one code was told in a run."""

    channel: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step of a run: people who came to it, its messages, and where people went from it."""

    kind: str
    channel: str
    came: int = 0  # people whose turn it was, or will be
    line: int = 0  # of those, who stand before it now
    sent: int = 0  # messages, as are the three below
    delivered: int = 0
    read: int = 0
    failed: int = 0
    skipped: int = 0  # people it was not for
    went: Mapping[int, int] = field(default_factory=dict)  # position of another step -> people who went on to it


@dataclass(frozen=True, slots=True)
class Paused:
    """Why a run is paused: by the stop of everything, by itself, or by somebody."""

    at: int
    who: str = ""  # empty: not known
    by_stop: bool = False
    breach: Breach | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run is doing, whole: every figure can be drawn from this alone."""

    line: CampaignLine
    outcomes: Mapping[str, int]  # every outcome's count of people; they sum to `line.people`
    left_out: Mapping[str, int]  # rows of the file that are not offered, by reason
    funnel: Mapping[str, int]  # people: audience, sent, delivered, read, replied
    steps: Sequence[StepLine]
    minutes: Sequence[tuple[int, int]]  # (minute since 1970, messages handed to vendors), oldest first
    failures: Sequence[FailureLine] = ()
    held: Sequence[Held] = ()  # why people wait
    queues: Sequence[Queue] = ()  # what waits to be sent; `counts` is empty where it is as the channel does
    hours: Hours | None = None
    forecast: Forecast | None = None  # of the queues: whoever knows the channels adds it
    paused: Paused | None = None
    stop: Stop | None = None  # everything of the workspace is stopped
    watch: Watch | None = None
    tried: Tried = NOTHING_TRIED  # what the watch looks at


def progress(c: Connection, workspace_id: Id, campaign_id: Id, now: int = 0) -> Progress | None:
    """All figures of a campaign's latest run, None when there is no such campaign in the workspace.

    Without `now`, a flow that was closed once is said to be held, whether or not it is open again.
    """
    row = c.execute(LINE.where(campaign.c.workspace_id == workspace_id, campaign.c.id == campaign_id).limit(1)).first()
    if row is None:
        return None
    counts = figures_but_minutes(c, row.run_id) if row.run_id else Counter[str]()
    line = line_of(row, counts, tags_of(c, [campaign_id])[campaign_id])
    plan = Plan.model_validate_json(row.plan) if row.plan else None
    latest = campaigns.get_run(c, row.run_id) if row.run_id else None
    watch = WATCH.decode(latest.watch) if latest and latest.watch else None
    live = row.status in LIVE
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
        steps=_steps(plan, counts, line.people),
        minutes=last_minutes(c, row.run_id, SHOWN_MINUTES) if row.run_id else (),
        failures=_failures(counts),
        held=_held(c, row.run_id, now) if live else (),
        queues=_queues(c, row.run_id, plan, counts, _let_in(line.people, watch), now) if plan and row.status == "sending" else (),
        hours=plan.hours if plan else None,
        paused=_paused(c, latest, watch) if latest and row.status == "paused" else None,
        stop=workspaces.stop_of(c, workspace_id) if live else None,
        watch=watch,
        tried=Tried.of(counts),
    )


def _let_in(people: int, watch: Watch | None) -> int:
    """How many people may be sent to as things stand: while the first ones are tried, those."""
    return people if watch is None or watch.passed_at is not None else min(people, watch.first)


def _paused(c: Connection, latest: RunRow, watch: Watch | None) -> Paused:
    at = latest.paused_at or 0
    if watch and watch.breach:
        return Paused(at, breach=watch.breach)
    if latest.note:  # it is paused for something, and only the stop of everything does that
        return Paused(at, by_stop=True)
    since = first_id(at - MINUTE)  # whoever pressed the button is noted by a clock that may have been read a little earlier
    return Paused(at, audit.who_did(c, latest.workspace_id, "campaign.paused", latest.campaign_id, since))


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


def _steps(plan: Plan | None, counts: Counter[str], people: int) -> list[StepLine]:
    steps = plan.steps if plan else ()
    went: dict[int, dict[int, int]] = {position: {} for position in range(len(steps))}
    came = Counter({0: people})
    for key, n in counts.items():
        if key.startswith("went:") and n:
            start, end = map(int, key.split(":")[1:])
            went[start][end] = n
            came[end] += n
    found = []
    for position, step in enumerate(steps):
        sent, delivered, read, failed, skipped = (counts[f"step:{position}:{key}"] for key in STEP_KEYS)
        line = counts[f"line:{position}"] + (0 if position else people)  # who is not enrolled yet stands before the first
        about = (step.kind, step.channel, came[position], line)
        found.append(StepLine(*about, sent, delivered, read, failed, skipped, dict(sorted(went[position].items()))))
    return found


def _failures(counts: Counter[str]) -> list[FailureLine]:
    found = [(n, channel, code) for (channel, code), n in failures(counts).items()]
    return [FailureLine(channel, code, n) for n, channel, code in sorted(found, reverse=True)]


def _held(c: Connection, run_id: Id, now: int) -> list[Held]:
    """Why people of the run wait: senders that are gone, paused or slow, and flows that are closed at this moment."""
    found: dict[Held, None] = {}
    rows = c.execute(
        select(
            sender.c.name,
            sender.c.trouble,
            sender.c.paused_at,
            IN_USE.label("in_use"),
            integration.c.id,
            integration.c.kind,
            integration.c.from_file,
            flow.c.held,
            flow.c.open_at,
        )
        .join(flow, flow.c.sender_id == sender.c.id)
        .join(integration, integration.c.id == sender.c.integration_id)
        .where(flow.c.run_id == run_id)
        .order_by(flow.c.step)
    ).all()
    for row in rows:
        place = {"channel": row.kind, "integration": row.id.hex()}
        if not row.in_use:
            found[Held(Why.GONE if row.from_file else Why.OFF, row.name, **place)] = None
        if row.trouble:
            found[Held(Why.SLOW if row.paused_at is None else Why.PAUSED, row.name, row.trouble, **place)] = None
        if row.held and row.open_at > now:
            until = None if row.open_at >= FOR_GOOD else row.open_at
            found[Held(BY_WORDS.get(row.held, Why.STEP), row.name, row.held, until, **place)] = None
    return sorted(found, key=lambda one: ORDER[one.why])


ORDER = {why: place for place, why in enumerate(Why)}


def _queues(c: Connection, run_id: Id, plan: Plan, counts: Counter[str], let_in: int, now: int) -> list[Queue]:
    """What stands before each step and may be sent now; follow-ups have their own time."""
    facts = (sender.c.name, sender.c.weight, sender.c.rate, sender.c.daily_limit, sender.c.day, sender.c.day_used)
    of_steps = (flow.c.run_id == run_id, flow.c.step.between(0, len(plan.steps) - 1))
    rows = c.execute(select(flow.c.step, *facts).join(sender, sender.c.id == flow.c.sender_id).where(*of_steps)).all()
    weights = _weights(c, run_id)
    found = []
    for row in rows:
        waits = counts[f"line:{row.step}"] + (0 if row.step else let_in)
        if plan.steps[row.step].kind != "follow_up" and waits > 0:
            weight = 1.0 if row.weight == "messages" else weights.get(row.step, 1.0)
            used = row.day_used if row.day == now // DAY else 0
            about = (row.name, waits, weight, row.weight or "", row.rate, row.daily_limit, used)
            found.append(Queue(*about, plan.steps[row.step].channel))
    return found


def _weights(c: Connection, run_id: Id) -> dict[int, float]:
    """How many segments a message of each step has on average, by the messages of the first people."""
    low, high = recipients.id_range(run_id)
    people = select(recipient.c.message_id).where(recipient.c.id.between(low, high)).order_by(recipient.c.id)
    first = people.limit(SAMPLE).subquery()
    weight = select(message.c.step, func.avg(message.c.weight)).join(first, first.c.message_id == message.c.id)
    return {step: float(found) for step, found in c.execute(weight.group_by(message.c.step))}
