"""What the review of a campaign draws: its people, steps, hours and start, what stands in the way, and what a launch sends."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from campana.channels.contract import Channel
from campana.core.campaign import Canary, Hours
from campana.core.draft import Draft, DraftStep
from campana.core.hours import UnknownZone, zone_of
from campana.core.ids import Id
from campana.core.preflight import (
    AudienceFacts,
    Estimate,
    Finding,
    Load,
    StepFacts,
    Where,
    blocker,
    finished_at,
    of_audience,
    of_duration,
    of_first,
    of_hours,
    of_texts,
    text_of,
    unknown_zone,
    warning,
)
from campana.core.schedule import Planned, planned
from campana.core.template import compile_text
from campana.engine.estimate import KIND, Result
from campana.engine.preview import Sheet, sheets
from campana.store import audiences, drafts, jobs
from campana.store import choices as store_choices
from campana.store.audiences import Audience
from campana.store.choices import Choices
from campana.store.drafts import DraftRow
from campana.store.jobs import Job
from campana.store.workbench import busy

BAD_HOURS = "bad_hours"


@dataclass(frozen=True, slots=True)
class Material:
    """All that is read of the store for the page."""

    row: DraftRow | None
    choices: Choices
    audience: Audience | None
    job: Job | None
    busy: bool = False  # the audience is being changed, or read anew


def read_material(c: Connection, workspace_id: Id, campaign_id: Id, now: int) -> Material:
    """The draft with its people, what its steps stand on, and the newest counting."""
    row = drafts.load(c, workspace_id, campaign_id)
    audience = audiences.load(c, workspace_id, row.audience_id) if row else None
    changes = audience is not None and busy(c, campaign_id, audience.id, now)
    return Material(row, store_choices.choices(c, workspace_id), audience, jobs.latest(c, campaign_id, KIND), changes)


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step of the review: what it is, and what everybody's text came to when that is known."""

    sheet: Sheet
    facts: StepFacts | None

    @property
    def step(self) -> DraftStep:
        return self.sheet.step


@dataclass(frozen=True, slots=True)
class ReviewView:
    """The whole page. Times are UTC microseconds."""

    row: DraftRow
    draft: Draft  # as the reader sees it
    version: int
    audience: Audience | None
    steps: Sequence[StepLine]
    findings: Sequence[Finding]
    start: Planned
    zone: str  # of the workspace
    hours: Hours | None  # those it keeps
    workspace_hours: Hours | None
    about: str  # names what is counted
    estimate: Estimate | None
    job: Job | None  # a counting of just this, under way or failed
    counting: bool
    ends: int | None  # when the first messages are out; None: never, or not known yet
    theirs: DraftRow | None = None
    ask: bool = False  # the launch is to be confirmed
    changed: bool = False  # somebody changed it between review and launch

    @property
    def blockers(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.blocks]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.blocks]

    @property
    def people(self) -> int:
        return self.audience.summary.offered if self.audience else 0

    @property
    def first_messages(self) -> int:
        """Messages at the launch."""
        return sum(step.first for step in self.estimate.steps) if self.estimate else 0

    @property
    def first_segments(self) -> int:
        """What the vendors count at the launch."""
        return sum(step.first_segments for step in self.estimate.steps) if self.estimate else 0

    @property
    def canary(self) -> Canary | None:
        """To whom it goes first, when that can be kept as it is typed."""
        first = self.draft.first
        return first.kept() if first and first.on and not first.wrongs() else None

    @property
    def first_people(self) -> int:
        """How many people it goes to first."""
        return self.canary.first(self.people) if self.canary and self.people else 0

    @property
    def wrong_hours(self) -> bool:
        """Whether its own hours cannot be kept as they are typed."""
        return self.draft.when == "own" and self.draft.hours is not None and self.hours is None

    def notes(self, anchor: str) -> list[Finding]:
        """What is to be said beside one field of this page."""
        return [finding for finding in self.findings if finding.where is Where.REVIEW and finding.anchor == anchor]


def make_view(
    material: Material, row: DraftRow, draft: Draft, channels: Mapping[str, Channel], now: int, **more: Any
) -> ReviewView:
    """The review of a draft as it is at this moment."""
    audience, choices = material.audience, material.choices
    offered = audience.summary.offered if audience else 0
    looked = [one for one in sheets(draft, choices, channels, audience.columns if audience else ()) if one.step.on]
    about = fingerprint(looked, audience)
    result, job = counted(material.job, about)
    estimate = result.estimate if result else None
    by_key = {step.key: step for step in estimate.steps} if estimate else {}
    start = Planned(now, "plain") if draft.schedule.when == "now" else planned_start(draft, now)
    hours, of_their_own = usable(draft, choices.hours)
    ends = finished_at(start.at + watched_for(draft, offered), loads(looked, by_key), hours) if estimate else None
    findings = [*of_audience(facts_of(audience, material.busy)), *(finding for one in looked for finding in one.findings)]
    findings += of_texts(list(by_key.values()), estimate.people if estimate else 0, places(looked))
    findings += of_webhooks(looked)
    findings += [*of_start(start, draft.schedule.zone, now), *of_their_own]
    findings += of_first(draft.first, offered)
    findings += of_duration(start.at, ends) if estimate else []
    return ReviewView(
        row=row,
        draft=draft,
        version=more.pop("version", None) or row.version,
        audience=audience,
        steps=[StepLine(one, by_key.get(one.step.key)) for one in looked],
        findings=findings,
        start=start,
        zone=choices.zone,
        hours=hours,
        workspace_hours=choices.hours,
        about=about,
        estimate=estimate,
        job=job,
        counting=job is not None and job.runs(now),
        ends=ends,
        **more,
    )


