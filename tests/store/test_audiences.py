"""Rows as they were offered come back as they were, whatever stands in them."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.exc import IntegrityError

from campana.core.ids import new_id
from campana.store import audiences
from tests.store.conftest import NOW, Begin

ODD = ['quo"te', "back\\slash", "\\.", "\\N", "comma, semicolon; tab\t", "line\r\nend", "emoji 🔔", "=1+1", "'", "", " "]


def test_odd_texts_come_back_as_they_were(begin: Begin) -> None:
    audience_id = new_id(NOW)
    rows = [
        {
            "number": number,
            "cells": json.dumps([odd, odd]),
            "phone": None,
            "email": f"{number}@example.org" if number % 2 else None,
            "issues": json.dumps([{"words": odd}], ensure_ascii=False),
            "left_out": None if number % 3 else f"is odd: {number}",
        }
        for number, odd in enumerate(ODD, 1)
    ]
    with begin() as c:
        audiences.add_rows(c, audience_id, rows)
        audiences.add_rows(c, audience_id, [])
        found = audiences.rows_after(c, audience_id, 0, 100)
    assert [dict(row._mapping) for row in found] == rows


def test_a_row_that_is_there_already_stops_its_batch(begin: Begin) -> None:
    audience_id = new_id(NOW)
    row = {"number": 1, "cells": "[]", "phone": "+1", "email": None, "issues": None, "left_out": None}
    with begin() as c:
        audiences.add_rows(c, audience_id, [row])
    with pytest.raises(IntegrityError), begin() as c:
        audiences.add_rows(c, audience_id, [{**row, "number": 2}, row])
    with begin() as c:
        assert [one.number for one in audiences.rows_after(c, audience_id, 0, 100)] == [1]
