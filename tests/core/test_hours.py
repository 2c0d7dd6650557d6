"""Windows of local time: their edges, days, midnight and the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from campana.core.campaign import Hours
from campana.core.hours import DAY_NAMES, UnknownZone, closes_at, near_zones, next_open, wrongs, zone_of


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def hours(start: str, end: str, zone: str = "UTC", days: Any = None) -> Hours:
    return Hours.model_validate({"from": start, "to": end, "zone": zone, "days": days})


SMARTCHAT = hours("08:00", "21:00", "-05:00")
MADRID_NIGHT = hours("02:30", "06:00", "Europe/Madrid")


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-02T12:59:59", "2026-03-02T13:00:00"),
        ("2026-03-02T13:00:00", "2026-03-02T13:00:00"),
        ("2026-03-03T01:59:59", "2026-03-03T01:59:59"),
        ("2026-03-03T02:00:00", "2026-03-03T13:00:00"),  # 21:00:00 itself is outside
        ("2026-07-03T02:00:00", "2026-07-03T13:00:00"),  # no summer time
    ],
)
def test_from_eight_to_twenty_one_in_a_fixed_offset(now: str, opens: str) -> None:
    assert next_open(SMARTCHAT, at(now)) == at(opens)


def test_what_comes_at_night_waits_for_the_next_opening() -> None:
    assert next_open(SMARTCHAT, at("2026-03-03T04:30:00")) == at("2026-03-03T13:00:00")  # 23:30 there: the next day
    assert next_open(SMARTCHAT, at("2026-03-03T12:00:00")) == at("2026-03-03T13:00:00")  # 7:00 there: the same day


@pytest.mark.parametrize(
    ("rule", "now", "opens", "closes"),
    [
        (SMARTCHAT, "2026-03-02T14:00:00", "2026-03-02T14:00:00", "2026-03-03T02:00:00"),
        (hours("08:00", "24:00"), "2026-03-02T23:59:59", "2026-03-02T23:59:59", "2026-03-03T00:00:00"),
        (hours("22:00", "06:00"), "2026-03-02T03:00:00", "2026-03-02T03:00:00", "2026-03-02T06:00:00"),
        (hours("22:00", "06:00"), "2026-03-02T06:00:00", "2026-03-02T22:00:00", "2026-03-03T06:00:00"),
        (hours("22:00", "06:00", days=["fri"]), "2026-03-07T03:00:00", "2026-03-07T03:00:00", "2026-03-07T06:00:00"),
        (hours("22:00", "06:00", days=["fri"]), "2026-03-06T03:00:00", "2026-03-06T22:00:00", "2026-03-07T06:00:00"),
        (hours("09:00", "17:00", days=["mon"]), "2026-03-02T17:00:00", "2026-03-09T09:00:00", "2026-03-09T17:00:00"),
        (hours("09:00", "17:00", days=[]), "2026-03-08T08:00:00", "2026-03-08T09:00:00", "2026-03-08T17:00:00"),
        (hours("00:00", "24:00"), "2026-03-02T03:00:00", "2026-03-02T03:00:00", "2026-03-03T00:00:00"),
        (hours("09:00", "17:00", "America/New_York"), "2026-03-06T14:00:00", "2026-03-06T14:00:00", "2026-03-06T22:00:00"),
        (hours("09:00", "17:00", "America/New_York"), "2026-03-09T12:00:00", "2026-03-09T13:00:00", "2026-03-09T21:00:00"),
        (hours("09:00", "17:00", "Pacific/Kiritimati"), "2026-03-02T19:00:00", "2026-03-02T19:00:00", "2026-03-03T03:00:00"),
        (MADRID_NIGHT, "2026-03-29T00:00:00", "2026-03-29T01:00:00", "2026-03-29T04:00:00"),  # 2:30 does not exist: 3:00
        (MADRID_NIGHT, "2026-10-25T00:30:00", "2026-10-25T01:30:00", "2026-10-25T05:00:00"),  # 2:30 comes twice: the last
        (hours("02:10", "02:40", "Europe/Madrid"), "2026-10-25T00:00:00", "2026-10-25T00:10:00", "2026-10-25T00:40:00"),
    ],
)
def test_when_it_opens_and_closes(rule: Hours, now: str, opens: str, closes: str) -> None:
    assert next_open(rule, at(now)) == at(opens)
    assert closes_at(rule, at(now)) == at(closes)


def test_without_hours_it_is_always_open() -> None:
    assert next_open(None, 12345) == 12345


ZONES = st.sampled_from(["UTC", "-05:00", "+05:45", "Europe/Madrid", "Australia/Lord_Howe", "America/New_York"])
CLOCK = st.tuples(st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59])).map(lambda pair: f"{pair[0]:02}:{pair[1]:02}")
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(lambda wall: at(wall.isoformat(timespec="seconds")))  # noqa: DTZ001


@given(CLOCK, CLOCK, ZONES, st.lists(st.sampled_from(DAY_NAMES), max_size=3), MOMENTS)
def test_it_opens_only_when_the_clock_on_the_wall_is_inside(start: str, end: str, zone: str, days: list[str], now: int) -> None:
    assume(start != end)
    rule = hours(start, end, zone, days or None)
    opens = next_open(rule, now)
    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=opens)).astimezone(zone_of(zone))
    clock = f"{wall:%H:%M}"
    inside = start <= clock < end if start < end else clock >= start or clock < end
    assert opens >= now
    assert inside
    assert next_open(rule, opens) == opens
    assert closes_at(rule, opens) > opens


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "+15:00", "EST5EDT4", "America"])
def test_a_zone_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(UnknownZone, match="-05:00"):
        zone_of(name)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("Sao Paulo", "America/Sao_Paulo"), ("America/Sao_Pualo", "America/Sao_Paulo"), ("new york", "America/New_York"),
     ("berlin", "Europe/Berlin"), ("utc", "UTC"), ("Mars/Olympus", None), ("", None)],
)  # fmt: skip
def test_a_wrong_zone_is_answered_with_the_nearest(typed: str, meant: str | None) -> None:
    assert (near_zones(typed) or [None])[0] == meant


def test_an_unknown_zone_says_what_may_be_meant() -> None:
    with pytest.raises(UnknownZone, match=r"Is it America/Sao_Paulo"):
        zone_of("America/Sao_Pualo")


@pytest.mark.parametrize(
    ("start", "end", "zone", "found"),
    [
        ("08:00", "21:00", "UTC", []),
        ("22:00", "06:00", "-05:00", []),
        ("00:00", "24:00", "UTC", []),
        ("08:00", "08:00", "UTC", [("no_span", "end")]),
        ("", "8", "Mars/Olympus", [("no_time", "start"), ("no_time", "end"), ("no_zone", "zone")]),
        ("24:00", "\u0668:00", "UTC", [("no_time", "start"), ("no_time", "end")]),
    ],
)
def test_what_is_wrong_with_typed_hours_is_told_by_field(start: str, end: str, zone: str, found: list[tuple[str, str]]) -> None:
    assert wrongs(start, end, zone) == found


def test_hours_that_end_when_they_begin_are_none() -> None:
    with pytest.raises(ValueError, match="the hours end when they begin"):
        hours("08:00", "08:00")
