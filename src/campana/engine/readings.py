"""Reading files for drafts: each in a process of its own, as a job that a page follows, into an audience that replaces the one
before when all of it is there."""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace
from sqlalchemy import Connection

from campana.bus.tasks import end_all
from campana.core.audience import BadAudience, Summary
from campana.core.campaign import AudienceSpec
from campana.core.ids import Id, new_id
from campana.core.reading import Attempt, Found, Reading, Told
from campana.engine.house import House
from campana.engine.load import close, discard_audience, discard_upload, store_rows
from campana.sources.forms import Limits, TableOptions
from campana.sources.table import Opened, Reached, Reader, load_checked
from campana.store import audiences, jobs, uploads
from campana.store.database import Priority
from campana.store.workbench import IMPORT

PREFIX = "reading-"  # of a file in the folder
AT_ONCE = 2  # files read at a time by one process; the others wait their turn
PIECES = 4  # of a file in one transaction
OLD_SECONDS = 86_400.0  # nobody reads a file for so long
SAMPLE = 5  # rows that are shown
BEAT = jobs.BEAT / 1_000_000
TOO_LARGE = "The file is larger than the {most:,} bytes that are possible here. Split it into several."
OUR_FAULT = "The file was not read to its end, for a reason of ours that stands in the log. Read it again."

log = structlog.get_logger("campana.readings")


class NotADraft(ValueError):
    """There is no such campaign, or it was launched: its people are those it was launched with."""


@dataclass(frozen=True)
class Place:
    """Whose audience it is."""

    workspace_id: Id
    campaign_id: Id


@dataclass(frozen=True)
class Work:
    """One reading: the place, its job, and the audience that it fills."""

    at: Place
    job_id: Id
    audience_id: Id
    upload_id: Id
    attempt: Attempt
    before: Id | None = None  # an audience that had to make room at once


Note = Callable[[Connection], None]  # writes into the audit log, in the transaction of the change


