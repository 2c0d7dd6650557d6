"""How much is cut ahead: enough that a sender is never idle, and never one person at a time."""

from __future__ import annotations

import pytest

from campana.engine.cut import AHEAD_SECONDS, room_of


@pytest.mark.parametrize("rate", [0.1, 0.5, 1, 8, 150, 5000])
def test_a_sender_that_keeps_sending_gets_few_large_units_and_is_never_idle(rate: float) -> None:
    most = max(1, int(rate * AHEAD_SECONDS))
    in_units, cuts = 0, []
    for _ in range(10 * most):  # the pump looks after each person that was sent to
        room = room_of(rate, in_units)
        if room > 0:
            cuts.append(room)
            in_units += room
        assert 0 < in_units <= most
        in_units -= 1
    assert min(cuts) >= most / 2


@pytest.mark.parametrize(
    ("rate", "in_units", "room"), [(8, 0, 40), (8, 20, 20), (8, 21, 0), (8, 50, 0), (0.01, 0, 1), (0.01, 1, 0)]
)
def test_room_is_half_of_what_a_sender_may_have_or_none(rate: float, in_units: int, room: int) -> None:
    assert room_of(rate, in_units) == room
