"""Parts of an SMS: our vectors, the shift tables, and what no text may break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campana.core import segments
from campana.core.segments import Segments, count

DATA = Path(__file__).parents[1] / "data"
VECTORS = json.loads((DATA / "vectors/segments.json").read_text(encoding="utf-8"))["vectors"]


def built(vector: dict[str, Any]) -> str:
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in vector["build"])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    expected = Segments(vector["encoding"], vector["characters"], vector["units"], vector["segments"])
    assert count(built(vector), vector.get("national")) == expected


def test_the_tables_in_the_package_are_the_published_ones() -> None:
    assert json.loads((DATA / "sms/gsm7_tables.json").read_text(encoding="utf-8")) == segments.TABLES


@pytest.mark.parametrize(
    ("text", "national", "expected"),
    [
        ("a" * 160, None, Segments("GSM7", 160, 160, 1)),
        ("a" * 161, None, Segments("GSM7", 161, 161, 2)),
        ("a" * 159 + "€", None, Segments("GSM7", 160, 161, 2)),
        ("á" * 71, None, Segments("UCS2", 71, 71, 2)),
        ("á" * 134, None, Segments("UCS2", 134, 134, 2)),
        ("á" * 135, None, Segments("UCS2", 135, 135, 3)),
        ("\f" * 80, None, Segments("GSM7", 80, 160, 1)),
        ("á", "TR", Segments("UCS2", 1, 1, 1)),
        ("ş" * 77, "TR", Segments("GSM7+TR", 77, 154, 1)),
        ("ã" * 149, "PT", Segments("GSM7+PT", 149, 298, 3)),  # 74 pairs fit into 149 septets
        ("º" + "ã" * 145, "PT", Segments("GSM7++PT", 146, 146, 1)),  # º is in the locking table only
        ("º" + "a" * 151, "PT", Segments("GSM7++PT", 152, 152, 1)),
        ("º" + "a" * 152, "PT", Segments("GSM7++PT", 153, 153, 2)),
        ("º" + "a" * 292, "PT", Segments("GSM7++PT", 293, 293, 3)),
        ("áé", "XX", Segments("UCS2", 2, 2, 1)),  # a language without tables
        ("\ud83d", None, Segments("UCS2", 1, 1, 1)),  # half a pair, as broken JSON brings it
        ("\x1b", None, Segments("UCS2", 1, 1, 1)),  # the escape itself is no character
    ],
)
def test_capacities(text: str, national: str | None, expected: Segments) -> None:
    assert count(text, national) == expected


SIGNS = st.text(alphabet="aé€^áçñ😀\n’", max_size=330)


@given(SIGNS, SIGNS, st.sampled_from([None, "ES"]))
def test_a_longer_text_never_has_fewer_parts(text: str, more: str, national: str | None) -> None:
    short, long = count(text, national), count(text + more, national)
    assert short.segments <= long.segments
    assert short.characters + len(more) == long.characters


@given(SIGNS, st.sampled_from([None, "ES", "PT", "TR"]))
def test_parts_hold_the_units_and_no_more_room_than_pairs_waste(text: str, national: str | None) -> None:
    found = count(text, national)
    multi = {"UCS2": 67, "GSM7": 153}.get(found.encoding, 146 if "++" in found.encoding else 149)
    single = {"UCS2": 70, "GSM7": 160}.get(found.encoding, 152 if "++" in found.encoding else 155)
    if found.units <= single:
        assert found.segments == min(1, found.units)
    else:
        assert -(-found.units // multi) <= found.segments <= -(-found.units // (multi - 1))
