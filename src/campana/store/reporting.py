"""Sums over the runs that started in a period: from the figures of each run, never from its people or messages."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Integer, Select, Table, and_, func, or_, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from campana.core.ids import Id
from campana.core.journey import Outcome
from campana.core.periods import MICROS, Period, midnight
from campana.store.counters import MINUTE, QUARTER, failures
from campana.store.dialect import SetStatement, given
from campana.store.outlines import outline
from campana.store.progress import outcomes
from campana.store.schema import campaign, campaign_tag, counter, counter_delta, run

MOST_RUNS = 2000  # of the newest: what one page looks at
SECONDS = {MINUTE: 60, QUARTER: 900}
REACHED = ("sent", "delivered", "read", "failed", "skipped")
# Kinds of keys as ranges of an index that leave out the thousands of minutes a run has. Bounds are letters alone, so that they
# hold in the order of words of any database: what begins with "outcome:" lies between "outcome" and "outcomf" in all of them.
OF_PEOPLE = (("outcome", "outcomf"), ("people", "peoplf"))
OF_STEPS, OF_FAILURES = (("step", "steq"),), (("fail", "faim"),)
OF_QUARTERS, OF_MINUTES = ("quarter", "quartes"), ("minute", "minutf")
EACH = ("people:sent", "people:delivered", "people:read", f"outcome:{Outcome.REPLIED}", f"outcome:{Outcome.UNREACHED}")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which runs are looked at, besides those of a period."""

    campaign_id: Id | None = None
    channel: str = ""  # they have a step on it; of steps and failures, only its own are told
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Sums:
    """How many people there were, and how far they got. The outcomes sum to the people."""

    runs: int
    people: int
    outcomes: Mapping[str, int]
    sent: int
    delivered: int
    read: int

    @property
    def replied(self) -> int:
        """Whose outcome is that they answered."""
        return self.outcomes[Outcome.REPLIED]

    @property
    def failed(self) -> int:
        """Whom nothing has reached."""
        return self.outcomes[Outcome.UNREACHED]

    @classmethod
    def of(cls, runs: int, people: int, counts: Mapping[str, int]) -> Sums:
        """The sums of so many runs with so many people, from their figures."""
        reached = [counts.get(f"people:{key}", 0) for key in REACHED[:3]]
        return cls(runs, people, outcomes(counts, people), *reached)


@dataclass(frozen=True, slots=True)
class ChannelSums:
    """What the steps of a channel came to, in messages; skipped ones were none."""

    channel: str
    sent: int
    delivered: int
    read: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class CampaignSums:
    """What one campaign came to in a period."""

    campaign_id: Id
    name: str
    channels: tuple[str, ...]
    started_at: int  # the latest of its runs
    runs: int
    people: int
    sent: int
    delivered: int
    read: int
    replied: int
    failed: int


