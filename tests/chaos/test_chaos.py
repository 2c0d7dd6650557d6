"""Short cells of `make chaos`: real processes, struck while they work, and everybody is accounted for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.blows import Sort, deal
from tests.chaos.cells import Cell, OneProcess
from tests.chaos.many import ManyProcesses
from tests.chaos.run import Size, prove, report


@pytest.mark.chaos
@pytest.mark.parametrize(("kind", "people"), [(OneProcess, 150), (ManyProcesses, 200)], ids=["sqlite", "postgresql"])
def test_nobody_is_lost_or_told_twice_when_processes_are_killed(tmp_path: Path, kind: type[Cell], people: int) -> None:
    chaos, books = prove(tmp_path / "chaos", Size(6, people), seed=7, seconds=240, kind=kind, day=5.0)
    facts = report(chaos, books, 0)
    assert (books.lost, books.twice, books.problems) == (0, 0, []), facts
    assert len(chaos.cell.blows) == 6
    assert {blow.sort for blow in chaos.cell.blows} == {Sort.KILL, *kind.shares}
    assert books.people == people * chaos.campaigns == sum(books.outcomes.values())
    assert books.uncertain_once > 0, "no blow and no fault struck a call: the cell proves nothing"
    assert books.acknowledged > 0


@pytest.mark.parametrize(("count", "of_each"), [(1, 0), (3, 1), (10, 1), (100, 10)])
def test_every_sort_of_blow_is_dealt(count: int, of_each: int) -> None:
    dealt = deal(count, {Sort.STOP: 0.1, Sort.DATABASE: 0.1}, random.Random(1))
    assert len(dealt) == count
    assert dealt.count(Sort.STOP) == dealt.count(Sort.DATABASE) == of_each
    assert dealt.count(Sort.KILL) > 0
