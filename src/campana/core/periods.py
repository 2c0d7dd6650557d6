"""Stretches of whole days that people look back at: which ones they are, the one before each, and when a report of one is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from campana.core.hours import local_moment, zone_of

LONGEST = 366  # days that one report looks at
DAY = timedelta(days=1)
MICROS = 1_000_000


class BadPeriod(ValueError):
    """Days that make no period; `word` says what is wrong with them: date, order, long."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Every(StrEnum):
    """How often a report is sent; each looks at the whole one of it that is over."""

    DAY = "day"
    WEEK = "week"  # on Mondays
    MONTH = "month"  # on the first


PERIODS = ("today", "7", "30", "month", "last", "own")


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `first` to `last`, both of them included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """The period of the same length that ends where this one begins."""
        return Period(self.first - timedelta(days=self.days), self.first - DAY)

    def span(self, zone: str) -> tuple[int, int]:
        """Its first moment in that zone, and the first one after it."""
        return midnight(self.first, zone), midnight(self.last + DAY, zone)


def midnight(day: date, zone: str) -> int:
    """When that day begins: where clocks skip midnight, a little later."""
    return local_moment(datetime.combine(day, time()), zone_of(zone)).at


def local_day(moment: int, zone: str) -> date:
    """The day that a clock of the zone shows at a moment."""
    return datetime.fromtimestamp(moment / MICROS, UTC).astimezone(zone_of(zone)).date()


def period_of(name: str, today: date, first: str = "", last: str = "") -> Period:
    """The period of that name as of `today`; that of its own days raises BadPeriod when they make none."""
    if name == "own":
        return _own(first, last)
    if name == "month":
        return Period(today.replace(day=1), today)
    if name == "last":
        return _month_before(today)
    days = {"today": 1, "7": 7}.get(name, 30)
    return Period(today - timedelta(days=days - 1), today)


def _own(first: str, last: str) -> Period:
    try:
        found = Period(date.fromisoformat(first.strip()), date.fromisoformat(last.strip()))
    except ValueError:
        raise BadPeriod("date") from None
    if not (found.first.year > 1970 and found.last.year < 9000):
        raise BadPeriod("date")
    if found.last < found.first:
        raise BadPeriod("order")
    if found.days > LONGEST:
        raise BadPeriod("long")
    return found


def _month_before(day: date) -> Period:
    last = day.replace(day=1) - DAY
    return Period(last.replace(day=1), last)


# --- reports that are due again and again -----------------------------------------------------------------------------------


def next_due(every: Every, at: str, zone: str, after: int) -> int:
    """The first moment after `after` at which a clock of the zone shows `at` (HH:MM) on a day that a report is due.

    A time that the clocks skip is the moment they skip it; of one that comes twice the report is due at the first.
    """
    clock = time.fromisoformat(at)
    day = local_day(after, zone) - DAY
    while True:
        if _is_due(every, day):
            moment = local_moment(datetime.combine(day, clock), zone_of(zone)).at
            if moment > after:
                return moment
        day += DAY


def _is_due(every: Every, day: date) -> bool:
    if every is Every.WEEK:
        return day.weekday() == 0
    return every is Every.DAY or day.day == 1


def last_due(every: Every, at: str, zone: str, due: int, now: int) -> int:
    """The latest due time that is not after `now`, when `due` is one that is not."""
    while (following := next_due(every, at, zone, due)) <= now:
        due = following
    return due


def over_before(every: Every, day: date) -> Period:
    """The day, week or month that is over by that day."""
    if every is Every.MONTH:
        return _month_before(day)
    if every is Every.WEEK:
        monday = day - timedelta(days=day.weekday() + 7)
        return Period(monday, monday + 6 * DAY)
    return Period(day - DAY, day - DAY)
