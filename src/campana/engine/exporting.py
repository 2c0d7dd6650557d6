"""Large exports are written by a process of their own, so that a million rows keep nobody else waiting.

The process gets a Job on stdin and hands over frames (kind, length, body) on stdout: pieces of the file (`B`), reasons that it
has no words for yet (`W`, answered on stdin), the end (`E`). It only reads the store, a page at a time; a reader who is slow
holds no transaction open, and one who stands still gives up the turn to others.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator
from functools import partial
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
AT_ONCE = 4  # large exports of one process; the others wait their turn
OF_A_WORKSPACE = 2  # of these
TURN_SECONDS = 30.0  # that somebody waits for a turn
STILL_SECONDS = 60.0  # that a reader may take for one bite
BITE = 64 * 1024  # a slow line takes this many bytes in good time
PAGE = 5_000
FRAME = struct.Struct(">cI")
LENGTH = struct.Struct(">I")
TOLD = 50_000  # reasons whose words are kept
CRASHED = "The export ended before its end, for a reason that stands in the log. Try it again."
STOOD_STILL = "Nobody read the export for a minute, so it was ended. Try it again."
BUSY = "Other large files are being written just now. Try it again when one of them is done."


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


class Busy(RuntimeError):
    """Other large files are being written. Try it again when one of them is done."""


class Turns:
    """How many large exports are written at once: so many of all, fewer of one workspace, so that none keeps out the others."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(AT_ONCE)
        self._of: dict[Id, asyncio.Semaphore] = defaultdict(partial(asyncio.Semaphore, OF_A_WORKSPACE))

    async def take(self, workspace_id: Id) -> Turn:
        """A turn of that workspace, when there is one soon. Raises Busy."""
        turn = Turn()
        try:
            async with asyncio.timeout(TURN_SECONDS):
                for one in (self._of[workspace_id], self._all):
                    await one.acquire()
                    turn.held.append(one)
        except TimeoutError:
            turn.give_back()
            raise Busy(BUSY) from None
        except BaseException:
            turn.give_back()
            raise
        return turn


class Turn:
    """A place among the exports. It may be given back twice."""

    def __init__(self) -> None:
        self.held: list[asyncio.Semaphore] = []

    def give_back(self) -> None:
        """Others may have it."""
        while self.held:
            self.held.pop().release()


class Writing:
    """The process that writes one file, as long as somebody reads it."""

    def __init__(self, turn: Turn, process: Process) -> None:
        self.turn, self.process = turn, process
        self.stood_still = False

    def stop(self) -> None:
        """Its reader stands still: others have the turn, and the process is gone."""
        self.stood_still = True
        self.turn.give_back()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def bites(self, piece: bytes) -> AsyncIterator[bytes]:
        """A piece, in parts that a slow reader takes in time. Raises BrokenExport when one was not taken."""
        for at in range(0, len(piece), BITE):
            patience = asyncio.get_running_loop().call_later(STILL_SECONDS, self.stop)
            try:
                yield piece[at : at + BITE]
            finally:
                patience.cancel()
            if self.stood_still:
                raise BrokenExport(STOOD_STILL)


class Exports:
    """The exports of one process. `database` is where another process finds the store."""

    def __init__(self, db: Database, database: str, small: int = SMALL) -> None:
        self.db, self.database, self.small = db, database, small
        self._turns = Turns()
        self._ends = set[asyncio.Task[None]]()

    async def audience(self, campaign_id: Id, words: Words, outcomes: Collection[int] = ()) -> AsyncIterator[bytes]:
        """The audience of a campaign's latest run: its own columns in their order, then outcome and reason. Piece by piece.
        Raises Busy before the first one."""
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
        turn = await self._turns.take(run.workspace_id)
        try:
            writing = Writing(turn, await _start())
            try:
                async for piece in _pieces(writing.process, job, words):
                    async with contextlib.aclosing(writing.bites(piece)) as bites:  # type: ignore[type-var]  # a generator
                        async for bite in bites:
                            yield bite
            finally:
                await self._end(writing.process)
        finally:
            turn.give_back()

    async def _end(self, process: Process) -> None:
        """The process ends, even when whoever waits for that is told again and again not to."""
        task = asyncio.create_task(_end(process))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)
        await asyncio.shield(task)


async def _start() -> Process:
    home = str(Path(campana.__file__).parent.parent)
    path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
    command = (sys.executable, "-m", "campana.engine.exporting")
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env={**os.environ, "PYTHONPATH": path})


async def _end(process: Process) -> None:
    """The process is gone and nothing is left in its pipe: a full one would hide its end from us."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(ConnectionError):
        while await process.stdout.read(BITE):
            pass
    await process.wait()


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
