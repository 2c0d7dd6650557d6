"""The log of messages, the newest first. Ids of messages are made in the order of time, so a span of time is a span of ids.

What no index finds is looked for among no more messages than one request has the time for; then it is told how far was looked,
and the next request goes on from there. Nothing that is told depends on what other workspaces send, but for a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, or_, select, text

from campana.core.durations import MINUTE, SECOND
from campana.core.ids import Id, first_id, id_of
from campana.core.message import NOT_DELIVERED, Status
from campana.store import messages, recipients
from campana.store.messages import MessageRow
from campana.store.outlines import outline
from campana.store.people import Head, head_of_run
from campana.store.recipients import Person
from campana.store.schema import address, campaign, exchange, integration, message, recipient, run, sender

LOOKED = 20_000  # messages of one request
RUNS = 100  # of one request: the newest first
JOURNEYS = 200  # of one person
PIECE = 500  # messages that are read by their ids at once
MILLISECOND = 1000
SLACK = 60_000_000  # the clocks of several processes differ by less
HIGHEST = b"\xff" * 16
NOBODY_KNOWS = frozenset({Status.UNCERTAIN, Status.UNKNOWN})
M = message.c


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages are looked for. Times are UTC microseconds."""

    campaign_id: Id | None = None
    channel: str = ""
    statuses: frozenset[Status] = frozenset()  # none: all
    step: int | None = None
    code: str = ""
    since: int | None = None
    until: int | None = None
    address: str = ""  # whole: a phone number or an e-mail address


