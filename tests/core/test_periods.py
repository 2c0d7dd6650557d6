"""Periods of days, the ones before them, and due times over changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from campana.core.periods import BadPeriod, Every, Period, last_due, midnight, next_due, over_before, period_of

TODAY = date(2026, 3, 15)  # a Sunday
MEXICO, BERLIN, BEIRUT, KATHMANDU = "America/Mexico_City", "Europe/Berlin", "Asia/Beirut", "Asia/Kathmandu"

NAMED = [
    ("today", "2026-03-15", "2026-03-15", "2026-03-14", "2026-03-14"),
    ("7", "2026-03-09", "2026-03-15", "2026-03-02", "2026-03-08"),
    ("30", "2026-02-14", "2026-03-15", "2026-01-15", "2026-02-13"),
    ("month", "2026-03-01", "2026-03-15", "2026-02-14", "2026-02-28"),
    ("last", "2026-02-01", "2026-02-28", "2026-01-04", "2026-01-31"),
]


@pytest.mark.parametrize(("name", "first", "last", "first_before", "last_before"), NAMED)
def test_a_period_and_the_one_before_are_as_long(name: str, first: str, last: str, first_before: str, last_before: str) -> None:
    found = period_of(name, TODAY)
    assert (str(found.first), str(found.last)) == (first, last)
    assert (str(found.before.first), str(found.before.last)) == (first_before, last_before)
    assert found.days == found.before.days


OWN = [
    ("2026-01-01", "2026-01-31", None),
    ("2024-02-29", "2024-02-29", None),
    ("2026-02-30", "2026-03-01", "date"),
    ("", "2026-03-01", "date"),
    ("2026-03-01", "tomorrow", "date"),
    ("9999-12-31", "9999-12-31", "date"),
    ("0001-01-01", "0001-01-01", "date"),
    ("2026-03-02", "2026-03-01", "order"),
    ("2025-01-01", "2026-03-01", "long"),
]


@pytest.mark.parametrize(("first", "last", "wrong"), OWN)
def test_own_days_make_a_period_or_are_refused(first: str, last: str, wrong: str | None) -> None:
    if wrong is None:
        assert period_of("own", TODAY, first, last) == Period(date.fromisoformat(first), date.fromisoformat(last))
        return
    with pytest.raises(BadPeriod) as refused:
        period_of("own", TODAY, first, last)
    assert refused.value.word == wrong


def test_a_day_has_as_many_hours_as_its_zone_gives_it() -> None:
    hours = [
        (end - begin) / 3_600_000_000
        for begin, end in (
            Period(date(2026, 3, 29), date(2026, 3, 29)).span(BERLIN),
            Period(date(2026, 10, 25), date(2026, 10, 25)).span(BERLIN),
            Period(date(2026, 10, 25), date(2026, 10, 25)).span("UTC"),
        )
    ]
    assert hours == [23, 25, 24]


def test_a_day_begins_with_a_quarter_of_an_hour_everywhere() -> None:
    for zone in (BERLIN, KATHMANDU, "Asia/Kolkata", "Pacific/Chatham", "Australia/Lord_Howe", BEIRUT, MEXICO):
        for month in range(1, 13):
            assert midnight(date(2026, month, 28), zone) % (15 * 60 * 1_000_000) == 0


def moment(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1_000_000)


def shown(at: int, zone: str) -> str:
    return f"{datetime.fromtimestamp(at / 1_000_000, UTC).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %z}"


DUE = [
    (Every.DAY, "08:00", BERLIN, "2026-03-15 07:59", "2026-03-15 08:00 +0100"),
    (Every.DAY, "08:00", BERLIN, "2026-03-15 08:00", "2026-03-16 08:00 +0100"),  # the moment itself is over
    (Every.DAY, "08:00", BERLIN, "2026-03-28 09:00", "2026-03-29 08:00 +0200"),  # the clocks went forward at night
    (Every.DAY, "02:30", BERLIN, "2026-03-28 09:00", "2026-03-29 03:00 +0200"),  # which it skips
    (Every.DAY, "02:30", BERLIN, "2026-03-29 03:00", "2026-03-30 02:30 +0200"),
    (Every.DAY, "02:30", BERLIN, "2026-10-24 09:00", "2026-10-25 02:30 +0200"),  # the first of two
    (Every.DAY, "00:00", BEIRUT, "2026-03-28 09:00", "2026-03-29 01:00 +0300"),  # there is no midnight
    (Every.WEEK, "06:15", MEXICO, "2026-03-15 23:00", "2026-03-16 06:15 -0600"),
    (Every.WEEK, "06:15", MEXICO, "2026-03-16 06:15", "2026-03-23 06:15 -0600"),
    (Every.MONTH, "23:59", MEXICO, "2026-01-31 12:00", "2026-02-01 23:59 -0600"),
    (Every.MONTH, "00:00", KATHMANDU, "2026-12-01 00:00", "2027-01-01 00:00 +0545"),
]


@pytest.mark.parametrize(("every", "at", "zone", "after", "due"), DUE)
def test_a_report_is_due_when_the_clocks_of_its_zone_say_so(every: Every, at: str, zone: str, after: str, due: str) -> None:
    assert shown(next_due(every, at, zone, moment(after, zone)), zone) == due


def test_of_a_time_that_comes_twice_only_the_first_counts() -> None:
    first = next_due(Every.DAY, "02:30", BERLIN, moment("2026-10-24 09:00", BERLIN))
    assert shown(next_due(Every.DAY, "02:30", BERLIN, first), BERLIN) == "2026-10-26 02:30 +0100"


def test_after_a_long_rest_the_latest_one_is_due() -> None:
    due = moment("2026-03-10 08:00", BERLIN)
    assert last_due(Every.DAY, "08:00", BERLIN, due, due) == due
    assert shown(last_due(Every.DAY, "08:00", BERLIN, due, moment("2026-03-31 07:00", BERLIN)), BERLIN)[:16] == "2026-03-30 08:00"


OVER = [
    (Every.DAY, "2026-03-15", "2026-03-14", "2026-03-14"),
    (Every.WEEK, "2026-03-16", "2026-03-09", "2026-03-15"),
    (Every.WEEK, "2026-03-15", "2026-03-02", "2026-03-08"),
    (Every.MONTH, "2026-01-01", "2025-12-01", "2025-12-31"),
    (Every.MONTH, "2026-03-15", "2026-02-01", "2026-02-28"),
]


@pytest.mark.parametrize(("every", "day", "first", "last"), OVER)
def test_a_report_looks_at_what_is_over(every: Every, day: str, first: str, last: str) -> None:
    found = over_before(every, date.fromisoformat(day))
    assert (str(found.first), str(found.last)) == (first, last)
