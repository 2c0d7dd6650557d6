"""Tables as files to download."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from urllib.parse import quote

from litestar.response import Stream


def lines(rows: Iterable[Sequence[str]], first: bool = False) -> bytes:
    """Rows as CSV; the first piece begins with the mark by which spreadsheets know UTF-8."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return (("\ufeff" if first else "") + text.getvalue()).encode()


def sent(name: str, pieces: AsyncIterator[bytes]) -> Stream:
    """An answer that the browser keeps as a file."""
    headers = {"content-disposition": f"attachment; filename={quote(name)}", "cache-control": "no-store"}
    return Stream(pieces, media_type="text/csv; charset=utf-8", headers=headers)
