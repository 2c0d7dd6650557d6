"""A short cell of `make chaos`: real processes, killed while they work, and everybody is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import prove, report


@pytest.mark.chaos
def test_nobody_is_lost_or_told_twice_when_processes_are_killed(tmp_path: Path) -> None:
    chaos, books = prove(tmp_path / "chaos", kills=6, people=150, seed=7, seconds=240, day=5.0)
    facts = report(chaos, books, 0)
    assert (books.lost, books.twice, books.problems) == (0, 0, []), facts
    assert len(chaos.kills) == 6
    assert books.people == 150 * chaos.campaigns == sum(books.outcomes.values())
    assert books.uncertain_once > 0, "no kill and no fault struck a call: the cell proves nothing"
