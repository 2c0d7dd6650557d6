"""What people look at: one line a campaign, and one page of what a run is doing. Small sums of small tables, no big scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from campana.core.ids import Id


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
