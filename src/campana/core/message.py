"""A message is one attempt to hand one thing to one channel for one person. Here: its statuses, and what is told of it later.

Statuses only move up. The number *is* the rank, so a receipt that comes late, twice or out of order is settled by `max`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from msgspec import Struct

from campana.core.failure import Failure
from campana.core.ids import Id


class Status(IntEnum):
    """What is known of one attempt, in rank order (see `shared status set` in docs/architecture.md)."""

    SENDING = 10  # ours: written down before the call
    UNCERTAIN = 20  # ours: the answer was lost
    UNKNOWN = 30  # ours: the answer was lost and nobody can tell
    QUEUED = 40  # the vendor accepted it
    SENT = 50  # the vendor handed it on
    ERROR = 60  # the address is not usable
    FAILED = 61  # it could not be sent
    UNDELIVERED = 62  # a receipt says it did not arrive
    DELIVERED = 70  # a receipt says it arrived, even after a failure was told
    READ = 80

    @property
    def word(self) -> str:
        """The word people see: what we have not handed over yet is being prepared."""
        return "preparing" if self is Status.SENDING else self.name.lower()


NOT_DELIVERED = frozenset({Status.ERROR, Status.FAILED, Status.UNDELIVERED})
ARRIVED = frozenset({Status.DELIVERED, Status.READ})


class Reach(StrEnum):
    """What a channel needs of a person."""

    PHONE = "phone"
    EMAIL = "email"


class Rendered(Struct, frozen=True, gc=False):
    """What one person gets at one step, frozen. `problem` says why they cannot get it; then nothing else counts."""

    text: str = ""  # as the person reads it
    content: Mapping[str, Any] = {}  # what the channel's build_request needs; plain JSON
    segments: int = 1
    problem: str | None = None
    why: Mapping[str, Any] = {}  # the problem as pages say it: its code, and what their sentence names


class Outgoing(Struct, frozen=True, gc=False):
    """One attempt on its way to a vendor."""

    id: Id
    sender: str  # the sender's address as the vendor knows it: number, phone number id, service id
    to: str  # E.164, or the alias the vendor gave for it
    content: Mapping[str, Any]
    callback_url: str = ""  # where the vendor tells what became of it
    started_at: int = 0  # UTC microseconds; a look-up compares it with what the vendor saw


class Accepted(Struct, frozen=True, gc=False):
    """The vendor took it. `alias` is its own name for the address, when it differs from ours."""

    vendor_id: str
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """Perhaps sent: the request went out and its answer did not come back, or says nothing about acceptance."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """Surely not sent: not one byte of the request left the house, or the vendor said it did not process it."""

    reason: str
    retry_after: int | None = None  # microseconds


Result = Accepted | Failure | Lost | Unsent


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the vendor tells of a message. `message_id` is our own reference, when the vendor echoes it."""

    vendor_id: str
    status: Status
    at: int  # UTC microseconds, by the vendor's clock
    message_id: Id | None = None
    failure: Failure | None = None
    alias: str | None = None  # the vendor's name for the address it went to


class Wish(StrEnum):
    """What a person's words, or a vendor on their behalf, ask of us."""

    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Inbound:
    """A person wrote, tapped or spoke. `aliases` are all names the vendor gives for the person, `kind:value`, best first."""

    vendor_id: str
    aliases: tuple[str, ...]  # "phone:+525511223344", "wa_id:5215511223344", "user_id:US.1349..."
    to: str  # the sender of ours they wrote to, as the vendor knows it
    text: str
    at: int
    quotes: str | None = None  # vendor id of the message they answered
    wish: Wish | None = None  # told by the vendor; words are read by core/optout
    vendor_answers: bool = False  # the vendor confirms the wish itself: we must not answer twice
    is_reply: bool = True  # False for reactions and notices: stored, but no answer to anything
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Preference:
    """A person told the vendor, not us, that they want no more (or again) messages of this sender."""

    aliases: tuple[str, ...]
    wish: Wish
    at: int
    scope: str = "marketing"


@dataclass(frozen=True, slots=True)
class TemplateChanged:
    """The vendor changed a template's status or category."""

    name: str
    language: str
    at: int
    status: str | None = None
    category: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AddressChanged:
    """A person has a new address at the vendor."""

    old: str
    new: str
    at: int


@dataclass(frozen=True, slots=True)
class AccountNotice:
    """The vendor tells something of our account or number that a person must know."""

    words: str
    at: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unrecognized:
    """An event we have no word for: kept and shown to people, never guessed."""

    words: str


Event = Receipt | Inbound | Preference | TemplateChanged | AddressChanged | AccountNotice | Unrecognized
