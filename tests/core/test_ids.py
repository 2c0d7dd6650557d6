"""Ids: in the order of their making, and true about when that was."""

from __future__ import annotations

import uuid

from campana.core.ids import id_of, new_id, numbered_id

NOW = 1_796_115_600_000_123


def test_ids_of_one_moment_sort_in_the_order_of_their_making() -> None:
    made = [new_id(NOW) for _ in range(5000)]
    assert made == sorted(made)
    assert len({one[:8] for one in made}) == 5000  # so nobody's children get mixed up with another's


def test_an_id_is_a_uuid_7_of_its_millisecond() -> None:
    made = uuid.UUID(bytes=new_id(NOW + 10_000_000_000))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert int.from_bytes(made.bytes[:6], "big") == (NOW + 10_000_000_000) // 1000


def test_a_clock_that_is_set_back_is_believed() -> None:
    later, earlier = new_id(NOW + 20_000_000_000), new_id(NOW - 20_000_000_000)
    assert earlier < later


def test_microseconds_apart_sort_so_in_every_process() -> None:
    first, second = new_id(NOW + 30_000_000_000), new_id(NOW + 30_000_000_001)
    assert first < second


def test_children_lie_side_by_side_and_are_the_same_when_made_again() -> None:
    parent = new_id(NOW)
    children = [numbered_id(parent, number) for number in range(1, 300)]
    assert children == sorted(children)
    assert numbered_id(parent, 7) == children[6]


def test_an_id_is_read_back_from_its_spelling() -> None:
    made = new_id(NOW)
    assert id_of(made.hex()) == made
    assert id_of("zz" * 16) is None
    assert id_of(made.hex()[:-2]) is None
