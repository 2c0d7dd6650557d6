"""Counting what a launch would send, from every contact's rendered text: in a process of its own, as a job with progress."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import Connection

import campana
from campana.bus.tasks import end_all
from campana.channels.contract import Channel, Content, Render, VendorTemplate
from campana.channels.registry import channels
from campana.core.durations import SECOND
from campana.core.ids import Id
from campana.core.message import Reach
from campana.core.preflight import Estimate, StepFacts
from campana.core.template import TextTemplate, compile_text, unknown_fields
from campana.engine.house import House
from campana.engine.preview import Sheet
from campana.store import audience_rows, jobs, previews, suppressions
from campana.store.database import Database
from campana.store.previews import Offered

KIND = "estimate"
AT_ONCE = 2000  # rows of one reading
CHILDREN = 2  # counting processes of one server
TAIL = 2000  # signs of what a process complains of
FAILED = "The messages could not be counted; why stands in the server's log. Try again."
DECODE, ENCODE = msgspec.json.decode, msgspec.json.encode

log = structlog.get_logger("campana.estimate")


class StepTask(Struct):
    """One step as the counting process is told of it."""

    key: str
    channel: str
    follow_up: bool
    text: str | None
    template: str | None
    language: str | None
    values: dict[str, str]
    vendor_template: dict[str, Any] | None


class Task(Struct):
    """What is counted."""

    database: str
    workspace: bytes
    audience: bytes
    columns: list[str]
    people: int
    steps: list[StepTask]


class Told(Struct, omit_defaults=True):
    """A line of the counting process: how far it is, or what came of it."""

    done: int = 0
    estimate: Estimate | None = None


def task_of(
    house: House, workspace_id: Id, audience_id: Id, columns: Sequence[str], people: int, sheets: Sequence[Sheet]
) -> Task:
    """What the counting process is told. Steps that are not complete yet are left away."""
    url = house.db.engine.url.render_as_string(hide_password=False)
    return Task(url, workspace_id, audience_id, list(columns), people, [_step(one) for one in sheets if one.countable])


def _step(sheet: Sheet) -> StepTask:
    content, template = sheet.content, sheet.template
    known = {one.key for one in sheet.fields}
    values = {name: text for name, text in content.values.items() if name in known}
    facts = None
    if template is not None:
        facts = {name: getattr(template, name) for name in VendorTemplate.__dataclass_fields__}
        facts["components"] = list(template.components)
    kind = sheet.channel.kind if sheet.channel else ""
    step = sheet.step
    return StepTask(step.key, kind, step.kind == "follow_up", content.text, content.template, content.language, values, facts)


# --- in the process that serves ---------------------------------------------------------------------------------------------


class Estimates:
    """The countings that this process has begun: so many at once, the others in turn."""

    def __init__(self, house: House, at_once: int = CHILDREN) -> None:
        self.house = house
        self._room = asyncio.Semaphore(at_once)
        self._tasks: dict[Id, asyncio.Task[None]] = {}  # of a draft: it has one counting

    def begin(self, draft_id: Id, job_id: Id, about: str, task: Task) -> asyncio.Task[None]:
        """Counts beside everything else; the job tells how far it is. An older counting of the draft ends: nobody waits."""
        if older := self._tasks.get(draft_id):
            older.cancel()
        running = self._tasks[draft_id] = asyncio.create_task(self._run(job_id, about, task))
        running.add_done_callback(lambda done: self._tasks.pop(draft_id) if self._tasks.get(draft_id) is done else None)
        return running

    async def close(self) -> None:
        """Ends what goes on; whoever asks next begins anew."""
        await end_all(self._tasks.values())

    async def _run(self, job_id: Id, about: str, task: Task) -> None:
        house = self.house
        try:
            async with self._turn(job_id, task.people) as mine:
                if mine:
                    await self._count(job_id, about, task)
        except Exception:
            log.exception("an estimate failed", job=job_id.hex())
            await house.db.run(jobs.finish, job_id, None, FAILED, house.clock.now())
        house.wake("live")

    @contextlib.asynccontextmanager
    async def _turn(self, job_id: Id, people: int) -> AsyncIterator[bool]:
        """Waits for room and says meanwhile that the job is not forgotten; False when it is over before it has begun."""
        asked = asyncio.create_task(self._room.acquire())
        try:
            while not asked.done():
                await asyncio.wait([asked], timeout=jobs.BEAT / SECOND)
                if not asked.done() and not await self._beat(job_id, 0, people):
                    break
            yield asked.done()
        finally:
            if not asked.cancel():
                self._room.release()

    async def _count(self, job_id: Id, about: str, task: Task) -> None:
        async with contextlib.aclosing(counted_elsewhere(task)) as lines:
            async for told in lines:
                if told.estimate is not None:
                    facts = (job_id, about, told.estimate, task.people, self.house.clock.now())
                    await self.house.db.run(_finish, *facts)
                elif not await self._beat(job_id, told.done, task.people):
                    return

    async def _beat(self, job_id: Id, done: int, people: int) -> bool:
        goes_on: bool = await self.house.db.run(jobs.beat, job_id, done, people, self.house.clock.now())
        return goes_on


def _finish(c: Connection, job_id: Id, about: str, estimate: Estimate, people: int, now: int) -> None:
    jobs.beat(c, job_id, people, people, now)
    jobs.finish(c, job_id, ENCODE(Result(about, estimate)).decode(), None, now)


class Result(Struct):
    """What stands in the job: what was counted, by a fingerprint, and what came of it."""

    about: str
    estimate: Estimate | None = None


async def counted_elsewhere(task: Task) -> Any:
    """The lines of a counting process, which ends when nobody reads them any more."""
    home = str(Path(campana.__file__).parent.parent)
    path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "campana.engine.estimate",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        limit=2**22,
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101 - so is it
    assert process.stderr is not None  # noqa: S101 - a pipe as well
    complaints = asyncio.create_task(_tail(process.stderr))
    try:
        process.stdin.write(msgspec.msgpack.encode(task))
        process.stdin.close()
        whole = False
        async for line in process.stdout:
            told = DECODE(line, type=Told)
            whole = whole or told.estimate is not None
            yield told
        if not whole:
            raise RuntimeError(await complaints)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if words := await complaints:
            log.warning("a counting process complained", words=words)


async def _tail(stream: asyncio.StreamReader) -> str:
    """The end of what a process complains of. It is read while it is written: a full pipe would hold the process up."""
    end = b""
    while piece := await stream.read(2**16):
        end = (end + piece)[-TAIL:]
    return end.decode(errors="replace").strip()


# --- in the process that counts ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Counter:
    """One step while it is counted."""

    facts: StepFacts
    channel: Channel
    render: Render
    named: Sequence[TextTemplate]  # the texts with columns in them
    closed_to: tuple[str, ...]
    follow_up: bool

    def take(self, person: Offered, barred: frozenset[tuple[str, str]] | set[tuple[str, str]]) -> int:
        """Counts one person. Returns the segments they would get, 0 when they cannot take the step."""
        facts, channel = self.facts, self.channel
        address = person.phone if channel.reaches is Reach.PHONE else person.email
        if address is None:
            return self._skip("no_phone" if channel.reaches is Reach.PHONE else "no_email")
        if (address, channel.suppresses) in barred or (address, suppressions.ALL) in barred:
            return self._skip("opted_out")
        for template in self.named:
            for name in template.empty_fields(person.cells):
                facts.empty[name] = facts.empty.get(name, 0) + 1
        rendered = self.render(person.cells)
        if rendered.problem:
            return self._skip("problem")
        for start in self.closed_to:
            if address.startswith(start):
                facts.closed_to[start] = facts.closed_to.get(start, 0) + 1
        facts.takes += 1
        facts.segments += rendered.segments
        if rendered.segments > facts.most_segments:
            facts.most_segments, facts.longest_row = rendered.segments, person.number
        return rendered.segments

    def _skip(self, why: str) -> int:
        self.facts.skipped[why] = self.facts.skipped.get(why, 0) + 1
        return 0


def counter_of(step: StepTask, known: Mapping[str, Channel], columns: Sequence[str]) -> Counter:
    """A step ready to be counted. A column that the audience does not have is told elsewhere, not as empty."""
    channel = known[step.channel]
    template = VendorTemplate(**step.vendor_template) if step.vendor_template else None
    render = channel.compile(Content(step.text, step.template, step.language, step.values), template)
    texts = [step.text] if step.text is not None else list(step.values.values())
    closed = channel.templates.closed_to(template) if channel.templates and template else ()
    facts = StepFacts(step.key, channel.label)
    missing = {name for text in texts for name in unknown_fields(compile_text(text), columns)}
    named = [
        compile_text("".join(f"{{{{{name}}}}}" for name in compile_text(text).fields if name not in missing)) for text in texts
    ]
    return Counter(facts, channel, render, named, closed, step.follow_up)


def count(counters: Sequence[Counter], people: Sequence[Offered], barred: set[tuple[str, str]]) -> int:
    """Counts these people. Returns how many of them get something at the launch."""
    reached = 0
    for person in people:
        first = True
        for counter in counters:
            segments = counter.take(person, barred)
            if segments and first and not counter.follow_up:
                counter.facts.first += 1
                counter.facts.first_segments += segments
                first = False
                reached += 1
    return reached


def work(task: Task, db: Database) -> Iterator[Told]:
    """The lines of one counting."""
    counters = [counter_of(step, channels(), task.columns) for step in task.steps]
    with db.engine.connect() as c:
        last = audience_rows.last_number(c, task.audience)
    reached = done = 0
    for first in range(1, last + 1, AT_ONCE):
        with db.engine.connect() as c:
            people = previews.offered_between(c, task.audience, task.columns, first, first + AT_ONCE - 1)
            addresses = {address for one in people for address in (one.phone, one.email) if address}
            barred = suppressions.among(c, task.workspace, addresses) if addresses else set()
        reached += count(counters, people, barred)
        done += len(people)
        yield Told(done)
    yield Told(done, Estimate(done, [one.facts for one in counters], reached))


def main(read: Callable[[], bytes] = sys.stdin.buffer.read) -> None:
    """Reads a task, writes its lines."""
    task = msgspec.msgpack.decode(read(), type=Task)
    db = Database(task.database)
    try:
        for told in work(task, db):
            sys.stdout.buffer.write(ENCODE(told) + b"\n")
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(0)  # nobody listens any more
    finally:
        db.close()


if __name__ == "__main__":
    main()
