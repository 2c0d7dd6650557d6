"""CSV and TSV: encoding and separator found out, rows as they stand, never more than a chunk in memory."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from campana.sources.forms import CHUNK, CHUNK_BYTES, BadTable, Limits

BLOCK = 1 << 20
SAMPLE = 1 << 16
LINE = BLOCK  # characters; a longer one is no line of a table
STEP = 100  # rows read before the size of a chunk is looked at
SEPARATORS = (",", ";", "\t", "|")
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NOT_IN_1252 = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])


def fingerprint(path: Path) -> str:
    """The same for the same content, whatever the file is called."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encoding_of(path: Path, told: str | None) -> str:
    """The encoding in which the whole file is text; raises BadTable when there is none."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    if told is not None:
        name = _known(told)
        if not _decodes(path, name):
            raise BadTable(f"The file is not written in {told}. Leave the encoding away to have it found out.")
        return "utf-8-sig" if name == "utf-8" else name  # a mark at the beginning is never part of the first name
    guess = next((name for mark, name in MARKS if head.startswith(mark)), None) or _wide(head) or "utf-8"
    if _decodes(path, guess):
        return guess
    if guess != "utf-8":
        raise BadTable(f"The file begins as {guess} text and then breaks off. Save it again as CSV UTF-8.")
    found = "latin-1" if _has_bytes(path, NOT_IN_1252) else "cp1252"
    _decodes(path, found)
    return found


def _known(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # refuses what is no encoding of text
        return name
    except LookupError:
        raise BadTable(f"There is no encoding '{encoding}'. Write for example utf-8, utf-16 or cp1252.") from None


def _wide(head: bytes) -> str | None:
    """UTF-16 without its mark: every other byte of Latin text is 0."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < len(head) // 6:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _decodes(path: Path, encoding: str) -> bool:
    """Whether the whole file is text in that encoding. Also refuses what is no text, and lines without end."""
    since = 0
    try:
        with path.open(encoding=encoding, newline="") as file:
            while block := file.read(BLOCK):
                if "\0" in block:
                    raise BadTable("The file has NUL bytes in it, so it is no text table, or a damaged one. Export it again.")
                first = min((at for at in (block.find("\n"), block.find("\r")) if at >= 0), default=len(block))
                if since + first > LINE:
                    raise BadTable("The file has a line without end. Check that it is a table with one person in each line.")
                last = max(block.rfind("\n"), block.rfind("\r"))
                since = since + len(block) if last < 0 else len(block) - last
    except UnicodeError:
        return False
    return True


def _has_bytes(path: Path, wanted: bytes) -> bool:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if len(block.translate(None, wanted)) < len(block):
                return True
    return False


def sample_of(path: Path, encoding: str) -> str:
    """The beginning of the text, ending with a whole line."""
    with path.open(encoding=encoding, newline="") as file:
        text = file.read(SAMPLE)
        return text + file.readline(SAMPLE)


def separator_of(sample: str) -> str:
    """The separator with which most lines have as many cells as the first one."""
    first_line, _, _ = sample.partition("\n")
    if first_line.strip()[:4].lower() == "sep=" and len(first_line.strip()) == 5:
        return first_line.strip()[4]
    scores = [(_evenness(sample, separator), separator) for separator in SEPARATORS]
    best, found = max(scores, key=lambda score: score[0])
    return found if best > (0.0, 0) else ","


def _evenness(sample: str, separator: str) -> tuple[float, int]:
    """Share of rows as wide as the header, and that width; nothing for a single column."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    try:
        widths = [len(row) for row in islice(reader, 200) if any(cell.strip() for cell in row)]
    except csv.Error:
        return 0.0, 0
    if not widths or widths[0] < 2:
        return 0.0, 0
    return Counter(widths)[widths[0]] / len(widths), widths[0]


def read(
    path: Path, encoding: str, separator: str, limits: Limits, passed: Callable[[float], object] = lambda share: None
) -> Iterator[list[list[str]]]:
    """All rows of the file in chunks, fewer in one where they are long, the header among them; blank lines are empty rows.
    `passed` is told before each chunk what share of the file has been read."""
    size = path.stat().st_size
    with path.open("rb") as binary, io.TextIOWrapper(binary, encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        done = 0
        while chunk := _chunk(reader, binary, limits):
            done += len(chunk)
            if done > limits.rows + CHUNK:
                raise BadTable(f"The file has more than {limits.rows:,} rows. Split it into several.")
            passed(binary.tell() / size)
            yield chunk


def _chunk(reader: Any, file: IO[bytes], limits: Limits) -> list[list[str]]:
    """The next rows: a chunk of them, or as many as some megabytes of the file hold."""
    chunk: list[list[str]] = []
    begun = file.tell()
    before = csv.field_size_limit(limits.cell)
    try:
        while len(chunk) < CHUNK and file.tell() - begun < CHUNK_BYTES and (rows := list(islice(reader, STEP))):
            chunk += rows
    except csv.Error as error:
        raise BadTable(_broken(str(error), reader.line_num, limits)) from None
    finally:
        csv.field_size_limit(before)
    return chunk


def _broken(words: str, line: int, limits: Limits) -> str:
    if "limit" in words:
        return f"Line {line} has a cell of more than {limits.cell:,} characters. Shorten it, or close a quote that is left open."
    if "end of data" in words:
        return f'A quote (") is opened and never closed: the file ends in line {line} within a cell. Close it.'
    return f'Line {line} has a quote (") inside a cell. Write it twice (""), or leave it away.'
