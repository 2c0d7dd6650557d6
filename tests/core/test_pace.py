"""Pace: over any window no more than the rate and one burst, and a chunk no larger than what may be lost at once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campana.core.pace import SECOND, chunk_size, reserve

RATES = st.sampled_from([0.1, 0.5, 1.0, 3.0, 7.0, 10.0, 80.0, 333.0, 1000.0])


@given(RATES, st.integers(1, 20), st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 5)), min_size=1, max_size=60))
def test_no_window_takes_more_than_the_rate_and_a_burst(rate: float, burst: int, asked: list[tuple[int, int]]) -> None:
    tat, now, started = 0, 1_700_000_000 * SECOND, []
    for pause, weight in asked:
        now += pause
        tat, ready = reserve(tat, now, weight, rate, burst)
        assert ready >= now
        started.append((ready, weight))
        now = ready
    heaviest = max(burst, max(weight for _, weight in started))  # one thing heavier than the burst goes alone
    for first in range(len(started)):
        taken = 0
        for moment, weight in started[first:]:
            taken += weight
            window = moment - started[first][0] + 1  # rounding is to a microsecond
            assert taken <= rate * window / SECOND + heaviest
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(started))


def test_a_sender_at_rest_starts_a_burst_at_once_and_then_keeps_time() -> None:
    now, tat, ready = 100 * SECOND, 0, []
    for _ in range(5):
        tat, at = reserve(tat, now, 1, 10.0, 2)
        ready.append(at - now)
    assert ready == [0, 0, SECOND // 10, SECOND // 5, 3 * SECOND // 10]


def test_a_message_heavier_than_the_burst_goes_when_all_before_it_is_paid_for() -> None:
    now = 100 * SECOND
    tat, ready = reserve(0, now, 6, 1.0, 2)
    assert (tat, ready) == (now + 6 * SECOND, now)
    assert reserve(tat, now, 6, 1.0, 2)[1] == now + 6 * SECOND
    assert reserve(tat, now, 1, 1.0, 2)[1] == now + 5 * SECOND


@pytest.mark.parametrize(
    ("rate", "batch", "can_ask", "size"),
    [
        (0.1, 1, True, 1),
        (1, 1, True, 1),
        (40, 1, True, 10),
        (80, 1, True, 20),
        (80, 1, False, 10),
        (1000, 1, True, 50),
        (1000, 100, True, 100),
        (1000, 100, False, 10),
    ],
)
def test_chunks_are_a_quarter_of_a_second_within_bounds(rate: float, batch: int, can_ask: bool, size: int) -> None:
    assert chunk_size(rate, batch, can_ask) == size
