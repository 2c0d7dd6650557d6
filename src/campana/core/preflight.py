"""What stands in the way of a launch, and what people should know before it. The sentences are the console's: here are the
codes, the field each belongs to, and what the sentence names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from msgspec import Struct

from campana.core.campaign import Hours
from campana.core.draft import FirstPeople, OwnHours
from campana.core.durations import DAY, SECOND
from campana.core.hours import closes_at, near_zones, next_open, wrongs

LONG = 3  # parts of a text message, from which on people should know
SLOW = DAY  # a launch that takes longer is told
MOST_WINDOWS = 4000  # opening hours that are looked through: some ten years


class Severity(StrEnum):
    """Whether a launch is possible all the same."""

    BLOCKER = "blocker"
    WARNING = "warning"


class Where(StrEnum):
    """The page on which it is mended."""

    SETUP = "setup"
    JOURNEY = "journey"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing. `anchor` is the id of its field on the page."""

    code: str
    severity: Severity
    where: Where
    anchor: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        return self.severity is Severity.BLOCKER

    @property
    def step(self) -> str:
        """The key of the step that it is about; empty when it is about none."""
        return self.anchor.partition("-")[0] if self.where is Where.JOURNEY else ""


def grouped(findings: Iterable[Finding]) -> list[list[Finding]]:
    """What several steps have in common stands together, one finding of each step; each group stands where its first one did."""
    groups: dict[Any, dict[str, Finding]] = {}
    for one in findings:
        same = (one.code, one.severity, one.where, "" if one.step else one.anchor, sorted(one.details.items()))
        groups.setdefault(repr(same), {}).setdefault(one.step, one)
    return [list(group.values()) for group in groups.values()]


def blocker(code: str, where: Where, anchor: str = "", **details: Any) -> Finding:
    """Something that a launch is refused for."""
    return Finding(code, Severity.BLOCKER, where, anchor, details)


def warning(code: str, where: Where, anchor: str = "", **details: Any) -> Finding:
    """Something that people should know."""
    return Finding(code, Severity.WARNING, where, anchor, details)


@dataclass(frozen=True, slots=True)
class AudienceFacts:
    """An audience in figures, as a launch looks at it."""

    chosen: bool = False
    loaded: bool = False
    trouble: str = ""
    rows: int = 0
    offered: int = 0
    flagged: int = 0  # rows with a problem that nobody has dealt with
    busy: bool = False  # a file is read for it, or many rows are changed


def of_audience(facts: AudienceFacts) -> list[Finding]:
    """Whether there is anybody to write to, and all rows are dealt with (contract 95)."""
    if not facts.chosen:
        return [blocker("no_audience", Where.SETUP, "audience")]
    if facts.trouble:
        return [blocker("audience_unread", Where.SETUP, "audience", words=facts.trouble)]
    if not facts.loaded:
        return [blocker("audience_loading", Where.SETUP, "audience", rows=facts.rows)]
    found = [blocker("audience_busy", Where.SETUP, "audience")] if facts.busy else []
    found += [blocker("flagged_rows", Where.SETUP, "audience", rows=facts.flagged)] if facts.flagged else []
    return found if facts.offered else [*found, blocker("nobody", Where.SETUP, "audience")]


class StepFacts(Struct):
    """What every contact's text of one step came to. The first step that a person can take is what they get at the launch."""

    key: str
    label: str  # of its channel
    takes: int = 0  # people who can take the step
    segments: int = 0  # of all of them
    first: int = 0  # people who get it first
    first_segments: int = 0
    most_segments: int = 0
    longest_row: int = 0
    skipped: dict[str, int] = {}  # why not -> people
    empty: dict[str, int] = {}  # column -> people for whom it is empty
    closed_to: dict[str, int] = {}  # beginning of numbers the vendor does not serve with it -> people


class Estimate(Struct):
    """What a launch would send, from every contact's rendered text."""

    people: int
    steps: list[StepFacts]
    reached: int = 0  # people who get anything at the launch


def text_of(step: str, column: str = "") -> str:
    """The field in which a step's own text is written."""
    return f"{step}-text"


