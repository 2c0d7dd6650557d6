"""The process that reads a table: a Job on stdin, frames (kind, length, body) on stdout. It touches nothing else."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from campana.core.audience import BadAudience, CheckedRow, Checker, resolve_columns
from campana.core.campaign import AudienceSpec
from campana.sources.forms import CHUNK_BYTES, BadTable, Limits, TableOptions
from campana.sources.table import LENGTH, Job, LoadedRow, Opened, Reached, TableInfo, inspect, rows

ENCODE = msgspec.msgpack.Encoder().encode
JSON = msgspec.json.Encoder().encode
FIRST = 500
NO_HEADER = " The first row looks like a person: put the names of the columns above it, or say which column is which."


def work(job: Job) -> Iterator[tuple[bytes, bytes]]:
    """All frames of one job."""
    info = inspect(Path(os.fsdecode(job.path)), job.options)
    if job.spec is None:
        yield b"O", ENCODE(Opened(info, None))
        return
    spec = AudienceSpec.model_validate(job.spec)
    kept = [at for at, name in enumerate(info.header) if name not in job.options.ignored]
    try:
        columns = resolve_columns(_names(info, kept, job.options), spec, job.needs)
    except BadAudience as error:
        yield b"O", ENCODE(Opened(info, None))  # so that people can say what is what
        raise BadAudience(str(error) + ("" if info.has_header else NO_HEADER)) from None
    yield b"O", ENCODE(Opened(info, columns))
    checker = Checker(columns, spec, job.needs)
    shares = [0.0]
    for loaded in _checked(info, Path(os.fsdecode(job.path)), checker, kept, shares):
        yield b"R", ENCODE(loaded)
        if job.reached:
            yield b"P", ENCODE(Reached(shares[-1], checker.summary()))
    yield b"S", ENCODE(checker.summary())


def _names(info: TableInfo, kept: Sequence[int], options: TableOptions) -> list[str]:
    return [options.renamed.get(name, name) for name in (info.header[at] for at in kept)]


def _checked(
    info: TableInfo, path: Path, checker: Checker, kept: Sequence[int], shares: list[float]
) -> Iterator[list[LoadedRow]]:
    """Numbers count from 1 below the header; blank rows have a number but are nobody. The first few are handed over at once:
    somebody waits to see what is wrong with them."""
    number, check, width = 0, checker.check, len(info.header)
    whole = len(kept) == width
    for chunk in rows(path, info, shares.append):
        del shares[:-1]
        loaded: list[LoadedRow] = []
        size = 0
        for read in chunk:
            number += 1
            raw = read if whole else [read[at] for at in kept if at < len(read)] + read[width:]
            if any(raw) and not "".join(raw).isspace():
                row = _stored(check(number, raw))
                loaded.append(row)
                size += len(row["cells"])
                if size > CHUNK_BYTES or number == FIRST:
                    yield loaded
                    loaded, size = [], 0
        if loaded:
            yield loaded


def _stored(row: CheckedRow) -> LoadedRow:
    return {
        "number": row.number,
        "cells": JSON(row.raw).decode(),
        "phone": row.phone,
        "email": row.email,
        "issues": JSON(row.issues).decode() if row.issues else None,
        "left_out": row.reason,
        "flag": row.flag if row.issues else None,
    }


def main(source: IO[bytes], sink: IO[bytes]) -> None:
    """Does one job; a refusal is a frame as well."""
    gc.disable()  # rows form no cycles, and there are millions of them
    job = msgspec.msgpack.decode(source.read(), type=Job)
    _bound(job.options.limits)
    try:
        for kind, body in work(job):
            _hand_over(sink, kind, body)
    except BadTable as error:
        _hand_over(sink, b"T", str(error).encode())
    except BadAudience as error:
        _hand_over(sink, b"A", str(error).encode())


def _hand_over(sink: IO[bytes], kind: bytes, body: bytes) -> None:
    sink.write(LENGTH.pack(kind, len(body)))
    sink.write(body)
    sink.flush()


def _bound(limits: Limits) -> None:
    """A file that wants the machine's memory or its time ends this process, not the machine. Not every system can bound it."""
    if sys.platform == "win32":
        return
    import resource

    for kind, most in ((resource.RLIMIT_AS, limits.memory_bytes), (resource.RLIMIT_CPU, limits.cpu_seconds)):
        _, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY or most < hard:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, hard))


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # whatever a library prints goes to stderr, never between the frames
        try:
            main(sys.stdin.buffer, out)
        except BrokenPipeError:  # nobody listens any more
            os._exit(1)
