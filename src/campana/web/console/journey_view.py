"""What the page of the journey draws: each step with its choices, what it says to one person, and the longest text so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from campana.channels.contract import Channel, TemplateField
from campana.core.draft import MOST, Draft, DraftStep
from campana.core.durations import HOUR
from campana.core.ids import Id
from campana.core.preflight import Finding
from campana.engine.preview import TOO_LONG, Sheet, Shown, counted, offered_senders, sheets, shown
from campana.engine.vendors import Verdict
from campana.store import choices as store_choices
from campana.store import drafts, previews
from campana.store.choices import Choices, SenderChoice
from campana.store.drafts import DraftRow
from campana.store.previews import People
from campana.web.console.journey_form import COLUMN, owned

TIMELINE = "all"


@dataclass(frozen=True, slots=True)
class Material:
    """All that is read of the store for the page."""

    row: DraftRow | None
    choices: Choices
    people: People
    sample: Sequence[tuple[int, Mapping[str, str]]]


def read_material(c: Connection, workspace_id: Id, campaign_id: Id, asked: str) -> Material:
    """The draft with what its steps can be made of, and the people it is for."""
    row = drafts.load(c, workspace_id, campaign_id)
    audience_id = row.audience_id if row else None
    people = previews.people(c, workspace_id, audience_id, asked)
    sample = previews.sample(c, audience_id, people.columns) if audience_id else []
    return Material(row, store_choices.choices(c, workspace_id), people, sample)


@dataclass(frozen=True, slots=True)
class Value:
    """One field of a template, as the form shows it."""

    field: TemplateField
    column: str = ""  # the one that fills it
    own: str | None = None  # a text of one's own; None: it is filled by a column, or by nothing yet


@dataclass(frozen=True, slots=True)
class Longest:
    """The longest text among the first people of the audience."""

    row: int
    segments: int
    of: int  # people looked at


@dataclass(frozen=True, slots=True)
class StepView:
    """One step as the page draws it."""

    sheet: Sheet
    values: Sequence[Value] = ()
    shown: Shown | None = None
    longest: Longest | None = None
    hours: int | None = None  # without a receipt until the next fallback; None: no fallback waits for it
    findings: Sequence[Finding] = ()  # those to be shown now
    can: frozenset[str] = frozenset()  # of up, down, remove

    @property
    def step(self) -> DraftStep:
        return self.sheet.step

    def notes(self, anchor: str) -> list[Finding]:
        """What is to be said beside one field."""
        return [finding for finding in self.findings if finding.anchor == f"{self.step.key}-{anchor}"]


@dataclass(frozen=True, slots=True)
class JourneyView:
    """The whole page."""

    row: DraftRow
    draft: Draft  # as the reader sees it; when saving failed, not as it is kept
    steps: Sequence[StepView]
    senders: Sequence[SenderChoice]
    people: People
    shown: str  # the key of a step, or TIMELINE
    can_add: frozenset[str]
    checked: bool = False  # somebody wanted to go on, so everything that is missing is told
    blockers: Sequence[Finding] = ()
    version: int = 0  # which the next change goes out from
    theirs: DraftRow | None = None  # what somebody else saved meanwhile
    tested: Verdict | str | None = None  # what became of a test message
    tested_to: str = ""
    asked: str = ""  # whom the reader named for the preview, as they typed it

    @property
    def unkept(self) -> bool:
        """Whether the draft cannot be kept as it was typed."""
        return self.draft.too_long

    @property
    def previewed(self) -> Sequence[StepView]:
        """The steps that the preview shows."""
        on = [view for view in self.steps if view.step.on]
        return on if self.shown == TIMELINE else [view for view in self.steps if view.step.key == self.shown]

    @property
    def columns(self) -> list[str]:
        """The columns that a text can name."""
        return [name for name in self.people.columns if not set(name) & set("{}\r\n")]

    def with_test(self, tested: Verdict | str, to: str) -> JourneyView:
        """The same page after a test message."""
        return replace(self, tested=tested, tested_to=to)


def make_view(
    material: Material,
    row: DraftRow,
    draft: Draft,
    channels: Mapping[str, Channel],
    form: Mapping[str, Any],
    wanted: str = "",
    checked: bool = False,
    version: int | None = None,
    theirs: DraftRow | None = None,
    asked: str = "",
) -> JourneyView:
    """The page of a draft. Of a step that nobody has begun, nothing is said to be missing until somebody wants to go on."""
    looked = sheets(draft, material.choices, channels, material.people.columns)
    steps = [_step(sheet, draft, material, form, checked) for sheet in looked]
    keys = {step.key for step in draft.steps}
    return JourneyView(
        row=row,
        draft=draft,
        steps=steps,
        senders=offered_senders(material.choices, channels),
        people=material.people,
        shown=wanted if wanted in keys | {TIMELINE} else draft.steps[0].key,
        can_add=frozenset(kind for kind in ("fallback", "follow_up") if len(draft.of_kind(kind)) < MOST[kind]),
        checked=checked,
        blockers=[finding for sheet in looked for finding in sheet.findings if _stops(sheet, finding)],
        version=row.version if version is None else version,
        theirs=theirs,
        asked=asked,
    )


def _stops(sheet: Sheet, finding: Finding) -> bool:
    """Whether nobody goes on before it is mended. What is too long is so in a step that is off as well: it cannot be kept."""
    return finding.code == TOO_LONG or (sheet.step.on and finding.blocks)


def _step(sheet: Sheet, draft: Draft, material: Material, form: Mapping[str, Any], checked: bool) -> StepView:
    step, person = sheet.step, material.people.person
    fellows = draft.of_kind(step.kind)
    at = fellows.index(step)
    can = {"up"} if at else set()
    can |= {"down"} if at + 1 < len(fellows) else set()
    can |= {"remove"} if step.kind != "primary" else set()
    told = step.on and (checked or step.chosen)
    return StepView(
        sheet,
        _values(sheet, form),
        shown(sheet, person) if person else None,
        _longest(sheet, material.sample),
        _hours(sheet, draft),
        sheet.findings if told else tuple(finding for finding in sheet.findings if finding.code == TOO_LONG),
        frozenset(can),
    )


def _values(sheet: Sheet, form: Mapping[str, Any]) -> list[Value]:
    own = owned(sheet.step, form)
    found = []
    for one in sheet.fields:
        text = sheet.step.values.get(one.key, "")
        column = COLUMN.fullmatch(text)
        if one.key in own:
            found.append(Value(one, own=text))
        else:
            found.append(Value(one, column=column[1].strip() if column else ""))
    return found


def _hours(sheet: Sheet, draft: Draft) -> int | None:
    """After how many hours without a receipt the fallback behind this step has its turn."""
    tried = [step.key for step in draft.sent if step.kind != "follow_up"]
    if sheet.channel is None or sheet.step.key not in tried[:-1]:
        return None
    if not sheet.channel.receipts:
        return 1
    return sheet.step.deadline or round(sheet.channel.default_deadline / HOUR)


def _longest(sheet: Sheet, sample: Sequence[tuple[int, Mapping[str, str]]]) -> Longest | None:
    if sheet.render is None or sheet.channel is None or not sample:
        return None
    best = Longest(0, 0, len(sample))
    for number, cells in sample:
        rendered = sheet.render(cells)
        count = None if rendered.problem else counted(sheet.channel, rendered)
        if count is not None and count.segments > best.segments:
            best = Longest(number, count.segments, len(sample))
    return best if best.segments else None