def of_texts(steps: Sequence[StepFacts], offered: int, place: Callable[[str, str], str] = text_of) -> list[Finding]:
    """What the rendered texts of everybody tell. `place` knows the field of a step, or that in which it names a column."""
    found = []
    if steps and offered and not any(step.takes for step in steps):
        found.append(blocker("nobody_reachable", Where.SETUP, "audience"))
    for step in steps:
        anchor = f"{step.key}-sender"
        if offered and not step.takes:
            found.append(warning("step_for_nobody", Where.JOURNEY, anchor, label=step.label))
        if step.most_segments > LONG:
            details = {"segments": step.most_segments, "row": step.longest_row}
            found.append(warning("long_text", Where.JOURNEY, place(step.key, ""), **details))
        for column, people in step.empty.items():
            found.append(warning("empty_column", Where.JOURNEY, place(step.key, column), column=column, people=people))
        for start, people in step.closed_to.items():
            found.append(warning("closed_to", Where.JOURNEY, f"{step.key}-template", start=start, people=people))
    return found


HOURS_FIELDS = {"start": "from", "end": "until", "zone": "hours-zone"}  # as the page of the review has them


def of_hours(hours: OwnHours) -> list[Finding]:
    """What is wrong with the hours of a campaign, each at its field."""
    found = []
    for wrong in wrongs(hours.start, hours.end, hours.zone):
        if wrong.code == "no_zone":
            found.append(unknown_zone(HOURS_FIELDS["zone"], hours.zone))
        else:
            found.append(blocker(f"hours_{wrong.code}", Where.REVIEW, HOURS_FIELDS[wrong.field]))
    return found


FIRST_FIELDS = ("amount", "wait", "failed", "opted_out", "unknown")  # of the page of the review: "first-wait" and so on


def of_first(first: FirstPeople | None, people: int) -> list[Finding]:
    """What is wrong with sending to some people first, each at its field; told when they are all people there are."""
    if first is None or not first.on:
        return []
    found = []
    for field_name in first.wrongs():
        code = {"amount": f"first_{first.by}", "wait": "first_wait"}.get(field_name, "first_limit")
        found.append(blocker(code, Where.REVIEW, f"first-{field_name}"))
    if not found and people and first.kept().first(people) >= people:
        found.append(warning("first_are_all", Where.REVIEW, "first-amount", people=people))
    return found


def unknown_zone(anchor: str, zone: str) -> Finding:
    """A zone that nobody knows, with those that may be meant."""
    return blocker("unknown_zone", Where.REVIEW, anchor, zone=zone, near=near_zones(zone))


def of_duration(start: int, end: int | None) -> list[Finding]:
    """Told when sending takes long, or would never end."""
    if end is None:
        return [blocker("never_ends", Where.REVIEW, "hours")]
    return [warning("slow", Where.REVIEW, "pace", days=-(-(end - start) // DAY))] if end - start > SLOW else []


@dataclass(frozen=True, slots=True)
class Load:
    """What one sender has to do in a launch: weights at its rate, at most so many a day."""

    weight: int
    rate: float
    daily_limit: int | None = None
    used: int = 0  # of the daily limit, today


def finished_at(start: int, loads: Iterable[Load], hours: Hours | None, most: int = MOST_WINDOWS) -> int | None:
    """When the last of the first messages is out, at the senders' pace and within the hours; None when that is more than so
    many openings away."""
    ends = [_one_finished(start, load, hours, most) for load in loads]
    known = [end for end in ends if end is not None]
    return max(known, default=start) if len(known) == len(ends) else None


def _one_finished(start: int, load: Load, hours: Hours | None, most: int) -> int | None:
    """Counts through the openings and the UTC days one by one: a daily limit begins anew with each day."""
    left, at = load.weight, start
    day, room = -1, 0.0
    for _ in range(most):
        if left <= 0:
            return at
        at = next_open(hours, at)
        closes = closes_at(hours, at) if hours else at + DAY
        until = min(closes, (at // DAY + 1) * DAY)
        if at // DAY != day:
            used = load.used if at // DAY == start // DAY else 0
            day, room = at // DAY, max(0, load.daily_limit - used) if load.daily_limit is not None else float("inf")
        possible = min(room, max(1, int((until - at) / SECOND * load.rate)))
        taken = min(left, int(possible))
        if taken == left:
            return at + int(taken / load.rate * SECOND)
        left -= taken
        room -= taken
        at = until
    return None
