"""Messages: one row an attempt, one timestamp a state, a status that only moves up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Column, Connection, case, func, literal_column, null, select, update

from campana.core.failure import Failure
from campana.core.ids import Id, new_id
from campana.core.journey import Decision
from campana.core.message import Status
from campana.store.dialect import SetStatement, distinct, given, insert_many, locked
from campana.store.schema import decision, exchange, message, recipient
from campana.store.types import Micros

STAMPS = {
    Status.UNCERTAIN: "uncertain_at",
    Status.UNKNOWN: "unknown_at",
    Status.QUEUED: "queued_at",
    Status.SENT: "sent_at",
    Status.ERROR: "error_at",
    Status.FAILED: "failed_at",
    Status.UNDELIVERED: "undelivered_at",
    Status.DELIVERED: "delivered_at",
    Status.READ: "read_at",
}


class MessageRow(Struct, frozen=True, gc=False):
    """A message as far as receipts and look-ups need it."""

    id: Id
    run_id: Id
    recipient_id: Id
    step: int
    attempt: int
    channel: str
    sender_id: Id
    to: str
    text: str
    status: Status
    vendor_id: str | None
    started_at: int
    asks: int
    code: str | None = None  # of the highest failure told
    ask_at: int | None = None


class News(Struct, frozen=True, gc=False):
    """What is told of a message: by the vendor's answer, by a receipt, or by our own look-up."""

    id: Id
    status: Status
    at: int
    vendor_id: str | None = None
    code: str | None = None
    words: str | None = None
    ask_at: int | None = None  # only uncertain messages are asked about


M = message.c
ROW = select(
    M.id,
    M.run_id,
    M.recipient_id,
    M.step,
    M.attempt,
    M.channel,
    M.sender_id,
    M.to,
    M.text,
    M.status,
    M.vendor_id,
    M.started_at,
    M.asks,
    M.code,
    M.ask_at,
)
WANTED = given(M.id)
BY_ID = SetStatement(ROW.where(M.id == WANTED.c.id), WANTED)
ASKS = given(M.id, M.ask_at, M.asks)
ASK = SetStatement(update(message).where(M.id == ASKS.c.id).values(ask_at=ASKS.c.ask_at, asks=ASKS.c.asks), ASKS)
ASKED_ABOUT = tuple(int(status) for status in (Status.UNCERTAIN, Status.UNKNOWN, Status.QUEUED, Status.SENT))  # by urgency
STATUSES = {int(status): status for status in Status}


def row_of(row: Any) -> MessageRow:
    """The message of a row with the columns of `ROW`."""
    id_, run_id, recipient_id, step, attempt, channel, sender_id, to, text, status, *rest = row
    return MessageRow(id_, run_id, recipient_id, step, attempt, channel, sender_id, to, text, STATUSES[status], *rest)


