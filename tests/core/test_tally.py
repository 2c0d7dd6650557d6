"""Figures kept by differences are those of a count from the beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from campana.core.audience import CheckedRow, Checker, Summary, resolve_columns
from campana.core.campaign import AudienceSpec
from campana.core.tally import EMPTY, moved, open_problems

SPEC = AudienceSpec()
CELLS = st.sampled_from(["", "+525511223344", "+525511223355", "+122233344555", "12", "a@x.com"])
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=12)


@dataclass(frozen=True)
class Stored:
    """What the store keeps of a row."""

    phone: str | None
    email: str | None
    left_out: str | None
    flag: str | None

    @classmethod
    def of(cls, row: CheckedRow) -> Stored:
        return cls(row.phone, row.email, row.reason, row.flag)


def counted(rows: Sequence[tuple[str, str]]) -> tuple[list[Stored], Summary]:
    checker = Checker(resolve_columns(["phone", "email"], SPEC), SPEC)
    found = [Stored.of(checker.check(number, list(row))) for number, row in enumerate(rows, 1)]
    return found, checker.summary()


@given(ROWS, ROWS)
def test_differences_come_to_what_counting_says(was: list[tuple[str, str]], becomes: list[tuple[str, str]]) -> None:
    before, summary = counted(was)
    after, wanted = counted(becomes)
    assert replace(moved(summary, SPEC, before, after), fields=()) == wanted
    assert moved(moved(EMPTY, SPEC, [], before), SPEC, before, []) == replace(EMPTY, refusal=counted([])[1].refusal)


@pytest.mark.parametrize(
    ("left_out", "duplicates", "left"),
    [
        ({}, "refuse", 0),
        ({"missing": 2, "duplicate": 3, "dropped": 4}, "refuse", 5),
        ({"missing": 2, "duplicate": 3, "dropped": 4}, "first", 2),
    ],
)
def test_what_is_dropped_or_may_repeat_is_no_problem_that_is_open(left_out: dict[str, int], duplicates: str, left: int) -> None:
    assert open_problems(replace(EMPTY, left_out=left_out), AudienceSpec(duplicates=duplicates)) == left
