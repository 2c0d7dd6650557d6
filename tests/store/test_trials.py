"""Test messages: one too many is not sent, and a press that is repeated is the one before."""

from __future__ import annotations

from campana.core.ids import new_id
from campana.store import trials
from campana.store.trials import MOST, SAME, WITHIN
from tests.store.conftest import NOW, Begin

OURS, THEIRS = new_id(NOW), new_id(NOW)


def test_the_same_press_again_is_the_first_one_until_it_is_over(begin: Begin) -> None:
    with begin() as c:
        first = trials.begin(c, OURS, b"press", NOW)
    with begin() as c:
        assert first.new
        again = trials.begin(c, OURS, b"press", NOW + SAME + 1)  # the vendor has not answered
        assert (again.id, again.new) == (first.id, False)
        assert trials.verdict(c, first.id) is None
        trials.finish(c, first.id, "{}")
        assert trials.verdict(c, first.id) == "{}"
        assert not trials.begin(c, OURS, b"press", NOW + SAME - 1).new
        assert trials.begin(c, OURS, b"press", NOW + SAME).new
        assert trials.begin(c, OURS, b"another", NOW).new
        assert trials.begin(c, THEIRS, b"press", NOW).new


def test_a_workspace_sends_so_many_in_ten_minutes(begin: Begin) -> None:
    with begin() as c:
        assert all(trials.begin(c, OURS, bytes([number]), NOW + number).new for number in range(MOST))
        refused = trials.begin(c, OURS, b"one more", NOW + MOST)
        assert (refused.new, refused.until) == (False, NOW + WITHIN)
        assert trials.begin(c, THEIRS, b"one more", NOW + MOST).new
        assert trials.begin(c, OURS, b"one more", NOW + WITHIN).new  # the first of them is forgotten