@dataclass(frozen=True, slots=True)
class FailureSum:
    """How often one code was told."""

    channel: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that is said of a period."""

    period: Period
    total: Sums
    before: Sums  # of the period before
    channels: Sequence[ChannelSums]
    campaigns: Sequence[CampaignSums]  # the latest first
    failures: Sequence[FailureSum]  # the most frequent first
    days: Sequence[tuple[date, int]]  # messages handed over, for each day of the period
    later: int  # and how many after it
    partial: bool  # there were more runs than one page looks at: only the newest are counted
    known_campaigns: Sequence[tuple[Id, str]]  # that could be chosen, by name
    known_channels: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Run:
    id: Id
    campaign_id: Id
    name: str
    channels: tuple[str, ...]  # of each step
    started_at: int
    people: int


def report(c: Connection, workspace_id: Id, period: Period, zone: str, chosen: Chosen = Chosen()) -> Report:
    """What the runs of a workspace came to that started in a period, as its zone counts days."""
    known, partial = _started(c, workspace_id, period, zone)
    runs = known
    if chosen.campaign_id or chosen.tag:
        runs, partial = _started(c, workspace_id, period, zone, chosen)
    runs = _on(runs, chosen.channel)
    before, _ = _started(c, workspace_id, period.before, zone, chosen)
    figures = _Figures(c, runs, SUMS)
    days, later = _days(c, figures, period, zone)
    return Report(
        period=period,
        total=figures.sums,
        before=_Figures(c, _on(before, chosen.channel), SUMS_BEFORE).sums,
        channels=_channels(figures, chosen.channel),
        campaigns=_campaigns(c, runs, figures),
        failures=_failures(figures, chosen.channel),
        days=days,
        later=later,
        partial=partial,
        known_campaigns=sorted({one.campaign_id: one.name for one in known}.items(), key=lambda pair: pair[1].casefold()),
        known_channels=sorted({channel for one in known for channel in one.channels}),
    )


def _started(c: Connection, workspace_id: Id, period: Period, zone: str, chosen: Chosen | None = None) -> tuple[list[_Run], bool]:
    """The live runs that started in a period, the latest first, and whether there are more of them than are looked at."""
    begin, end = period.span(zone)
    wanted = [run.c.workspace_id == workspace_id, run.c.started_at >= begin, run.c.started_at < end, run.c.mode == "live"]
    if chosen and chosen.campaign_id:
        wanted.append(run.c.campaign_id == chosen.campaign_id)
    if chosen and chosen.tag:
        t = campaign_tag.c
        wanted.append(run.c.campaign_id.in_(select(t.campaign_id).where(t.workspace_id == workspace_id, t.tag == chosen.tag)))
    rows = c.execute(
        select(run.c.id, run.c.campaign_id, campaign.c.name, run.c.plan, run.c.started_at, run.c.offered)
        .join(campaign, campaign.c.id == run.c.campaign_id)
        .where(*wanted)
        .order_by(run.c.started_at.desc())
        .limit(MOST_RUNS + 1)
    ).all()
    found = [_Run(row.id, row.campaign_id, row.name, _channels_of(row.plan), row.started_at, row.offered) for row in rows]
    return found[:MOST_RUNS], len(found) > MOST_RUNS


def _channels_of(plan: str) -> tuple[str, ...]:
    return tuple(step.channel for step in outline(plan).steps)


def _on(runs: list[_Run], channel: str) -> list[_Run]:
    return [one for one in runs if channel in one.channels] if channel else runs


# --- figures ----------------------------------------------------------------------------------------------------------------

SHAPE = Column("shape", Integer)  # the channels of a run's steps, as a number
WANTED = given(counter.c.run_id, SHAPE)


class by_these_runs(FunctionElement[bool]):  # noqa: N801 - written like any SQL function
    """Has PostgreSQL search the index by the runs that are wanted: else it may read one kind of key of all runs there are."""

    type = Boolean()
    inherit_cache = True
    name = "by_these_runs"


@compiles(by_these_runs, "sqlite")
def _which_it_does_anyway(element: Any, compiler: Any, **kw: Any) -> str:
    return "1"


@compiles(by_these_runs, "postgresql")
def _by_an_array(element: Any, compiler: Any, **kw: Any) -> str:
    return f"{compiler.process(element.clauses, **kw)} = ANY (ARRAY(SELECT run_id FROM given))"  # noqa: S608 - names of our own columns


def _rows(table: Table, *kinds: tuple[str, str]) -> Select[Any]:
    """Of these kinds of keys, the sums over all runs of one shape."""
    ranges = [and_(table.c.key >= low, table.c.key < high) for low, high in kinds]
    wanted = select(WANTED.c.shape, table.c.key, func.sum(table.c.n)).join_from(WANTED, table, table.c.run_id == WANTED.c.run_id)
    return wanted.where(by_these_runs(table.c.run_id), or_(*ranges)).group_by(WANTED.c.shape, table.c.key)


def _sums(*kinds: tuple[str, str]) -> SetStatement:
    """A range of the index for each kind, and whatever is not folded yet: one statement, so that nothing is folded between."""
    return SetStatement(union_all(*(_rows(counter, kind) for kind in kinds), _rows(counter_delta, *kinds)), WANTED)


SUMS = _sums(*OF_PEOPLE, *OF_STEPS, *OF_FAILURES)
SUMS_BEFORE = _sums(*OF_PEOPLE)
OF_EACH = SetStatement(
    union_all(
        *(
            select(table.c.run_id, table.c.key, table.c.n)
            .join_from(WANTED, table, table.c.run_id == WANTED.c.run_id)
            .where(by_these_runs(table.c.run_id), table.c.key.in_(EACH))
            for table in (counter, counter_delta)
        )
    ),
    WANTED,
)
HANDED_OVER = SetStatement(union_all(_rows(counter, OF_QUARTERS), _rows(counter_delta, OF_MINUTES)), WANTED)


class _Figures:
    """The figures of some runs together, and of those that have the same channels."""

    def __init__(self, c: Connection, runs: Sequence[_Run], statement: SetStatement) -> None:
        self.shapes = list(dict.fromkeys(one.channels for one in runs))
        number = {shape: at for at, shape in enumerate(self.shapes)}
        self.wanted = [{"run_id": one.id, "shape": number[one.channels]} for one in runs]
        self.of_shape: list[Counter[str]] = [Counter() for _ in self.shapes]
        for shape, key, n in statement.fetch(c, self.wanted):
            self.of_shape[shape][key] += int(n)
        self.total = sum(self.of_shape, Counter[str]())
        self.sums = Sums.of(len(runs), sum(one.people for one in runs), self.total)


def _channels(figures: _Figures, only: str) -> list[ChannelSums]:
    found: dict[str, Counter[str]] = {}
    for shape, counts in zip(figures.shapes, figures.of_shape, strict=True):
        for position, channel in enumerate(shape):
            if not only or channel == only:
                sums = found.setdefault(channel, Counter())
                for key in REACHED:
                    sums[key] += counts[f"step:{position}:{key}"]
    lines = [ChannelSums(channel, *(sums[key] for key in REACHED)) for channel, sums in found.items()]
    return sorted(lines, key=lambda line: (-line.sent, line.channel))


def _failures(figures: _Figures, only: str) -> list[FailureSum]:
    told = failures(figures.total).items()
    found = [FailureSum(channel, code, n) for (channel, code), n in told if not only or channel == only]
    return sorted(found, key=lambda line: (-line.count, line.channel, line.code))


def _campaigns(c: Connection, runs: Sequence[_Run], figures: _Figures) -> list[CampaignSums]:
    campaign_of = {one.id: one.campaign_id for one in runs}
    counts: dict[Id, Counter[str]] = {one.campaign_id: Counter() for one in runs}
    for run_id, key, n in OF_EACH.fetch(c, figures.wanted):
        counts[campaign_of[run_id]][key] += n
    theirs: dict[Id, list[_Run]] = {}
    for one in runs:
        theirs.setdefault(one.campaign_id, []).append(one)
    return [_campaign(some, counts[campaign_id]) for campaign_id, some in theirs.items()]


def _campaign(runs: Sequence[_Run], counts: Mapping[str, int]) -> CampaignSums:
    latest = runs[0]
    channels = tuple(dict.fromkeys(channel for one in runs for channel in one.channels))
    facts = (latest.campaign_id, latest.name, channels, latest.started_at, len(runs), sum(one.people for one in runs))
    return CampaignSums(*facts, *(counts.get(key, 0) for key in EACH))


def _days(c: Connection, figures: _Figures, period: Period, zone: str) -> tuple[list[tuple[date, int]], int]:
    """Messages for each day of the period, and how many came after it. What is not folded yet is still told by the minute."""
    days = dict.fromkeys((period.first + timedelta(days=at) for at in range(period.days)), 0)
    later, names, ends = 0, list(days), [midnight(day + timedelta(days=1), zone) for day in days]
    for _, key, n in HANDED_OVER.fetch(c, figures.wanted):
        kind, _, number = key.partition(":")
        moment = int(number) * SECONDS[f"{kind}:"] * MICROS
        at = bisect_right(ends, moment)
        if at < len(names):
            days[names[at]] += int(n)
        else:
            later += int(n)
    return list(days.items()), later
