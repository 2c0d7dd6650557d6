"""What Infobip tells: statuses and errors in our words, delivery reports (versions 3 and 1), and what people wrote."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from campana.channels.advice import Errors
from campana.channels.answers import UNREADABLE, read, reference, short
from campana.core.exchange import Answer, Hook
from campana.core.failure import Class, Failure, Retry
from campana.core.message import NOT_DELIVERED, Event, Inbound, Receipt, Status, Unrecognized

# Their group -> our word, for ids that are not below.
GROUPS = {
    "OK": Status.QUEUED,
    "ACCEPTED": Status.QUEUED,
    "PENDING": Status.QUEUED,
    "DELIVERED": Status.SENT,  # only id 5 is the handset's word
    "UNDELIVERABLE": Status.UNDELIVERED,
    "EXPIRED": Status.UNDELIVERED,
    "REJECTED": Status.FAILED,
}

# Their id -> our word, where it is not that of the group.
STATUSES = {
    2: Status.SENT,  # delivered to the operator; the handset may still answer
    3: Status.SENT,
    5: Status.DELIVERED,
    7: Status.SENT,
    23: Status.QUEUED,  # a message id told twice: our first attempt was accepted, and has receipts of its own
    87: Status.FAILED,
    98: Status.FAILED,
    99: Status.UNDELIVERED,
}
DUPLICATES = frozenset({23})
DUPLICATE_ERRORS = frozenset({5492})  # an operator's word for the same

# The table has Infobip's error ids, and its status ids as status-ID: the two count from 1 both.
ERRORS = Errors(
    "infobip",
    bad_address=frozenset({"352", "status-8", "status-51", "status-52"}),  # seed 003's status Error
    page="https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes",
)

DIGITS = re.compile(r"\+?([1-9][0-9]{6,14})")
OK = Answer(200, b"")


class State(msgspec.Struct):
    """A status as Infobip tells it."""

    id: int = -1
    groupName: str = ""  # noqa: N815 - theirs
    name: str = ""
    description: str = ""


class Trouble(msgspec.Struct):
    """An error as Infobip tells it."""

    id: int = 0
    name: str = ""
    permanent: bool = False


class Report(msgspec.Struct):
    """A delivery report; version 1 names no sender."""

    messageId: str  # noqa: N815 - theirs
    status: State
    error: Trouble | None = None
    to: str | None = None
    doneAt: str | None = None  # noqa: N815 - theirs
    sentAt: str | None = None  # noqa: N815 - theirs


class Written(msgspec.Struct):
    """What a person wrote. The keyword is cut off in their cleanText, and STOP may be one: `text` has it all."""

    messageId: str  # noqa: N815 - theirs
    sender: str = msgspec.field(name="from")
    to: str = ""
    text: str = ""
    receivedAt: str | None = None  # noqa: N815 - theirs


class Told(msgspec.Struct):
    """A webhook."""

    results: list[msgspec.Raw]


TOLD, REPORT, WRITTEN = msgspec.json.Decoder(Told), msgspec.json.Decoder(Report), msgspec.json.Decoder(Written)


def parse_webhook(settings: Any, hook: Hook) -> tuple[list[Event], Answer]:
    """Delivery reports or what people wrote, many at once."""
    told = read(TOLD, hook.body)
    if told is None:
        return [Unrecognized("Infobip told something that is neither reports nor messages")], OK
    return [_event(bytes(raw), hook.at) for raw in told.results], OK


def _event(raw: bytes, arrived: int) -> Event:
    report = read(REPORT, raw)
    if report is not None:
        return _told(report, arrived)
    written = read(WRITTEN, raw)
    if written is None or not written.messageId or not written.sender:
        return Unrecognized(f"Infobip told something that is neither a report nor a message: {_names(raw)}")
    at = moment(written.receivedAt) or arrived
    return Inbound(written.messageId, (_alias(written.sender),), _address(written.to), written.text, at)


def _names(raw: bytes) -> str:
    try:
        found = msgspec.json.decode(raw)
    except UNREADABLE:
        return "unreadable"
    return short(", ".join(sorted(found)) if isinstance(found, dict) and found else "nothing at all")


def _told(report: Report, arrived: int) -> Event:
    receipt = receipt_of(report, moment(report.doneAt) or moment(report.sentAt) or arrived)
    if receipt is None:
        state = report.status
        words = short(f"{state.groupName} {state.id} {state.name}", 60)
        return Unrecognized(f"Infobip told the status {words!r} of message {short(report.messageId, 40)}, which we do not know")
    digits = DIGITS.fullmatch(report.to or "")
    return replace(receipt, alias=f"+{digits[1]}" if digits and receipt.message_id is None else None)


def receipt_of(report: Report, at: int) -> Receipt | None:
    """What a report says of its message; None when we have no word for its status."""
    status = status_of(report.status)
    if status is None or not report.messageId:
        return None
    trouble = report.error or Trouble()
    if trouble.id in DUPLICATE_ERRORS and status in NOT_DELIVERED:
        status = Status.QUEUED
    failure = failure_of(report.status, trouble) if status in NOT_DELIVERED else None
    status = Status.ERROR if failure and failure.bad_address else status
    return Receipt(report.messageId, status, at, reference(report.messageId), failure)


def status_of(state: State) -> Status | None:
    """Our word for theirs, by id or by group; None when neither is known."""
    group = GROUPS.get(state.groupName.upper())
    return None if group is None else STATUSES.get(state.id, group)


def failure_of(state: State, trouble: Trouble) -> Failure:
    """Why it did not arrive. The error says more than the status; a wish of the person beats both."""
    by_error = ERRORS.table.get(str(trouble.id)) if trouble.id > 0 else None
    by_status = ERRORS.table.get(f"status-{state.id}")
    if by_status and by_status.cls is Class.OPTOUT:
        return by_error if by_error and by_error.cls is Class.OPTOUT else by_status
    if by_error is None and trouble.id > 0:
        cls = Class.PERMANENT if trouble.permanent else Class.TRANSIENT
        retry = Retry.NO if trouble.permanent else Retry.LATER
        return Failure(str(trouble.id)[:9], _words(trouble.name, state), cls, fallback=True, retry=retry)
    found = by_error or by_status or Failure(f"status-{state.id}"[:16], _words("", state), Class.PERMANENT, fallback=True)
    # A report is an answer: there is nobody to ask whether it arrived, so the row's fallback and retry count.
    return replace(found, cls=Class.TRANSIENT) if found.cls is Class.UNKNOWN else found


def _words(name: str, state: State) -> str:
    said = name or state.description or state.name
    return f"Infobip says {short(said, 80)}" if said else "Infobip gives no reason"


def moment(text: str | None) -> int | None:
    """Their date (`2024-11-22T10:30:04.512+0000`, no colon in the offset) as UTC microseconds."""
    try:
        found = datetime.fromisoformat(text or "")
        return round(found.timestamp() * 1_000_000) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _address(text: str) -> str:
    digits = DIGITS.fullmatch(text)
    return f"+{digits[1]}" if digits else text


def _alias(text: str) -> str:
    """Short codes and names can write too, but are nobody's phone number."""
    digits = DIGITS.fullmatch(text)
    return f"phone:+{digits[1]}" if digits else f"sender:{short(text, 60)}"
