"""Files in pieces."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event

from campana.core.ids import new_id
from campana.store import uploads
from tests.store.conftest import NOW

PIECES = [b"name,phone\n", bytes(range(256)), b"\\x00 is no escape here"]


def test_a_file_comes_back_as_it_was_given(engine: Engine) -> None:
    upload_id = new_id(NOW)
    sent: list[Any] = []
    event.listen(engine, "before_cursor_execute", lambda *given: sent.append(given[3]))
    with engine.begin() as c:
        uploads.add(c, upload_id, 0, PIECES[:2])
        uploads.add(c, upload_id, 2, PIECES[2:])
        uploads.add(c, upload_id, 3, [])
    with engine.begin() as c:
        assert uploads.pieces(c, upload_id, 0, 2) == PIECES[:2]
        assert uploads.pieces(c, upload_id, 2, 2) == PIECES[2:]
    assert not any(isinstance(one, list) for given in sent for one in _values(given)), "an array would be written as text"


def _values(given: Any) -> list[Any]:
    rows = given if isinstance(given, list) else [given]
    return [value for row in rows for value in (row.values() if isinstance(row, dict) else row)]