class Readings:
    """The readings of one process. Files lie in `folder` while they are read; `limits` says how large they may be."""

    def __init__(self, house: House, folder: Path, limits: Limits | None = None) -> None:
        self.house, self.folder, self.limits = house, folder, limits or Limits()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._paths: set[Path] = set()
        self._readers: set[Reader] = set()  # that were made ready for a file

    def forget_others(self, everything: bool = False) -> None:
        """The files that a killed process left in the folder are gone: those a day old, or all when no other process is there."""
        before = math.inf if everything else time.time() - OLD_SECONDS
        for path in self.folder.glob(f"{PREFIX}*"):
            with contextlib.suppress(FileNotFoundError):  # another process is at it
                if path not in self._paths and path.stat().st_mtime < before:
                    path.unlink()

    async def close(self) -> None:
        """Ends what goes on; it can be begun again."""
        await end_all(self._tasks)
        for path in list(self._paths):
            self._remove(path)
        for reader in list(self._readers):
            self._stop(reader)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work that goes on when whoever asked for it is gone."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- what people ask for ------------------------------------------------------------------------------------------------

    async def upload(
        self, at: Place, name: str, pieces: AsyncIterator[bytes], told: Told, spec: AudienceSpec, note: Note
    ) -> asyncio.Task[None]:
        """Keeps a file and begins to read it. Raises BadAudience when it is too large, NotADraft when there is none."""
        path, upload_id, reader = self._path(), new_id(self.house.clock.now()), await self._ready()
        try:
            await self._keep(path, upload_id, pieces)
            work = await self.house.db.run(self._begin, at, name, upload_id, told, spec, note)
        except BaseException:
            self._remove(path)
            self._stop(reader)
            await discard_upload(self.house, upload_id)
            raise
        return self.spawn(self._read(work, path, reader))

    async def again(self, at: Place, told: Told, spec: AudienceSpec, note: Note) -> asyncio.Task[None]:
        """Begins to read the draft's file again, in another way. Raises BadAudience when there is no file to read."""
        work = await self.house.db.run(self._begin, at, None, None, told, spec, note)
        return self.spawn(self._read(work, None))

    def _begin(
        self, c: Connection, at: Place, name: str | None, upload_id: Id | None, told: Told, spec: AudienceSpec, note: Note
    ) -> Work:
        """A new audience and the job that fills it. An audience that is whole stays until this one is; another makes room."""
        now = self.house.clock.now()
        known, current_id = audiences.of_draft(c, at.workspace_id, at.campaign_id, lock=True)
        if not known:
            raise NotADraft("This campaign was launched, or is gone: its people are those it was launched with.")
        current = audiences.load(c, at.workspace_id, current_id)
        upload_id = upload_id or (current.upload_id if current else None)
        if upload_id is None:
            raise BadAudience("There is no file to read again. Upload it.")
        name = name or (current.file_name if current else "")
        audience_id = new_id(now)
        spec_json = spec.model_dump_json()
        audiences.create(c, audience_id, at.workspace_id, name, "", "[]", now, spec_json, upload_id)
        attempt = Attempt(audience_id.hex(), told, spec.model_dump())
        job_id = jobs.start(c, at.workspace_id, IMPORT, at.campaign_id, now, _json(attempt))
        makes_room = current is None or not current.loaded
        if makes_room:
            audiences.give(c, at.campaign_id, audience_id)
        note(c)
        return Work(at, job_id, audience_id, upload_id, attempt, current_id if makes_room else None)

    # --- the file -----------------------------------------------------------------------------------------------------------

    def _path(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=PREFIX, delete=False) as file:
            self._paths.add(Path(file.name))
            return Path(file.name)

    async def _ready(self) -> Reader | None:
        """What reads the file gets ready while the file comes in, unless others are read before it."""
        if self._turns.locked():
            return None
        reader = await asyncio.to_thread(Reader)
        self._readers.add(reader)
        return reader

    def _stop(self, reader: Reader | None) -> None:
        if reader is not None:
            reader.stop()
            self._readers.discard(reader)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._paths.discard(path)

    async def _keep(self, path: Path, upload_id: Id, pieces: AsyncIterator[bytes]) -> None:
        """Writes the file into the store, and beside it into the folder, where the reading process finds it."""
        number = size = 0
        waiting: list[bytes] = []
        with path.open("wb") as file:
            async for piece in pieces:
                size += len(piece)
                if size > self.limits.file_bytes:
                    raise BadAudience(TOO_LARGE.format(most=self.limits.file_bytes))
                waiting.append(piece)
                if len(waiting) == PIECES:
                    await self._store(file.write, upload_id, number, waiting)
                    number, waiting = number + len(waiting), []
            await self._store(file.write, upload_id, number, waiting)

    async def _store(self, write: Callable[[bytes], object], upload_id: Id, number: int, pieces: list[bytes]) -> None:
        await asyncio.to_thread(write, b"".join(pieces))
        await self.house.db.run(uploads.add, upload_id, number, pieces)

    async def _fetch(self, upload_id: Id) -> Path:
        """The file out of the store, to be read again."""
        path, number = self._path(), 0
        with path.open("wb") as file:
            while pieces := await self.house.db.read(uploads.pieces, upload_id, number, PIECES):
                await asyncio.to_thread(file.write, b"".join(pieces))
                number += len(pieces)
        return path

    # --- the reading --------------------------------------------------------------------------------------------------------

    async def _read(self, work: Work, path: Path | None, reader: Reader | None = None) -> None:
        """Reads to the end, or says in the job why not."""
        beating = asyncio.create_task(self._beat(work.job_id))
        try:
            async with self._turns:
                path = path or await self._fetch(work.upload_id)
                await self._fill(work, path, reader)
        except BadAudience as error:
            await self._fail(work, str(error))
        except Exception:
            log.exception("a file was not read to its end", audience=work.audience_id.hex())
            await self._fail(work, OUR_FAULT)
        finally:
            beating.cancel()
            if path is not None:
                self._remove(path)
            self._stop(reader)
        if work.before is not None:
            await self._forget(work.before)

    async def _beat(self, job_id: Id) -> None:
        while True:
            await asyncio.sleep(BEAT)
            with contextlib.suppress(Exception):  # the next one tries again
                await self.house.db.run(jobs.beat, job_id, None, None, self.house.clock.now())

    async def _fill(self, work: Work, path: Path, reader: Reader | None) -> None:
        told, db = work.attempt.told, self.house.db
        options = TableOptions(
            told.encoding, told.separator, told.header, told.sheet, self.limits, told.ignored, dict(told.renamed)
        )
        parts = load_checked(path, AudienceSpec.model_validate(work.attempt.spec), options, reached=True, reader=reader)
        try:
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                if isinstance(part, Opened):
                    await db.at(Priority.LOAD, _opened, work, part)
                elif isinstance(part, Summary):
                    await self._replace(work, part)
                elif isinstance(part, Reached):
                    if not await db.at(Priority.LOAD, _reached, work, part, self.house.clock.now()):
                        await self._forget(work.audience_id)  # another file is read instead
                        return
                else:
                    await store_rows(self.house, work.audience_id, part)
        finally:
            await asyncio.to_thread(close, parts)

    async def _replace(self, work: Work, summary: Summary) -> None:
        old = await self.house.db.run(_finish, work, summary, self.house.clock.now())
        if old is not None:
            await self._forget(old)

    async def _fail(self, work: Work, sentence: str) -> None:
        """The draft keeps the audience it had; one that had none shows why this one cannot be read."""
        if not await self.house.db.run(_fail, work, sentence, self.house.clock.now()):
            await self._forget(work.audience_id)

    async def _forget(self, audience_id: Id) -> None:
        """Removes an audience, unless somebody has it."""
        if await self.house.db.run(audiences.let_go, audience_id):
            await discard_audience(self.house, audience_id)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _opened(c: Connection, work: Work, part: Opened) -> None:
    info = part.info
    sample = tuple(tuple(cell[:200] for cell in row) for row in info.sample[:SAMPLE])
    found = Found(
        info.format,
        tuple(info.header),
        info.has_header,
        sample,
        info.encoding,
        info.separator,
        info.sheet,
        tuple(info.other_sheets),
    )
    names = part.columns.names if part.columns else ()
    audiences.opened(c, work.audience_id, info.fingerprint, names, Reading(work.attempt.told, found))
    jobs.note(c, work.job_id, _json(replace(work.attempt, found=found)))


