"""When a run has handed over what waits now, and what keeps it from being faster: in words, for whoever looks on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from campana.core.campaign import Hours
from campana.core.durations import DAY, MINUTE, SECOND
from campana.core.preflight import Load, finished_at

FAR = 100  # openings that are looked through while people look on: more than a month


class Bound(StrEnum):
    """What keeps a run from being faster."""

    PACE = "pace"
    HOURS = "hours"
    LIMIT = "limit"  # of a sender, a day


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits before one step: messages, and what its sender counts each as."""

    sender: str
    messages: int
    weight: float  # of one message, on average
    counts: str  # messages or segments
    rate: float
    daily_limit: int | None = None
    used: int = 0  # of the daily limit, today
    channel: str = ""  # its kind


@dataclass(frozen=True, slots=True)
class Forecast:
    """When all of it is out, in UTC microseconds to the minute; None: not within a month. The sender is whichever ends last."""

    bound: Bound
    sender: str
    counts: str
    rate: float
    daily_limit: int | None
    ends: int | None


def forecast(now: int, queues: Iterable[Queue], hours: Hours | None) -> Forecast | None:
    """What is said of a run that sends; None when nobody waits for a message."""
    ends = [(_end(now, load, hours), one, load) for one, load in _loads(queues)]
    if not ends:
        return None
    end, slowest, load = max(ends, key=lambda found: found[0])
    told = None if end == math.inf else -(-int(end) // MINUTE) * MINUTE
    bound = _bound(now, end, load, hours)
    return Forecast(bound, slowest.sender, slowest.counts, slowest.rate, load.daily_limit, told)


def _loads(queues: Iterable[Queue]) -> list[tuple[Queue, Load]]:
    """What each sender has to do, over all steps that it sends."""
    weights: dict[str, float] = defaultdict(float)
    known = {}
    for one in queues:
        if one.messages > 0:
            weights[one.sender] += one.messages * max(1.0, one.weight)
            known[one.sender] = one
    return [(one, Load(math.ceil(weights[name]), one.rate, one.daily_limit, one.used)) for name, one in known.items()]


def _end(now: int, load: Load, hours: Hours | None) -> float:
    if load.weight > FAR * min(load.daily_limit or math.inf, load.rate * DAY / SECOND):
        return math.inf  # nobody has to count through the days for that
    ends = finished_at(now, [load], hours, FAR)
    return math.inf if ends is None else ends


def _bound(now: int, end: float, load: Load, hours: Hours | None) -> Bound:
    """Whatever would save the most time if it were away; at its full pace, the pace itself."""
    without_limit = _end(now, replace(load, daily_limit=None), hours) if load.daily_limit is not None else end
    without_hours = _end(now, load, None) if hours else end
    if min(without_limit, without_hours) > end - MINUTE:
        return Bound.PACE if without_limit < math.inf or load.daily_limit is None else Bound.LIMIT
    return Bound.LIMIT if without_limit <= without_hours else Bound.HOURS
