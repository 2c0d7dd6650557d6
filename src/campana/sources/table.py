"""Tables of people: CSV, TSV, XLS, XLSX, ODS, known by their content. `load_checked` is for servers: it reads in a process of
its own, so that no file, however broken, harms the one that serves. `inspect` and `rows` read right here."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import IO, TypedDict

import msgspec

import campana
from campana.core.audience import BadAudience, Columns, Need, Summary
from campana.core.campaign import AudienceSpec
from campana.sources import delimited, workbook
from campana.sources.forms import CHUNK_BYTES, BadTable, Format, TableInfo, TableOptions

__all__ = [
    "BadTable",
    "LoadedRow",
    "Opened",
    "Reached",
    "Reader",
    "TableInfo",
    "TableOptions",
    "fingerprint",
    "inspect",
    "load_checked",
    "look",
    "rows",
]

SHOWN = 20
ADDRESS = re.compile(r"\S+@\S+\.\S+|\+?\d[\d ().-]{6,}\d")
CRASHED = "The file could not be read: it is damaged or needs too much memory. Save the sheet with the people as CSV."
LENGTH = struct.Struct(">cI")  # of a frame: its kind and how long its body is
LARGEST = 16 * CHUNK_BYTES  # no honest frame is longer
fingerprint = delimited.fingerprint


class LoadedRow(TypedDict):
    """A checked row as the store keeps it: `cells` is a JSON list, `issues` one of core.audience.Issue, or None."""

    number: int
    cells: str
    phone: str | None
    email: str | None
    issues: str | None
    left_out: str | None
    flag: str | None


class Opened(msgspec.Struct, frozen=True):
    """What is known before the first row: how the file is read and which column is what."""

    info: TableInfo
    columns: Columns | None  # None when only looked at, or when it cannot be told: a refusal follows then


class Reached(msgspec.Struct, frozen=True):
    """How far the reading is: the share of the file, and the figures of the rows so far."""

    share: float
    summary: Summary


class Job(msgspec.Struct, frozen=True):
    """What the reading process is asked to do. `spec` None: look only."""

    path: bytes
    options: TableOptions
    spec: dict[str, str | None] | None
    needs: list[Need]
    reached: bool = False  # tell after each chunk how far it is


def inspect(path: Path, options: TableOptions | None = None) -> TableInfo:
    """How the file is read, and its first rows; raises BadTable with a sentence when it cannot be."""
    options = options or TableOptions()
    _refuse_size(path, options)
    form = workbook.format_of(path, options.limits)
    if form is not None:
        sheet, others = workbook.choose_sheet(path, options.sheet)
        top = next(workbook.read(path, sheet, options.limits), [])
        return _told(form, path, options, top, sheet=sheet, other_sheets=others)
    encoding = delimited.encoding_of(path, options.encoding)
    separator = options.separator or delimited.separator_of(delimited.sample_of(path, encoding))
    if len(separator) != 1 or separator in '"\r\n':
        raise BadTable(f"The separator {separator!r} cannot be used. Write one sign, as ; or a tab.")
    top = next(delimited.read(path, encoding, separator, options.limits), [])
    return _told("tsv" if separator == "\t" else "csv", path, options, top, encoding=encoding, separator=separator)


def _refuse_size(path: Path, options: TableOptions) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise BadTable(f"The file {path} cannot be opened ({error.strerror}). Check its name and that it may be read.") from None
    if not size:
        raise BadTable("The file is empty. It needs a header with the names of the columns, and people below it.")
    if size > options.limits.file_bytes:
        raise BadTable(f"The file has {size:,} bytes; {options.limits.file_bytes:,} are possible. Split it into several.")


def _told(
    form: Format,
    path: Path,
    options: TableOptions,
    top: list[list[str]],
    *,
    encoding: str | None = None,
    separator: str | None = None,
    sheet: str | None = None,
    other_sheets: Sequence[str] = (),
) -> TableInfo:
    """Finds the header among the first rows: below a `sep=;` line and blank lines, unless that row is a person already."""
    at = 0
    while at < len(top) and (_blank(top[at]) or (at == 0 and separator and _is_separator_line(top[at], separator))):
        at += 1
    if at == len(top):
        raise BadTable("The file is empty: it has no row with anything in it. It needs a header, and people below it.")
    first = _trimmed(top[at])
    has_header = options.header if options.header is not None else not any(ADDRESS.fullmatch(cell.strip()) for cell in first)
    header = first if has_header else [f"Column {number}" for number in range(1, len(first) + 1)]
    if len(header) > options.limits.columns:
        raise BadTable(f"The file has {len(header)} columns; {options.limits.columns} are possible. Remove what no message uses.")
    skipped = at + 1 if has_header else at
    sample = [row for row in top[skipped:] if not _blank(row)][:SHOWN]
    return TableInfo(
        form,
        header,
        has_header,
        sample,
        fingerprint(path),
        encoding,
        separator,
        sheet,
        list(other_sheets),
        skipped,
        options.limits,
    )


def _blank(row: Sequence[str]) -> bool:
    return not any(cell.strip() for cell in row)


def _is_separator_line(row: Sequence[str], separator: str) -> bool:
    return separator.join(row).strip().lower() == f"sep={separator}"


def _trimmed(row: list[str]) -> list[str]:
    """Without the blank cells at the end, which trailing separators leave behind."""
    end = len(row)
    while end and not row[end - 1].strip():
        end -= 1
    return row[:end]


def rows(path: Path, info: TableInfo, passed: Callable[[float], object] = lambda share: None) -> Iterator[list[list[str]]]:
    """The rows below the header in chunks, as they stand: blank ones too, so that positions are those of the file."""
    if info.sheet is not None:
        chunks = workbook.read(path, info.sheet, info.limits, passed)
    else:
        chunks = delimited.read(path, info.encoding or "utf-8", info.separator or ",", info.limits, passed)
    skipped, done = info.skipped, 0
    for chunk in chunks:
        kept = chunk[skipped:] if skipped else chunk
        skipped = max(0, skipped - len(chunk))
        done += len(kept)
        if done > info.limits.rows:
            raise BadTable(f"The file has more than {info.limits.rows:,} rows. Split it into several.")
        if kept:
            yield kept


def look(path: Path, options: TableOptions | None = None) -> TableInfo:
    """As `inspect`, in a process of its own."""
    for part in _read_elsewhere(Job(os.fsencode(path), options or TableOptions(), None, [])):
        if isinstance(part, Opened):
            return part.info
    raise AssertionError("the reading process always opens first")


Part = Opened | list[LoadedRow] | Reached | Summary


def load_checked(
    path: Path,
    spec: AudienceSpec,
    options: TableOptions | None = None,
    needs: Sequence[Need] = (),
    reached: bool = False,
    reader: Reader | None = None,
) -> Generator[Part, None, None]:
    """First an Opened, then rows in chunks (each followed by a Reached when asked for), at last the Summary. Read and checked in
    a process of its own, which never runs ahead by more than a chunk and ends when this iterator is closed. Raises BadAudience
    (or BadTable) with a sentence."""
    job = Job(os.fsencode(path), options or TableOptions(), spec.model_dump(), list(needs), reached)
    return _read_elsewhere(job, reader)


class Reader:
    """A process that reads one table. It takes a moment to get ready, which may be while the file is still on its way."""

    def __init__(self) -> None:
        home = str(Path(campana.__file__).parent.parent)
        path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "campana.sources.reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env={**os.environ, "PYTHONPATH": path},
        )

    def parts(self, job: Job) -> Iterator[Part]:
        """All parts of its one job."""
        process = self._process
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        assert process.stdout is not None  # noqa: S101 - so is it
        try:
            process.stdin.write(msgspec.msgpack.encode(job))
            process.stdin.close()
            yield from _parts(process.stdout)
        except (EOFError, BrokenPipeError):
            self._complaints.seek(0)
            raise BadTable(CRASHED) from RuntimeError(self._complaints.read().decode(errors="replace")[-2000:])

    def stop(self) -> None:
        """The process is gone, whatever it was doing. A second time changes nothing."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._complaints):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # what was not handed over is not wanted any more
                    pipe.close()
        self._process.wait()


def _read_elsewhere(job: Job, reader: Reader | None = None) -> Generator[Part, None, None]:
    reader = reader or Reader()
    try:
        yield from reader.parts(job)
    finally:
        reader.stop()


def _parts(pipe: IO[bytes]) -> Iterator[Part]:
    """The parts the reading process hands over, up to and with the last one; EOFError when it ends before that."""
    decode_rows = msgspec.msgpack.Decoder(list[LoadedRow]).decode
    while len(head := pipe.read(LENGTH.size)) == LENGTH.size:
        kind, length = LENGTH.unpack(head)
        body = pipe.read(length) if length <= LARGEST else b""
        if len(body) < length:
            raise EOFError
        if kind == b"R":
            yield decode_rows(body)
        elif kind == b"O":
            yield msgspec.msgpack.decode(body, type=Opened)
        elif kind == b"P":
            yield msgspec.msgpack.decode(body, type=Reached)
        elif kind == b"S":
            yield msgspec.msgpack.decode(body, type=Summary)
            return
        elif kind == b"T":
            raise BadTable(body.decode())
        elif kind == b"A":
            raise BadAudience(body.decode())
    raise EOFError
