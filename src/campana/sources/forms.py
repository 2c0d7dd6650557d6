"""What a table is before anybody asks who is in it: its form, its limits, and why it cannot be read."""

from __future__ import annotations

from typing import Literal

import msgspec

from campana.core.audience import BadAudience

Format = Literal["csv", "tsv", "xls", "xlsx", "xlsb", "ods"]
CHUNK = 5000  # rows handed on together
CHUNK_BYTES = 4 << 20  # or fewer, when they are this much text
GIB = 1 << 30


class BadTable(BadAudience):
    """A file that cannot be read as a table. The sentence says what to do with it."""


class Limits(msgspec.Struct, frozen=True):
    """How much a file may hold."""

    file_bytes: int = 2 * GIB
    rows: int = 5_000_000
    columns: int = 500
    cell: int = 10_000  # characters
    expanded_bytes: int = 2 * GIB  # of a workbook, which is a compressed archive
    expansion: int = 200  # times its own size
    memory_bytes: int = 3 * GIB  # address space of the process that reads
    cpu_seconds: int = 600  # of that process: damaged workbooks can make their reader run in a circle


class TableOptions(msgspec.Struct, frozen=True):
    """What a person says about the file; None is guessed."""

    encoding: str | None = None
    separator: str | None = None
    header: bool | None = None
    sheet: str | None = None
    limits: Limits = Limits()
    ignored: tuple[str, ...] = ()  # columns of the header that are left away
    renamed: dict[str, str] = {}  # column of the header -> what it is called from then on


class TableInfo(msgspec.Struct, frozen=True):
    """How a file is read, told or guessed, with its first rows to show."""

    format: Format
    header: list[str]
    has_header: bool  # False: no row names the columns, `header` counts them
    sample: list[list[str]]
    fingerprint: str
    encoding: str | None = None
    separator: str | None = None
    sheet: str | None = None
    other_sheets: list[str] = []
    skipped: int = 0  # rows above the first row of people
    limits: Limits = Limits()