def add(c: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """New attempts, written down before their calls."""
    insert_many(c, message, rows)


TOLD = given(M.id, M.status, Column("at", Micros), M.vendor_id, M.code, M.words, M.ask_at)


def _news_statement() -> SetStatement:
    """The status moves up or stays, each state's time is the first that was told, what is known stays known.

    The code is that of the highest failure told, whenever it was. A message that has moved above *unknown* is asked about no
    more.
    """
    status, code, at = TOLD.c.status, TOLD.c.code, TOLD.c.at
    failures = (Status.UNDELIVERED, Status.FAILED, Status.ERROR)
    failed = case(*((M[STAMPS[one]].is_not(None), literal_column(str(int(one)))) for one in failures), else_=literal_column("0"))
    tells_failure = code.is_not(None) & (failed < status)
    tells_words = tells_failure | (code.is_(None) & (M.status <= status))
    values: dict[str, Any] = {
        "status": case((M.status < status, status), else_=M.status),
        "vendor_id": func.coalesce(M.vendor_id, TOLD.c.vendor_id),
        "code": case((tells_failure, code), else_=M.code),
        "words": case((tells_words, func.coalesce(TOLD.c.words, M.words)), else_=M.words),
        "ask_at": case((M.status > literal_column(str(int(Status.UNKNOWN))), null()), else_=TOLD.c.ask_at),
    }
    for stamp, name in STAMPS.items():
        values[name] = func.coalesce(M[name], case((status == literal_column(str(int(stamp))), at), else_=null()))
    return SetStatement(update(message).where(M.id == TOLD.c.id).values(values), TOLD)


NEWS = _news_statement()


def tell(c: Connection, news: Iterable[News]) -> None:
    """Writes down what is told of messages, in any order and any number of times."""
    rows = [
        {
            "id": one.id,
            "status": int(one.status),
            "at": one.at,
            "vendor_id": one.vendor_id,
            "code": one.code,
            "words": one.words,
            "ask_at": one.ask_at,
        }
        for one in news
    ]
    for some in distinct(rows):
        NEWS.run(c, some)


def news_of_failure(
    message_id: Id, failure: Failure, at: int, receipt: Status | None = None, vendor_id: str | None = None
) -> News:
    """A failure as news: an address that is not usable is an error, all else could not be sent or did not arrive."""
    status = Status.ERROR if failure.bad_address else receipt or Status.FAILED
    return News(message_id, status, at, vendor_id, failure.code, failure.words)


def load(c: Connection, ids: Iterable[Id]) -> dict[Id, MessageRow]:
    """Messages by id."""
    return {row.id: row_of(row) for row in BY_ID.fetch(c, [{"id": one} for one in ids])}


def of_people(c: Connection, recipient_ids: Iterable[Id]) -> list[MessageRow]:
    """All messages of these people, oldest first."""
    ids = list(recipient_ids)
    return [row_of(row) for row in c.execute(ROW.where(M.recipient_id.in_(ids)).order_by(M.id))] if ids else []


def by_vendor_id(c: Connection, workspace_id: Id, vendor_id: str) -> MessageRow | None:
    """The message of that vendor's id."""
    row = c.execute(ROW.where(M.vendor_id == vendor_id, M.workspace_id == workspace_id).limit(1)).first()
    return row_of(row) if row else None


def claimed(c: Connection, contact_id: Id, vendor_ids: Iterable[str]) -> set[str]:
    """Which of these vendor ids are those of messages to that person, in any campaign, ended or not."""
    wanted = set(vendor_ids)
    theirs = select(M.vendor_id).join(recipient, recipient.c.id == M.recipient_id).where(recipient.c.contact_id == contact_id)
    return {one for one in c.scalars(theirs.where(M.vendor_id.is_not(None))) if one in wanted} if wanted else set()


def people_open_in_unit(c: Connection, unit_id: Id) -> list[Id]:
    """Whose attempts in a unit have no answer that anybody wrote down."""
    return list(c.scalars(select(M.recipient_id).where(M.unit_id == unit_id, M.status == int(Status.SENDING))))


def open_in_unit(c: Connection, unit_id: Id) -> list[MessageRow]:
    """Attempts of a unit whose answer nobody wrote down."""
    where = (M.unit_id == unit_id, M.status == int(Status.SENDING))
    return [row_of(row) for row in c.execute(ROW.where(*where).order_by(M.id))]


def take_askable(c: Connection, now: int, until: int, limit: int) -> list[MessageRow]:
    """Messages whose asking is due, uncertain ones first; nobody else asks about them before `until`."""
    due = ROW.where(M.status.in_(ASKED_ABOUT), M.ask_at <= now).order_by(M.status, M.ask_at).limit(limit)
    rows = [row_of(row) for row in c.execute(locked(due, message, skip_locked=True))]
    ask_all(c, [(row.id, until, row.asks) for row in rows])
    return rows


def ask_again(c: Connection, message_id: Id, at: int | None, asked: int) -> None:
    """When the vendor is asked next; None: never again."""
    ask_all(c, [(message_id, at, asked)])


def ask_all(c: Connection, when: Iterable[tuple[Id, int | None, int]]) -> None:
    """When the vendor is asked next about each of these: (message, moment or never, how often it has been)."""
    ASK.run(c, [{"id": one, "ask_at": at, "asks": asked} for one, at, asked in when])


def next_ask(c: Connection) -> int | None:
    """When the next message is asked about."""
    first = (
        c.scalar(select(M.ask_at).where(M.status == status, M.ask_at.is_not(None)).order_by(M.ask_at).limit(1))
        for status in ASKED_ABOUT
    )
    return min((one for one in first if one is not None), default=None)


def record_decisions(c: Connection, taken: Iterable[tuple[Id, Id, Id, Decision]], now: int) -> None:
    """Decisions that are no message: (workspace, run, person, what was decided)."""
    rows = [
        {
            "id": new_id(now),
            "workspace_id": workspace_id,
            "run_id": run_id,
            "recipient_id": recipient_id,
            "at": now,
            "kind": one.kind,
            "step": one.step,
            "reason": one.reason,
        }
        for workspace_id, run_id, recipient_id, one in taken
    ]
    insert_many(c, decision, rows)


def record_exchanges(c: Connection, rows: Iterable[tuple[Id, Id, str, str]], now: int) -> None:
    """What was said to a vendor and what it answered, for (workspace, message, request, answer) that went wrong."""
    values = [
        {"id": new_id(now), "workspace_id": workspace_id, "message_id": one, "at": now, "request": request, "answer": answer}
        for workspace_id, one, request, answer in rows
    ]
    insert_many(c, exchange, values)


def forget_exchanges(c: Connection, before: Id, limit: int) -> int:
    """Removes the oldest exchanges below that id. Returns how many."""
    oldest = select(exchange.c.id).where(exchange.c.id < before).order_by(exchange.c.id).limit(limit)
    return c.execute(exchange.delete().where(exchange.c.id.in_(oldest.scalar_subquery()))).rowcount


def decisions_of(c: Connection, recipient_id: Id) -> list[Any]:
    """A person's decisions, oldest first."""
    d = decision.c
    rows = c.execute(select(d.at, d.kind, d.step, d.reason).where(d.recipient_id == recipient_id).order_by(d.id))
    return [row._mapping for row in rows]
