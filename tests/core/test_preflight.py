"""What stands in the way of a launch, and when its messages are out."""

from __future__ import annotations

import pytest

from campana.core.campaign import Hours
from campana.core.durations import DAY, HOUR, SECOND
from campana.core.preflight import AudienceFacts, Load, StepFacts, finished_at, of_audience, of_duration, of_texts

NINE = 1_796_115_600_000_000  # 2026-12-01 09:00 UTC
OFFICE = Hours(start="08:00", end="10:00", zone="UTC")


def codes(findings) -> list[str]:
    return [finding.code for finding in findings]


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (AudienceFacts(), ["no_audience"]),
        (AudienceFacts(chosen=True, trouble="no header"), ["audience_unread"]),
        (AudienceFacts(chosen=True, rows=12), ["audience_loading"]),
        (AudienceFacts(chosen=True, loaded=True, rows=3, offered=2, flagged=1), ["flagged_rows"]),
        (AudienceFacts(chosen=True, loaded=True, rows=1, offered=0, flagged=1), ["flagged_rows", "nobody"]),
        (AudienceFacts(chosen=True, loaded=True, rows=3, offered=3), []),
        (AudienceFacts(chosen=True, loaded=True, rows=3, offered=3, busy=True), ["audience_busy"]),
    ],
)
def test_an_audience_must_be_there_whole_and_clean(facts, found):
    assert codes(of_audience(facts)) == found
    assert all(finding.blocks for finding in of_audience(facts))


def test_texts_tell_who_cannot_be_reached_what_is_long_and_what_is_empty():
    wa = StepFacts("s1", "WhatsApp", takes=8, closed_to={"+91": 2}, empty={"plan": 3})
    sms = StepFacts("s2", "SMS", takes=0)
    long = StepFacts("s3", "SMS", takes=9, most_segments=5, longest_row=7)
    found = of_texts([wa, sms, long], 10)
    assert codes(found) == ["empty_column", "closed_to", "step_for_nobody", "long_text"]
    assert not any(finding.blocks for finding in found)
    assert found[1].details == {"start": "+91", "people": 2}
    assert codes(of_texts([sms], 10)) == ["nobody_reachable", "step_for_nobody"]
    assert of_texts([sms], 10)[0].blocks


@pytest.mark.parametrize(
    ("load", "hours", "after"),
    [
        (Load(0, 10), None, 0),
        (Load(100, 10), None, 10 * SECOND),
        (Load(3600 * 5, 1), None, 5 * HOUR),
        (Load(3600 * 2, 1), OFFICE, DAY),  # one hour is left today, the other is tomorrow's first
        (Load(3600 * 4, 1), OFFICE, 2 * DAY),
        (Load(100, 10, daily_limit=60), None, 15 * HOUR + 4 * SECOND),  # the rest at midnight UTC
    ],
)
def test_the_end_is_told_by_pace_hours_and_daily_limit(load, hours, after):
    assert finished_at(NINE, [load], hours) == NINE + after


def test_the_slowest_sender_decides_and_no_end_is_said_so():
    assert finished_at(NINE, [Load(10, 1), Load(10, 5)], None) == NINE + 10 * SECOND
    assert finished_at(NINE, [Load(10**9, 1, daily_limit=1)], None) is None
    assert codes(of_duration(NINE, None)) == ["never_ends"]
    assert codes(of_duration(NINE, NINE + 3 * DAY)) == ["slow"]
    assert of_duration(NINE, NINE + HOUR) == []
