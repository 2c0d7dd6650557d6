"""The watch over first people: when it lets a run go on, and when it pauses it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from campana.core.campaign import Canary, Limits
from campana.core.canary import Tried, Trouble, Watch, forgive, judge, let_pass, watch_for

WATCH = Watch(first=100, wait=60, failed=5, opted_out=1, unknown=2)
FIRST = [
    (Canary(people=1000), 50_000, 1000),
    (Canary(people=1000), 10, 10),
    (Canary(share=1), 50_000, 500),
    (Canary(share=1), 30, 1),
    (Canary(share=100), 7, 7),
    (Canary(share=0.1), 1001, 2),
]


@pytest.mark.parametrize(("canary", "offered", "first"), FIRST)
def test_the_first_are_a_number_or_a_share_but_never_nobody(canary: Canary, offered: int, first: int) -> None:
    assert canary.first(offered) == first


@pytest.mark.parametrize("facts", [{}, {"people": 5, "share": 1}, {"people": 0}, {"share": 0}, {"share": 101}])
def test_a_canary_says_one_way_how_many(facts: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Canary.model_validate(facts)


def test_no_more_are_enrolled_than_the_first_until_it_has_passed() -> None:
    assert [WATCH.room(n) for n in (0, 60, 100, 120)] == [100, 40, 0, 0]
    assert let_pass(WATCH, Tried(), 7).room(100) is None


BREACHES = [
    (Tried(sent=10, failed=5), None),  # five of a hundred are allowed
    (Tried(sent=10, failed=6), Trouble.FAILED),
    (Tried(sent=100, opted_out=2), Trouble.OPTED_OUT),
    (Tried(sent=100, unknown=3), Trouble.UNKNOWN),
    (Tried(sent=1000, failed=50), None),  # more people than the first: their share counts
    (Tried(sent=1000, failed=51), Trouble.FAILED),
]


@pytest.mark.parametrize(("tried", "trouble"), BREACHES)
def test_a_limit_is_a_share_of_the_first_people_or_of_all_sent_to(tried: Tried, trouble: Trouble | None) -> None:
    breach = judge(WATCH, tried, False, "", 0).breach
    assert (breach.trouble if breach else None) == trouble


def test_with_a_limit_of_nothing_the_first_failure_stops_it() -> None:
    strict = watch_for(Canary(people=100, limits=Limits(failed=0)), 1000, 60)
    assert judge(strict, Tried(failed=1), False, "", 0).breach is not None
    assert judge(strict, Tried(), False, "", 0).breach is None


def test_it_passes_when_it_has_been_quiet_for_the_time_chosen() -> None:
    waiting = judge(WATCH, Tried(sent=90), False, "", 5)
    assert waiting == WATCH
    quiet = judge(WATCH, Tried(sent=100), True, "", 10)
    assert quiet.quiet_since == 10
    assert judge(quiet, Tried(sent=100), True, "", 69).passed_at is None
    assert judge(quiet, Tried(sent=100), True, "", 70).passed_at == 70


def test_a_run_that_only_a_person_can_help_is_stuck_while_it_is_watched_closely() -> None:
    stuck = judge(WATCH, Tried(), False, "the template was paused", 1).breach
    assert stuck is not None
    assert stuck.trouble is Trouble.STUCK
    assert stuck.words == "the template was paused"
    passed = let_pass(WATCH, Tried(), 1)
    assert judge(passed, Tried(), True, "the template was paused", 2) == passed


def test_the_limits_hold_after_it_has_passed() -> None:
    passed = let_pass(WATCH, Tried(), 1)
    assert judge(passed, Tried(sent=1000, failed=51), True, "", 2).breach is not None


def test_what_a_person_forgave_counts_no_more_and_what_comes_after_does() -> None:
    broken = judge(WATCH, Tried(sent=20, failed=6), False, "", 0)
    again = forgive(broken, Tried(sent=20, failed=6))
    assert again.breach is None
    assert judge(again, Tried(sent=20, failed=6), False, "", 1).breach is None
    assert judge(again, Tried(sent=30, failed=12), False, "", 1).breach is not None


def test_after_forgiving_only_those_sent_to_since_count() -> None:
    again = forgive(let_pass(WATCH, Tried(), 1), Tried(sent=50_000, failed=4_000))
    assert judge(again, Tried(sent=51_000, failed=4_050), True, "", 2).breach is None
    assert judge(again, Tried(sent=51_000, failed=4_051), True, "", 2).breach is not None
