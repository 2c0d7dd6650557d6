"""The start of a campaign: now, or a local time with its zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from campana.core.schedule import BadStart, planned, start_moment


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


NOW = at("2026-03-01T12:00:00")


@pytest.mark.parametrize(
    ("text", "moment", "notice"),
    [
        ("now", "2026-03-01T12:00:00", None),
        (" Now ", "2026-03-01T12:00:00", None),
        ("2026-12-24 09:00 America/Mexico_City", "2026-12-24T15:00:00", None),
        ("2026-07-01 09:00 Europe/Madrid", "2026-07-01T07:00:00", None),
        ("2026-07-01T9:00 -05:00", "2026-07-01T14:00:00", None),
        ("2026-07-01 09:00 UTC", "2026-07-01T09:00:00", None),
        ("2026-03-01 12:00 UTC", "2026-03-01T12:00:00", None),  # this very moment is not past
        ("2026-03-29 02:30 Europe/Madrid", "2026-03-29T01:00:00", "it starts at 03:00"),
        ("2026-10-25 02:30 Europe/Madrid", "2026-10-25T00:30:00", "comes twice"),
    ],
)
def test_a_launch_at_a_local_time_of_a_zone(text: str, moment: str, notice: str | None) -> None:
    found, said = start_moment(text, NOW)
    assert found == at(moment)
    assert (said is None) if notice is None else (notice in str(said))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2026-03-01 11:59 UTC", "is past"),
        ("2026-03-01 05:59 America/Mexico_City", "it is now 2026-03-01 06:00 there"),
        ("2026-12-24 09:00", "with its zone"),
        ("tomorrow", "with its zone"),
        ("2026-02-30 09:00 UTC", "no day or hour"),
        ("2026-12-24 25:00 UTC", "no day or hour"),
        ("2026-12-24 09:00 Mars/Olympus", "no time zone"),
        ("0001-01-01 00:00 +14:00", "with its zone"),
        ("", "with its zone"),
    ],
)
def test_a_start_that_cannot_be_kept_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(BadStart, match=sentence) as told:
        start_moment(text, NOW)
    assert str(told.value).endswith(".")


@pytest.mark.parametrize(
    ("date", "time", "zone", "kind", "at"),
    [
        ("2026-12-24", "09:00", "America/Mexico_City", "plain", "2026-12-24 15:00"),
        ("2027-03-14", "02:30", "America/New_York", "gap", "2027-03-14 07:00"),
        ("2027-11-07", "01:30", "America/New_York", "double", "2027-11-07 05:30"),
        ("2026-02-28", "09:00", "UTC", "past", "2026-02-28 09:00"),
        ("2026-02-30", "09:00", "UTC", "bad", ""),
        ("2026-12-24", "", "UTC", "bad", ""),
        ("2026-12-24", "09:00", "Mars/Olympus", "bad", ""),
        ("2026-12-24", "09:00", "", "bad", ""),
    ],
)
def test_a_start_chosen_as_day_time_and_zone(date, time, zone, kind, at):
    found = planned(date, time, zone, NOW)
    assert found.kind == kind
    if at:
        assert f"{datetime.fromtimestamp(found.at / 1_000_000, UTC):%Y-%m-%d %H:%M}" == at
