"""What is said of the pace of a run: when all that waits is out, and what keeps it from being faster."""

from __future__ import annotations

import pytest

from campana.core.campaign import Hours
from campana.core.durations import DAY, HOUR, MINUTE, SECOND
from campana.core.forecast import Bound, Queue, forecast

NINE = 1_796_115_600_000_000  # 2026-12-01 09:00 UTC
OFFICE = Hours(start="08:00", end="10:00", zone="UTC")


def queue(messages: int, **more: object) -> Queue:
    facts = {"sender": "+1 202", "messages": messages, "weight": 1.0, "counts": "segments", "rate": 1.0, **more}
    return Queue(**facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("queues", "hours", "bound", "after"),
    [
        ([queue(3600)], None, Bound.PACE, HOUR),
        ([queue(1200, weight=3.0)], None, Bound.PACE, HOUR),
        ([queue(1800), queue(1800)], None, Bound.PACE, HOUR),  # two steps over one sender
        ([queue(3600), queue(7200, sender="slow")], None, Bound.PACE, 2 * HOUR),
        ([queue(1800)], OFFICE, Bound.PACE, 30 * MINUTE),
        ([queue(7200)], OFFICE, Bound.HOURS, DAY),  # an hour today, an hour tomorrow
        ([queue(100, daily_limit=60)], None, Bound.LIMIT, 15 * HOUR + MINUTE),  # 40 seconds of the next day, to the minute
        ([queue(100, daily_limit=100)], None, Bound.PACE, 2 * MINUTE),
        ([queue(100, daily_limit=100, used=50)], None, Bound.LIMIT, 15 * HOUR + MINUTE),
        ([queue(1_000_000, daily_limit=1)], None, Bound.LIMIT, None),
    ],
)
def test_it_says_when_all_is_out_and_what_binds(queues, hours, bound, after):
    found = forecast(NINE, queues, hours)
    assert found is not None
    assert found.bound is bound
    assert found.ends == (None if after is None else NINE + after)


def test_the_sender_told_is_the_one_that_ends_last():
    found = forecast(NINE, [queue(10), queue(50, sender="slow", counts="messages", rate=0.5)], None)
    assert found is not None
    assert (found.sender, found.counts, found.rate) == ("slow", "messages", 0.5)


def test_nothing_is_said_when_nobody_waits():
    assert forecast(NINE, [queue(0)], OFFICE) is None
    assert forecast(NINE, [], None) is None


def test_a_moment_is_told_to_the_minute_so_that_a_page_stands_still():
    first = forecast(NINE + 5 * SECOND, [queue(60)], None)
    assert first is not None
    assert first.ends is not None
    assert first.ends % MINUTE == 0
