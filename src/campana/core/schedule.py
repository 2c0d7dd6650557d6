"""When a campaign starts: `start` of the campaign file as a moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from campana.core.hours import UnknownZone, local_moment, zone_of

START = re.compile(r"([12]\d{3}-\d{2}-\d{2})[ T](\d{1,2}:\d{2})(?::00)?\s+(\S+)")
EXAMPLE = "Write 'now', or for example '2026-12-24 09:00 America/Mexico_City'."


class BadStart(ValueError):
    """A start that cannot be kept. The sentence says what to write."""


class Planned(NamedTuple):
    """When a campaign starts, as UTC microseconds, and whether that is what was asked for.

    A `gap` time does not exist and was moved on, a `double` one comes twice and this is the first; `past` and `bad` ones cannot
    be kept.
    """

    at: int
    kind: Literal["plain", "gap", "double", "past", "bad"]


def planned(date: str, time: str, zone: str, now: int) -> Planned:
    """The start that people chose as a day, a time and a zone (contract 117)."""
    try:
        wall = datetime.strptime(f"{date.strip()} {time.strip()[:5]}", "%Y-%m-%d %H:%M")  # noqa: DTZ007 - the zone follows
        moment = local_moment(wall, zone_of(zone))
    except ValueError:
        return Planned(now, "bad")
    return Planned(moment.at, "past") if moment.at < now else Planned(moment.at, moment.kind)


def zone_in(text: str) -> str:
    """The zone that a written start names; empty when it names none."""
    found = START.fullmatch(text.strip())
    return found[3] if found else ""


def start_moment(text: str, now: int) -> tuple[int, str | None]:
    """The moment (UTC microseconds) and a notice when it is not quite what was written."""
    if text.strip().casefold() == "now":
        return now, None
    found = START.fullmatch(text.strip())
    if not found:
        raise BadStart(f"The start '{text}' is not a local time with its zone. {EXAMPLE}")
    try:
        wall = datetime.strptime(f"{found[1]} {found[2]}", "%Y-%m-%d %H:%M")  # noqa: DTZ007 - the zone follows
    except ValueError:
        raise BadStart(f"The start '{text}' names no day or hour of the calendar. {EXAMPLE}") from None
    try:
        zone = zone_of(found[3])
        moment = local_moment(wall, zone)
    except UnknownZone as error:
        raise BadStart(f"The start cannot be read. {error}") from None
    if moment.at < now:
        today = datetime.fromtimestamp(now / 1_000_000, UTC).astimezone(zone)
        raise BadStart(f"The start '{text}' is past: it is now {today:%Y-%m-%d %H:%M} there. Write a later time, or 'now'.")
    if moment.kind == "gap":
        moved = datetime.fromtimestamp(moment.at // 1_000_000, UTC).astimezone(zone)
        return moment.at, f"{found[2]} does not exist on {found[1]} in {found[3]}, clocks go forward: it starts at {moved:%H:%M}."
    if moment.kind == "double":
        return moment.at, f"{found[2]} comes twice on {found[1]} in {found[3]}, clocks go back: it starts at the first."
    return moment.at, None