def _newest(c: Connection, work: Work) -> bool:
    """Whether nobody began another reading for the draft, which is one still."""
    newest = jobs.latest(c, work.at.campaign_id, IMPORT)
    return newest is not None and newest.id == work.job_id


def _reached(c: Connection, work: Work, part: Reached, now: int) -> bool:
    audiences.count(c, work.audience_id, part.summary)
    rows = part.summary.rows
    jobs.beat(c, work.job_id, rows, round(rows / part.share) if part.share else None, now)
    return _newest(c, work)


def _finish(c: Connection, work: Work, summary: Summary, now: int) -> Id | None:
    """The draft has the new audience. Returns the one that nobody needs any more: the old one, or the new one when the draft was
    launched meanwhile or another file is read instead."""
    known, current = audiences.of_draft(c, work.at.workspace_id, work.at.campaign_id, lock=True)
    mine = known and _newest(c, work)
    jobs.beat(c, work.job_id, summary.rows, summary.rows, now)
    jobs.finish(c, work.job_id, None, None, now)
    if not mine:
        return work.audience_id
    audiences.finish(c, work.audience_id, summary.rows, summary.offered, _json(summary))
    audiences.give(c, work.at.campaign_id, work.audience_id)
    return current if current != work.audience_id else None


def _fail(c: Connection, work: Work, sentence: str, now: int) -> bool:
    """Whether the draft has this audience, for want of a better one."""
    jobs.finish(c, work.job_id, None, sentence, now)
    audiences.refuse(c, work.audience_id, sentence)
    known, current = audiences.of_draft(c, work.at.workspace_id, work.at.campaign_id)
    return known and current == work.audience_id
