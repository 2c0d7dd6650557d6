"""XLS, XLSX, XLSB and ODS: the first sheet with something in it, as rows of text."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

from campana.sources.forms import CHUNK, BadTable, Format, Limits

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP = b"PK\x03\x04"
ENTRIES = 10_000
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
LOCKED = "The workbook is protected with a password. Save it without one."
SMALL = 10_000_000  # an archive that expands to less than this may have any ratio


def format_of(path: Path, limits: Limits) -> Format | None:
    """The kind of workbook by its content, or None when it is none; raises BadTable for what is neither workbook nor text."""
    with path.open("rb") as file:
        head = file.read(512)
        if head.startswith(OLE):
            if ENCRYPTED in file.read(1 << 20):
                raise BadTable(LOCKED)
            return "xls"
    if head.startswith(ZIP):
        return _archive(path, limits)
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if start.startswith((b"<html", b"<!doctype", b"<table", b"<?xml")):
        raise BadTable("The file is a web page, whatever its name says. Open it in a spreadsheet and save it as XLSX or CSV.")
    if head.startswith((b"%PDF", b"\x1f\x8b", b"\x89PNG", b"\xff\xd8\xff")) or head[:2] == b"\x09\x08":
        raise BadTable("The file is no table that can be read. Save it as XLSX or CSV.")
    return None


def _archive(path: Path, limits: Limits) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = {entry.filename for entry in entries}
            kind = archive.open("mimetype").read(200) if "mimetype" in names else b""
    except (zipfile.BadZipFile, RuntimeError, OSError, NotImplementedError, EOFError):
        raise BadTable("The workbook is damaged: its archive cannot be opened. Save it again.") from None
    expanded = sum(entry.file_size for entry in entries)
    too_far = expanded > SMALL and expanded > limits.expansion * path.stat().st_size
    if len(entries) > ENTRIES or expanded > limits.expanded_bytes or too_far:
        raise BadTable(
            f"The workbook unpacks to {expanded:,} bytes, which is more than a list of people needs. "
            "Save the one sheet with the people as CSV."
        )
    if "xl/workbook.xml" in names:
        return "xlsx"
    if "xl/workbook.bin" in names:
        return "xlsb"
    if b"opendocument.spreadsheet" in kind:
        return "ods"
    raise BadTable("The file is an archive and no workbook. Unpack it and choose the table in it.")


def choose_sheet(path: Path, told: str | None) -> tuple[str, list[str]]:
    """The sheet to read, the first visible one with something in it, and the names of the others."""
    book = _open(path)
    names = [sheet.name for sheet in book.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
    if told is not None:
        if told not in book.sheet_names:
            raise BadTable(f"The workbook has no sheet '{told}'. Its sheets are {', '.join(book.sheet_names)}.")
        return told, [name for name in names if name != told]
    for name in names:
        if _sheet(path, name).height:
            return name, [other for other in names if other != name]
    raise BadTable("The workbook is empty: no sheet has anything in it. Fill in a header and people.")


def read(
    path: Path, sheet: str, limits: Limits, passed: Callable[[float], object] = lambda share: None
) -> Iterator[list[list[str]]]:
    """All rows of a sheet in chunks, the header among them. `passed` is told before each chunk what share has been read."""
    found, done = _sheet(path, sheet), 0
    if found.height > limits.rows + 1:
        raise BadTable(f"The sheet has more than {limits.rows:,} rows. Split it into several files.")
    if found.width > limits.columns:
        raise BadTable(f"The sheet has {found.width} columns; {limits.columns} are possible. Remove those that no message uses.")
    chunk: list[list[str]] = []
    for row in found.iter_rows():
        cells = [cell if type(cell) is str else text_of(cell) for cell in row]
        if max(map(len, cells), default=0) > limits.cell:
            raise BadTable(f"A cell of the sheet has more than {limits.cell:,} characters. Shorten it.")
        chunk.append(cells)
        if len(chunk) == CHUNK:
            done += CHUNK
            passed(done / found.height)
            yield chunk
            chunk = []
    if chunk:
        passed(1.0)
        yield chunk


def text_of(cell: object) -> str:
    """A cell as people read it: whole numbers without a point, dates as YYYY-MM-DD."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return f"{cell:.0f}" if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime):
        return _moment(cell)
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, time):
        return cell.isoformat("seconds" if cell.second else "minutes")
    if isinstance(cell, timedelta):
        return str(cell)
    return str(cell)


def _moment(cell: datetime) -> str:
    if cell.time() == time():
        return cell.date().isoformat()
    return cell.isoformat(" ", "seconds" if cell.second else "minutes")


def _sheet(path: Path, name: str) -> CalamineSheet:
    return _parsed(path, name, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _parsed(path: Path, name: str, changed_at: int) -> CalamineSheet:
    """A sheet in memory. The last one is kept, since a file is looked at and then read."""
    with _readable(f"The sheet '{name}'"):
        return _open(path).get_sheet_by_name(name)


def _open(path: Path) -> CalamineWorkbook:
    with _readable("The workbook"), path.open("rb") as file:
        return CalamineWorkbook.from_filelike(file)  # by path it would believe the name


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except PasswordError:
        raise BadTable(LOCKED) from None
    except (CalamineError, OSError, ValueError) as error:
        raise BadTable(f"{what} cannot be read ({str(error)[:120]}). Save it again as XLSX or CSV.") from None