@dataclass(frozen=True, slots=True)
class Line:
    """One message of the log."""

    message: MessageRow
    words: str | None
    campaign_id: Id
    campaign: str
    kinds: Sequence[str]  # of the campaign's steps
    person: Person | None
    columns: Sequence[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: below a message, among the runs that began before a run, when those after it were looked through."""

    below: Id | None = None
    run: Id | None = None

    @classmethod
    def read(cls, text: str) -> Place:
        """What an address says; nonsense is the beginning."""
        below, _, run = text.partition("-")
        return cls(id_of(below), id_of(run))

    def __str__(self) -> str:
        return "-".join((self.below.hex() if self.below else "", self.run.hex() if self.run else "")).rstrip("-")


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages, and where the next ones begin."""

    lines: Sequence[Line]
    next: Place | None = None  # None: these are the last
    looked_to: int | None = None  # not all was looked through: only down to this moment
    began_since: int | None = None  # not all was looked through: only the runs that began at this moment or later


COLUMNS = msgspec.json.Decoder(list[str])
ROW = messages.ROW.add_columns(M.words, M.workspace_id)


def page(c: Connection, workspace_id: Id, wanted: Wanted, place: Place, limit: int) -> Page:
    """The newest messages from a place that an earlier page named."""
    low = first_id(wanted.since) if wanted.since else b""
    high = min(place.below or HIGHEST, first_id(wanted.until) if wanted.until else HIGHEST)
    runs, older = _runs(c, workspace_id, wanted, place.run)
    floor = None
    if wanted.campaign_id is not None:
        if not runs:
            return Page([])
        low, high = max(low, min(map(_begin, runs))), min(high, max(map(_end, runs)))
    if wanted.address:
        rows, older = _to_address(c, workspace_id, wanted, runs, low, high, limit + 1), None
    elif (narrow := _narrow(wanted)) and (wanted.campaign_id or not (wanted.channel or wanted.step is not None)):
        rows, floor = _of_runs(c, wanted, narrow, runs, low, high, limit + 1)
    else:
        rows, floor = _walk(c, workspace_id, wanted, (runs, older), low, high, limit + 1)
        older = None
    lines = _lines(c, rows[:limit])
    if len(rows) > limit:
        return Page(lines, Place(rows[limit - 1].id, place.run))
    if floor:
        return Page(lines, Place(floor, place.run), looked_to=moment_of(floor))
    return Page(lines, Place(run=older.id), began_since=older.started_at) if older else Page(lines)


def moment_of(message_id: Id) -> int:
    """When a message of that id was begun."""
    return int.from_bytes(message_id[:6], "big") * 1000


def _runs(c: Connection, workspace_id: Id, wanted: Wanted, before: Id | None) -> tuple[Sequence[Any], Any]:
    """The runs that messages are looked for in: that of the campaign, else the newest of the workspace that began before a run,
    with the last of them when there are more."""
    r = run.c
    runs = select(r.id, r.started_at, r.finished_at).where(r.workspace_id == workspace_id)
    if wanted.campaign_id is not None:
        return c.execute(runs.where(r.campaign_id == wanted.campaign_id).order_by(r.id.desc()).limit(1)).all(), None
    runs = runs.where(r.started_at.is_not(None))
    if wanted.until is not None:
        runs = runs.where(r.started_at < wanted.until + SLACK)
    if wanted.since is not None:
        runs = runs.where(or_(r.finished_at.is_(None), r.finished_at > wanted.since - SLACK))
    last = c.execute(select(r.id, r.started_at).where(r.id == before, r.workspace_id == workspace_id)).first() if before else None
    if last is not None:
        runs = runs.where(or_(r.started_at < last.started_at, and_(r.started_at == last.started_at, r.id < last.id)))
    found = c.execute(runs.order_by(r.started_at.desc(), r.id.desc()).limit(RUNS + 1)).all()
    return found[:RUNS], found[RUNS - 1] if len(found) > RUNS else None


def _begin(one: Any) -> Id:
    return first_id(max(0, one.started_at - SLACK)) if one.started_at else b""


def _end(one: Any) -> Id:
    return first_id(one.finished_at + SLACK) if one.finished_at else HIGHEST


# --- ways to find them ------------------------------------------------------------------------------------------------------


def _narrow(wanted: Wanted) -> tuple[str, list[ColumnElement[bool]]] | None:
    """The index of a run that has these messages and few others, with its condition word for word."""
    if wanted.code:
        return "message_code", [text("message.code IS NOT NULL"), M.code == wanted.code]  # type: ignore[list-item]
    if wanted.statuses and wanted.statuses <= NOBODY_KNOWS:
        return "message_unknown", [text("message.status IN (20, 30)")]  # type: ignore[list-item]
    if wanted.statuses and wanted.statuses <= NOT_DELIVERED:
        return "message_told", [text("message.code IS NOT NULL")]  # type: ignore[list-item]
    return None


def _filters(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.channel:
        found.append(M.channel == wanted.channel)
    if wanted.statuses:
        found.append(M.status.in_(sorted(map(int, wanted.statuses))))
    if wanted.step is not None:
        found.append(M.step == wanted.step)
    if wanted.code:
        found.append(M.code == wanted.code)
    return found


def _of_runs(
    c: Connection,
    wanted: Wanted,
    narrow: tuple[str, list[ColumnElement[bool]]],
    runs: Sequence[Any],
    low: Id,
    high: Id,
    limit: int,
) -> tuple[list[Any], Id | None]:
    """The newest of all these runs, each asked by an index of its own."""
    index, told = narrow
    far, rest = LOOKED // max(1, len(runs)), _filters(replace(wanted, code=""))
    found: list[Any] = []
    floors: list[Id] = []
    for one in runs:
        if _begin(one) >= high or _end(one) <= low:
            continue
        where = [M.run_id == one.id, *told, M.id < high, M.id >= low]
        ids = select(M.id).with_hint(message, f"INDEXED BY {index}", "sqlite").where(*where).order_by(M.id.desc())
        floor = c.scalar(ids.offset(far - 1).limit(1)) if rest else None
        if floor:
            floors.append(floor)
            where.append(M.id >= floor)
        rows = ROW.with_hint(message, f"INDEXED BY {index}", "sqlite").where(*where, *rest)
        found += c.execute(rows.order_by(M.id.desc()).limit(limit)).all()
    found.sort(key=lambda row: row.id, reverse=True)
    floor = max(floors, default=None)  # below it one of them was not looked through
    return [row for row in found if not floor or row.id >= floor][:limit], floor


def _walk(
    c: Connection, workspace_id: Id, wanted: Wanted, runs: tuple[Sequence[Any], Any], low: Id, high: Id, limit: int
) -> tuple[list[Any], Id | None]:
    """All messages, the newest first, as far as one request may look."""
    of, older = runs
    if not of:
        return [], None
    if not older:  # these are all that the workspace has
        low, high = max(low, min(map(_begin, of))), min(high, max(map(_end, of)))
    span = [M.id < high, M.id >= low]
    # Not a way to turn pages: it counts in the index how far this one request may look.
    floor = c.scalar(select(M.id).where(*span).order_by(M.id.desc()).offset(LOOKED - 1).limit(1))
    if floor:
        span[1] = M.id >= floor
    where = [M.workspace_id == workspace_id, *_filters(wanted)]
    if wanted.campaign_id is not None:
        where.append(M.run_id.in_([one.id for one in of]))
    rows = list(c.execute(ROW.where(*span, *where).order_by(M.id.desc()).limit(limit)).all())
    if floor is None or len(rows) >= limit:
        return rows, None
    if not older and (ids := _few(c, of, low, high)) is not None:
        return _of_ids(c, ids, where, limit), None
    floor = _blurred(floor, high)
    return [row for row in rows if row.id >= floor], floor


def _blurred(floor: Id, high: Id) -> Id:
    """The next full minute above, or as much less as it takes to get on: no message of another workspace is named."""
    rounded = (first_id(-(-(moment_of(floor) + 1) // step) * step) for step in (MINUTE, SECOND, MILLISECOND))
    return next((one for one in rounded if one < high), floor)


def _few(c: Connection, runs: Sequence[Any], low: Id, high: Id) -> list[Id] | None:
    """The messages of these runs, by way of their people, the newest first; None when they are more than one request reads."""
    found: list[Id] = []
    for one in runs:
        theirs = select(M.id).with_hint(message, "INDEXED BY message_recipient", "sqlite")
        theirs = theirs.where(M.recipient_id.between(*recipients.id_range(one.id)), M.id < high, M.id >= low)
        found += c.scalars(theirs.limit(LOOKED + 1 - len(found)))
        if len(found) > LOOKED:
            return None
    return sorted(found, reverse=True)


def _of_ids(c: Connection, ids: Sequence[Id], where: Sequence[ColumnElement[bool]], limit: int) -> list[Any]:
    """The first of these messages that are so."""
    found: list[Any] = []
    for at in range(0, len(ids), PIECE):
        asked = ROW.where(M.id.in_(ids[at : at + PIECE]), *where).order_by(M.id.desc())
        found += c.execute(asked.limit(limit - len(found))).all()
        if len(found) >= limit:
            break
    return found


def _to_address(c: Connection, workspace_id: Id, wanted: Wanted, runs: Sequence[Any], low: Id, high: Id, limit: int) -> list[Any]:
    """What one person got, by the address they are known by."""
    known = (address.c.workspace_id == workspace_id, address.c.kind.in_(("phone", "email")), address.c.value == wanted.address)
    theirs = select(recipient.c.id).join(address, address.c.contact_id == recipient.c.contact_id).where(*known)
    if wanted.campaign_id is not None:
        first, last = recipients.id_range(runs[0].id)
        theirs = theirs.where(recipient.c.id.between(first, last))
    ids = list(c.scalars(theirs.limit(JOURNEYS)))
    where = (M.recipient_id.in_(ids), M.id < high, M.id >= low, *_filters(wanted))
    return list(c.execute(ROW.where(*where).order_by(M.id.desc()).limit(limit)).all()) if ids else []


# --- what stands beside them ------------------------------------------------------------------------------------------------


def _lines(c: Connection, rows: Sequence[Any]) -> list[Line]:
    people = {one.id: one for one in recipients.load(c, {row.recipient_id for row in rows})}
    known = {}
    facts = select(run.c.id, run.c.plan, run.c.columns, campaign.c.id.label("campaign_id"), campaign.c.name).join(campaign)
    for one in c.execute(facts.where(run.c.id.in_({row.run_id for row in rows}))) if rows else ():
        known[one.id] = (
            one.campaign_id,
            one.name,
            [step.kind for step in outline(one.plan).steps],
            COLUMNS.decode(one.columns),
        )
    found = []
    for row in rows:
        campaign_id, name, kinds, columns = known[row.run_id]
        *plain, words, _ = row
        found.append(Line(messages.row_of(plain), words, campaign_id, name, kinds, people.get(row.recipient_id), columns))
    return found


def campaigns(c: Connection, workspace_id: Id, limit: int = 200) -> list[tuple[Id, str]]:
    """Those that messages may have gone out for, the latest first."""
    started = select(run.c.campaign_id, campaign.c.name).join(campaign, campaign.c.id == run.c.campaign_id)
    started = started.where(run.c.workspace_id == workspace_id, run.c.started_at.is_not(None))
    return list(
        dict.fromkeys((row.campaign_id, row.name) for row in c.execute(started.order_by(run.c.started_at.desc()).limit(limit)))
    )


# --- one message ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was said to a vendor, and what it answered."""

    at: int
    request: str
    answer: str


@dataclass(frozen=True, slots=True)
class Detail:
    """All that is known of one message."""

    head: Head
    row: Mapping[str, Any]  # the columns of `message`
    status: Status
    history: Sequence[tuple[Status, int]]  # in the order in which it was told
    person: Person | None
    sender: str
    sender_address: str
    integration_id: Id | None
    hook: str  # of its account
    exchanges: Sequence[Exchange]

    @property
    def id(self) -> Id:
        """The message's."""
        found: Id = self.row["id"]
        return found


def history(row: Mapping[str, Any]) -> list[tuple[Status, int]]:
    """When which status of a message was first told, oldest first."""
    told = [(row[name], int(status), status) for status, name in messages.STAMPS.items() if row[name] is not None]
    return [(Status.SENDING, row["started_at"]), *((status, at) for at, _, status in sorted(told))]


def detail(c: Connection, workspace_id: Id, message_id: Id) -> Detail | None:
    """A message with all that belongs to it, when the workspace has it."""
    found = c.execute(select(message).where(M.id == message_id, M.workspace_id == workspace_id)).first()
    head = head_of_run(c, workspace_id, found.run_id) if found else None
    if found is None or head is None:
        return None
    account = (
        select(sender.c.name, sender.c.address, sender.c.integration_id, integration.c.hook)
        .join(integration, integration.c.id == sender.c.integration_id)
        .where(sender.c.id == found.sender_id)
    )
    by = c.execute(account).first()
    row = dict(found._mapping)
    return Detail(
        head,
        row,
        Status(row["status"]),
        history(row),
        next(iter(recipients.load(c, [found.recipient_id])), None),
        by.name if by else "",
        by.address if by else "",
        by.integration_id if by else None,
        by.hook if by else "",
        exchanges(c, [message_id]),
    )


def exchanges(c: Connection, message_ids: Iterable[Id]) -> list[Exchange]:
    """What was said about these messages, as far as it was kept, in its order."""
    e = exchange.c
    rows = c.execute(select(e.at, e.request, e.answer, e.id).where(e.message_id.in_(list(message_ids))))
    return [Exchange(*row[:3]) for row in sorted(rows, key=lambda row: row.id)]
