"""Large exports are written by a process of their own, so that a million rows keep nobody else waiting.

The process gets a Job on stdin and hands over frames (kind, length, body) on stdout: pieces of the file (`B`), reasons that it
has no words for yet (`W`, answered on stdin), the end (`E`). It only reads the store, a page at a time; a reader who is slow
holds no transaction open.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import IO

import msgspec

import campana
from campana.core.ids import Id
from campana.engine.report import Words, head, run_csv, told
from campana.store import campaigns, exports
from campana.store.campaigns import RunRow
from campana.store.database import Database

SMALL = 2_000  # rows that are written without another process
AT_ONCE = 2  # large exports of one process; the others wait their turn
PAGE = 5_000
FRAME = struct.Struct(">cI")
LENGTH = struct.Struct(">I")
TOLD = 50_000  # reasons whose words are kept
CRASHED = "The export ended before its end, for a reason that stands in the log. Try it again."


class Job(msgspec.Struct, frozen=True):
    """What is to be written, and in whose words."""

    database: str
    run_id: Id
    audience_id: Id
    columns: list[str]
    outcomes: list[int]
    outcome_words: dict[str, str]
    left_out: str
    reasons: dict[str, str]


class BrokenExport(RuntimeError):
    """The process that writes is gone. The file ends too early, which the connection says."""


class Exports:
    """The exports of one process. `database` is where another process finds the store."""

    def __init__(self, db: Database, database: str, small: int = SMALL) -> None:
        self.db, self.database, self.small = db, database, small
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def audience(self, campaign_id: Id, words: Words, outcomes: Collection[int] = ()) -> AsyncIterator[bytes]:
        """The audience of a campaign's latest run: its own columns in their order, then outcome and reason. Piece by piece."""
        run = await self.db.read(campaigns.latest_run, campaign_id)
        if run is None:
            return
        if run.audience_id is None or await self.db.read(exports.rows_of, run.audience_id) <= self.small:
            pieces = run_csv(self.db, run, words, outcomes)
        else:
            pieces = self._elsewhere(run, words, outcomes)
        async with contextlib.aclosing(pieces):  # type: ignore[type-var]  # both are generators
            async for piece in pieces:
                yield piece

    async def _elsewhere(self, run: RunRow, words: Words, outcomes: Collection[int]) -> AsyncIterator[bytes]:
        columns = msgspec.json.decode(run.columns, type=list[str])
        place = (self.database, run.id, run.audience_id or b"", columns, list(outcomes))
        job = Job(*place, dict(words.outcomes), words.left_out, dict(words.reasons))
        async with self._turns:
            process = await _start()
            try:
                async for piece in _pieces(process, job, words):
                    yield piece
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


async def _start() -> Process:
    home = str(Path(campana.__file__).parent.parent)
    path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
    command = (sys.executable, "-m", "campana.engine.exporting")
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env={**os.environ, "PYTHONPATH": path})


async def _pieces(process: Process, job: Job, words: Words) -> AsyncIterator[bytes]:
    """What the process hands over, up to its end. Its questions are answered on the way."""
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101 - so is it
    try:
        await _say(process, msgspec.msgpack.encode(job))
        while True:
            kind, length = FRAME.unpack(await process.stdout.readexactly(FRAME.size))
            body = await process.stdout.readexactly(length)
            if kind == b"E":
                return
            if kind == b"B":
                yield body
            else:
                asked = msgspec.msgpack.decode(body, type=list[str])
                await _say(process, msgspec.msgpack.encode([words.reason(one) for one in asked]))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise BrokenExport(CRASHED) from error


async def _say(process: Process, body: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    process.stdin.write(LENGTH.pack(len(body)) + body)
    await process.stdin.drain()


# --- in the other process ---------------------------------------------------------------------------------------------------


class Asking:
    """The words of reasons, as whoever wants the file says them."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self.source, self.sink = source, sink
        self.known: dict[str, str] = {}

    def learn(self, reasons: Collection[str]) -> None:
        """All of these have words afterwards."""
        if len(self.known) > TOLD:
            self.known.clear()
        wanted = [one for one in dict.fromkeys(reasons) if one and one not in self.known]
        if wanted:
            hand_over(self.sink, b"W", msgspec.msgpack.encode(wanted))
            self.known.update(zip(wanted, msgspec.msgpack.decode(hear(self.source), type=list[str]), strict=True))


def pieces(job: Job, asking: Asking) -> Iterator[bytes]:
    """The file in pieces."""
    words = Words(job.outcome_words, job.left_out, job.reasons, asking.known.__getitem__)
    yield head(job.columns)
    for found in exports.pages(job.database, job.run_id, job.audience_id, PAGE, job.outcomes):
        asking.learn([line.reason for line in found if line.outcome is not None])
        yield told(found, words)


def hear(source: IO[bytes]) -> bytes:
    """What whoever wants the file says; raises EOFError when they are gone."""
    size = source.read(LENGTH.size)
    if len(size) < LENGTH.size:
        raise EOFError
    return source.read(LENGTH.unpack(size)[0])


def hand_over(sink: IO[bytes], kind: bytes, body: bytes = b"") -> None:
    """One frame."""
    sink.write(FRAME.pack(kind, len(body)))
    sink.write(body)
    sink.flush()


def main(source: IO[bytes], sink: IO[bytes]) -> None:
    """Does one job."""
    gc.disable()  # rows form no cycles, and there are millions of them
    job = msgspec.msgpack.decode(hear(source), type=Job)
    for piece in pieces(job, Asking(source, sink)):
        hand_over(sink, b"B", piece)
    hand_over(sink, b"E")


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # whatever a library prints goes to stderr, never between the frames
        try:
            main(sys.stdin.buffer, out)
        except (BrokenPipeError, EOFError):  # nobody listens any more
            os._exit(1)
