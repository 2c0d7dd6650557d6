"""What the stand-ins speak of: messages, what people write, and how a call ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from campana.core.exchange import Response
from campana.standin.ledger import Step

RANK = {"accepted": 0, "queued": 1, "sent": 2, "undelivered": 3, "failed": 3, "delivered": 4, "read": 5}
NOT_DELIVERED = frozenset({"undelivered", "failed"})


@dataclass(frozen=True, slots=True)
class Reply:
    """How one call ends: the answer after a delay, or what happens in its stead."""

    response: Response
    delay: int = 0  # microseconds
    cut: Literal["before", "after"] | None = None  # the connection is cut instead, before or after acceptance
    hang: int = 0  # microseconds without an answer; then the connection is closed


@dataclass(frozen=True, slots=True)
class Sending:
    """A request to send, understood and found lawful."""

    to: str  # as it was given
    person: str
    sender: str
    ref: str
    text: str
    hash: str  # of what makes two messages the same
    url: str = ""
    service: str = ""
    category: str = ""
    fails: int = 0  # code of a receipt: accepted, but it will never arrive
    more: dict[str, Any] | None = None  # what else its receipts say


@dataclass(slots=True)
class Message:
    """An accepted message."""

    id: str
    sending: Sending
    at: int
    plan: Sequence[Step]
    status: str
    updated: int
    code: int = 0
    told: int = 0  # bit for each step whose webhook is settled


@dataclass(frozen=True, slots=True)
class Words:
    """A message of a person."""

    id: str
    person: str
    to: str
    text: str
    quotes: str = ""
    service: str = ""


class Refused(Exception):
    """The vendor refuses; the answer says why."""

    def __init__(self, code: int, response: Response, *, to: str = "", ref: str = "") -> None:
        super().__init__(code)
        self.code, self.response, self.to, self.ref = code, response, to, ref


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the vendor tells of the account: the body of a webhook."""

    id: str
    body: dict[str, Any]