def places(looked: Sequence[Sheet]) -> Callable[[str, str], str]:
    """Which field of the journey's page a step's text is in, or the column that it names."""
    by_key = {one.step.key: one for one in looked}

    def place(key: str, column: str) -> str:
        sheet = by_key[key]
        if not sheet.by_template:
            return text_of(key)
        texts = ((one.key, sheet.step.values.get(one.key, "")) for one in sheet.fields)
        named = (name for name, text in texts if column in compile_text(text).fields)
        found = next(named, "")
        return f"{key}-value-{found}" if found else f"{key}-template"

    return place


def of_webhooks(looked: Sequence[Sheet]) -> list[Finding]:
    """Told when a fallback waits for receipts that come by a webhook alone, and nothing was ever heard by it."""
    found = []
    for number, one in enumerate(looked, 1):
        if one.sender is None or one.channel is None or not one.channel.needs_hook or one.sender.heard:
            continue
        if any(later.step.kind == "fallback" for later in looked[number:]):
            facts = {"label": one.channel.label, "name": one.sender.integration, "integration": one.sender.integration_id.hex()}
            found.append(warning("nothing_heard", Where.JOURNEY, f"{one.step.key}-sender", **facts))
    return found


def facts_of(audience: Audience | None, changes: bool) -> AudienceFacts:
    """An audience as the checks look at it."""
    if audience is None:
        return AudienceFacts()
    summary = audience.summary
    words, flagged = audience.trouble or "", audience.open_problems
    return AudienceFacts(True, audience.loaded, words, summary.rows, summary.offered, flagged, changes)


def planned_start(draft: Draft, now: int) -> Planned:
    """The day, time and zone chosen, as a moment."""
    return planned(draft.schedule.date, draft.schedule.time, draft.schedule.zone, now)


def of_start(start: Planned, zone: str, now: int) -> list[Finding]:
    """What is to be said of the start: that it cannot be kept, or is not quite what was asked for (contract 117)."""
    if start.kind == "bad":
        try:
            zone_of(zone)
        except UnknownZone:
            return [unknown_zone("zone", zone)]
        return [blocker("bad_start", Where.REVIEW, "date")]
    if start.kind == "past":
        return [blocker("past_start", Where.REVIEW, "start", now=_wall(now, zone, "%Y-%m-%d %H:%M"))]
    if start.kind == "gap":
        return [warning("moved_start", Where.REVIEW, "start", time=_wall(start.at, zone, "%H:%M"))]
    return [warning("double_start", Where.REVIEW, "start")] if start.kind == "double" else []


def _wall(moment: int, zone: str, form: str) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).astimezone(zone_of(zone)).strftime(form)


def watched_for(draft: Draft, offered: int) -> int:
    """How long everybody waits for how the first people fare; nobody waits when all are among them."""
    first = draft.first
    if first is None or not first.on or (not first.wrongs() and first.kept().first(offered) >= offered):
        return 0
    return first.length or 0


def usable(draft: Draft, workspace: Hours | None) -> tuple[Hours | None, list[Finding]]:
    """The hours that a draft keeps, or what is wrong with them."""
    own = draft.hours if draft.when == "own" else None
    if own and (wrong := of_hours(own)):
        return None, wrong
    hours = draft.hours_in(workspace)
    try:
        zone_of(hours.zone if hours else "UTC")
    except UnknownZone:
        return None, [blocker(BAD_HOURS, Where.REVIEW, "hours")]
    return hours, []


def loads(looked: Sequence[Sheet], by_key: Mapping[str, StepFacts]) -> list[Load]:
    """What each sender has to do at the launch, in what its pace counts."""
    weights: dict[str, int] = defaultdict(int)
    for one in looked:
        facts = by_key.get(one.step.key)
        if facts and one.channel:
            counts = (one.sender.weight if one.sender else None) or one.channel.weight
            weights[one.step.sender] += facts.first_segments if counts == "segments" else facts.first
    senders = {one.step.sender: one.sender for one in looked if one.sender}
    return [Load(weight, senders[key].rate, senders[key].daily_limit) for key, weight in weights.items() if key in senders]


# --- what is counted --------------------------------------------------------------------------------------------------------


def fingerprint(looked: Sequence[Sheet], audience: Audience | None) -> str:
    """Names what is counted: another text, template or audience is another counting."""
    said = [(one.step.key, one.step.kind, one.step.sender, one.content, one.template) for one in looked if one.countable]
    facts = (audience.id.hex(), msgspec.to_builtins(audience.summary)) if audience else ()
    return hashlib.sha256(repr((said, facts)).encode()).hexdigest()[:32]


def counted(job: Job | None, about: str) -> tuple[Result | None, Job | None]:
    """What came of the counting of just this, and its job; nothing when it was another one."""
    if job is None or job.result is None:
        return None, None
    result = msgspec.json.decode(job.result, type=Result)
    if result.about != about:
        return None, None
    return (result if result.estimate else None), job
