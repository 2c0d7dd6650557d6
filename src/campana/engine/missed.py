"""A new draft with people of a campaign that ran: copied as a job, batch by batch. Killed half-way, it goes on from there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog
from sqlalchemy import Connection

from campana.core.campaign import Plan
from campana.core.draft import Draft
from campana.core.failure import Failure
from campana.core.ids import Id, id_of, new_id
from campana.core.missed import Choice, Medium
from campana.engine.house import House
from campana.engine.load import discard_audience
from campana.engine.readings import Readings
from campana.store import audiences, campaigns, drafts, jobs, missed
from campana.store.audiences import Audience
from campana.store.database import Priority
from campana.store.drafts import Author
from campana.store.missed import Found, Source
from campana.store.workbench import COPY

SHORT = 0.8  # seconds that whoever made the draft waits, before they see how far it is
OUR_FAULT = "Not all people were copied, for a reason of ours that stands in the log. Go on with the others."

log = structlog.get_logger("campana.missed")


@dataclass(frozen=True)
class Wish:
    """The draft that somebody wants: its name, whether it says what the campaign said, and to whom."""

    name: str
    same_messages: bool
    choice: Choice
    press: str = ""  # of a button: the same again is the same draft


@dataclass(frozen=True)
class Work:
    """One copying: of which run, into which audience of which draft."""

    workspace_id: Id
    campaign_id: Id
    audience_id: Id
    job_id: Id
    run_id: Id
    from_id: Id
    media: Sequence[Medium]


class TooEarly(RuntimeError):
    """The campaign was finished just now and not everybody has an outcome yet. Wait a moment, then make the draft."""


Note = Callable[[Connection, Id], None]  # writes into the audit log which draft was made


def failure_of(house: House) -> Callable[[str, str], Failure | None]:
    """What the tables of the channels say of a code; None: nothing."""

    def look_up(channel: str, code: str) -> Failure | None:
        known = house.channels.get(channel)
        return known.failure_of(code) if known else None

    return look_up


async def make(readings: Readings, of: Source, wish: Wish, author: Author, note: Note) -> Id:
    """A draft whose people are being copied, the first one when a press is repeated. Returns when they are there, or after a
    moment while it goes on. Raises TooEarly while the campaign is being ended: whoever has no outcome yet would be lost."""
    house = readings.house

    def begin(c: Connection) -> Work | Id:
        now, audience_id = house.clock.now(), new_id(house.clock.now())
        workspace_id = of.run.workspace_id
        earlier = missed.made_by(c, workspace_id, wish.press, now) if wish.press else None
        if earlier is not None:
            return earlier
        run = campaigns.get_run(c, of.run.id)
        if run is None or missed.being_ended(run):  # it may have been finished since the page was shown
            raise TooEarly if run else LookupError("the campaign is gone")
        if wish.same_messages:
            made = drafts.copy(c, workspace_id, of.campaign_id, lambda _: wish.name, author, now)
        else:
            made = drafts.create(c, workspace_id, wish.name, Draft(), author, now)
        if made is None:
            raise LookupError("the campaign is gone")
        missed.begin(c, of, audience_id, wish.choice, now, wish.press)
        audiences.give(c, made, audience_id)
        note(c, made)
        total = sum(of.outcomes.get(outcome, 0) for outcome in wish.choice.outcomes)
        return _work(c, house, workspace_id, made, audience_id, of.run, None if wish.choice.tells_causes else total)

    work = await house.db.run(begin)
    if not isinstance(work, Work):
        return work
    await _shortly(readings, work)
    return work.campaign_id


async def go_on(readings: Readings, workspace_id: Id, campaign_id: Id) -> bool:
    """The copying that was stopped goes on where it was; False when there is none to go on with."""
    house = readings.house

    def begin(c: Connection) -> Work | None:
        known, current = audiences.of_draft(c, workspace_id, campaign_id, lock=True)
        audience = audiences.load(c, workspace_id, current) if known else None
        if audience is None or audience.origin is None or audience.loaded:
            return None
        before = jobs.latest(c, audience.id, COPY)
        run = campaigns.get_run(c, id_of(audience.origin.run_id) or b"")
        if run is None or (before is not None and before.runs(house.clock.now())):
            return None
        return _work(c, house, workspace_id, campaign_id, audience.id, run, before.total if before else None)

    work = await house.db.run(begin)
    if work is not None:
        await _shortly(readings, work)
    return work is not None


def _work(
    c: Connection, house: House, workspace_id: Id, campaign_id: Id, audience_id: Id, run: campaigns.RunRow, total: int | None
) -> Work:
    job_id = jobs.start(c, workspace_id, COPY, audience_id, house.clock.now())
    jobs.beat(c, job_id, None, total, house.clock.now())
    return Work(workspace_id, campaign_id, audience_id, job_id, run.id, run.audience_id or b"", _media(house, run.plan))


def _media(house: House, plan: str) -> list[Medium]:
    """Over what a run goes to people."""
    kinds = dict.fromkeys(step.channel for step in Plan.model_validate_json(plan).steps)
    channels = [house.channels[kind] for kind in kinds if kind in house.channels]
    return list(dict.fromkeys((channel.suppresses, channel.reaches) for channel in channels))


async def _shortly(readings: Readings, work: Work) -> None:
    task = readings.spawn(_copy(readings.house, work))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), SHORT)


async def _copy(house: House, work: Work) -> None:
    """Copies to the last, or says in the job why not."""
    try:
        while (found := await house.db.read(_next, work)) is not None:
            if await house.db.at(Priority.LOAD, _append, house, work, *found):
                return
    except Exception:
        log.exception("people were not copied to the last", audience=work.audience_id.hex())
        await house.db.run(jobs.finish, work.job_id, None, OUR_FAULT, house.clock.now())
        return
    if await house.db.run(audiences.let_go, work.audience_id):  # the draft has other people by now, or is gone
        await discard_audience(house, work.audience_id)


def _at_hand(c: Connection, work: Work, lock: bool = False) -> Audience | None:
    """The audience, while the draft has it and nobody else fills it."""
    known, current = audiences.of_draft(c, work.workspace_id, work.campaign_id, lock)
    if not known or current != work.audience_id:
        return None
    newest = jobs.latest(c, work.audience_id, COPY)
    audience = audiences.load(c, work.workspace_id, work.audience_id, lock)
    return audience if newest is not None and newest.id == work.job_id else None


def _next(c: Connection, work: Work) -> tuple[int, Found] | None:
    """The place where it stands, and the people that come next."""
    audience = _at_hand(c, work)
    if audience is None or audience.origin is None or audience.loaded:
        return None
    found = missed.fitting(c, work.run_id, audience.origin.choice, work.media, audience.origin.through)
    return None if found is None else (audience.origin.through, found)


def _append(c: Connection, house: House, work: Work, place: int, found: Found) -> bool:
    """Whether that was all. When the audience is not as it was looked at, nothing is added, and it is looked at anew."""
    audience, now = _at_hand(c, work, lock=True), house.clock.now()
    if audience is None or audience.origin is None or audience.origin.through != place:
        return False
    summary = missed.append(c, audience, work.from_id, audience.origin, found)
    jobs.beat(c, work.job_id, summary.rows, None, now)
    if found.last:
        jobs.beat(c, work.job_id, summary.rows, summary.rows, now)
        audiences.finish(c, audience.id, summary.rows, summary.offered, msgspec.json.encode(summary).decode())
        jobs.finish(c, work.job_id, None, None, now)
    return found.last
