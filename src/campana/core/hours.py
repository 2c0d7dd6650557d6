"""When messages may go out: windows of local time, by a zone or a fixed offset. The closing minute itself is outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from campana.core.campaign import Hours

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
NEAR = 3  # names of zones that a wrong one is answered with
NO_PLACES = ("Etc/", "SystemV/", "posix/", "right/")
OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class UnknownZone(ValueError):
    """A time zone nobody knows."""


class Wrong(NamedTuple):
    """What is wrong with hours as they were typed: `no_time` and `no_span` are about a time, `no_zone` about the zone."""

    code: Literal["no_time", "no_span", "no_zone"]
    field: Literal["start", "end", "zone"]


class Moment(NamedTuple):
    """A local time as UTC microseconds. A `gap` time did not exist and was moved on; of a `double` one this is the first."""

    at: int
    kind: Literal["plain", "gap", "double"]


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """The zones that people are offered: UTC, and those of a place."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith(NO_PLACES))
    return ("UTC", *sorted(places))


def near_zones(name: str) -> list[str]:
    """The zones whose name, or whose place, is spelt most like that."""
    plain = name.strip().casefold().replace(" ", "_")
    spelt = {known.casefold(): known for known in zones()} | {known.rpartition("/")[2].casefold(): known for known in zones()}
    found = get_close_matches(plain, spelt, 2 * NEAR, 0.7) + get_close_matches(plain.rpartition("/")[2], spelt, NEAR, 0.7)
    return list(dict.fromkeys(spelt[one] for one in found))[:NEAR]


def wrongs(start: str, end: str, zone: str) -> list[Wrong]:
    """What keeps typed hours from being hours, in the order of their fields."""
    found = [Wrong("no_time", "start")] if not TIME.fullmatch(start) else []
    found += [Wrong("no_time", "end")] if not TIME.fullmatch(end) and end != "24:00" else []
    found += [Wrong("no_span", "end")] if start == end and not found else []
    try:
        zone_of(zone)
    except UnknownZone:
        found.append(Wrong("no_zone", "zone"))
    return found


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name or of an offset such as -05:00."""
    if found := OFFSET.fullmatch(name.strip()):
        span = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        if span > timedelta(hours=14):
            raise UnknownZone(f"The offset '{name}' is beyond 14 hours. Write for example -05:00 or America/Mexico_City.")
        return timezone(span if found[1] == "+" else -span)
    try:
        return ZoneInfo(name.strip())
    except (KeyError, ValueError, OSError):
        near = near_zones(name[:64])
        meant = f" Is it {' or '.join(near)}?" if near else ""
        raise UnknownZone(
            f"There is no time zone '{name}'.{meant} Write for example America/Mexico_City, or an offset as -05:00."
        ) from None


def local_moment(wall: datetime, zone: tzinfo) -> Moment:
    """The moment a clock on the wall of that zone shows `wall` (naive)."""
    first = _micros(wall.replace(tzinfo=zone, fold=0))
    second = _micros(wall.replace(tzinfo=zone, fold=1))
    if first < second:
        return Moment(first, "double")
    if first > second:
        return Moment(_transition(second, first, zone), "gap")
    return Moment(first, "plain")


def _transition(before: int, after: int, zone: tzinfo) -> int:
    """The moment between the two at which the zone's clocks change."""
    old = _local(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if _local(middle, zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def _local(at: int, zone: tzinfo) -> datetime:
    return (EPOCH + at * MICROSECOND).astimezone(zone)


def next_open(hours: Hours | None, now: int) -> int:
    """`now` when it is inside the hours, else the moment they open next."""
    if hours is None:
        return now
    opens, _ = next(_windows(hours, now))
    return max(opens, now)


def closes_at(hours: Hours, now: int) -> int:
    """The first moment outside the window that is open now, or that opens next."""
    return next(_windows(hours, now))[1]


def _windows(hours: Hours, now: int) -> Iterator[tuple[int, int]]:
    """The windows that end after `now`, in order. Over midnight, a window belongs to the day on which it opens."""
    zone = zone_of(hours.zone)
    days = {DAY_NAMES.index(day) for day in hours.days or DAY_NAMES}
    opens, closes = _minutes(hours.start), _minutes(hours.end)
    today = _local(now, zone).date()
    for ahead in range(-2, 16):
        day = today + timedelta(days=ahead)
        if day.weekday() in days:
            start = _at(day, opens, zone, last=True)
            end = _at(day, closes if closes > opens else closes + 24 * 60, zone)
            if end <= start:  # a window inside the hour that comes twice
                start = _at(day, opens, zone)
            if max(start, now) < end:
                yield start, end


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _at(day: date, minutes: int, zone: tzinfo, last: bool = False) -> int:
    """That time of that day; of one that comes twice the first, or the `last`."""
    wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
    moment = local_moment(wall, zone)
    return _micros(wall.replace(tzinfo=zone, fold=1)) if last and moment.kind == "double" else moment.at
