"""Faults on demand: what may go wrong at a stand-in, for everybody by odds or for chosen numbers by rules.

Nothing here is random. Every draw is taken from the seed, the person's address and how many calls came for it before, so a
stand-in that was killed and rebuilt, or a rehearsal run twice, behaves the same.
"""

from __future__ import annotations

import hashlib
import struct
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from campana.standin.numbers import person_of

Vendor = Literal["twilio", "whatsapp", "infobip"]
DRAWS = struct.Struct(">8Q")
WHOLE = 2.0**64
GOES_WELL = frozenset({2, 3, 5, 7, 26})  # Infobip's statuses of a message that is on its way or has arrived


class Fault(StrEnum):
    """What can strike a call."""

    THROTTLED = "throttled"  # 429 with Retry-After; not accepted
    BROKEN = "broken"  # 5xx; not accepted
    BROKEN_AFTER = "broken_after"  # 5xx, and yet accepted
    CUT_BEFORE = "cut_before"  # the connection is cut, not accepted
    CUT_AFTER = "cut_after"  # accepted, then the connection is cut
    SILENT = "silent"  # accepted, and no answer ever comes


ACCEPTS = frozenset({Fault.BROKEN_AFTER, Fault.CUT_AFTER, Fault.SILENT})


def _span(value: object) -> object:
    return (value, value) if isinstance(value, int | float) else value


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] <= value[1]:
        raise ValueError("write seconds, or [least, most]")
    return value


Share = Annotated[float, Field(ge=0, le=1)]
Span = Annotated[
    tuple[float, float], AfterValidator(_ordered), BeforeValidator(_span, json_schema_input_type=float | tuple[float, float])
]


def microseconds(span: tuple[float, float], draw: float, scale: float = 1.0) -> int:
    """The length that a draw in 0..1 picks from a span of seconds, divided by the time scale."""
    return int((span[0] + (span[1] - span[0]) * draw) * 1_000_000 / scale)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Odds(Model):
    """How often each fault strikes a call, as a share of the calls."""

    throttled: Share = 0
    broken: Share = 0
    broken_after: Share = 0
    cut_before: Share = 0
    cut_after: Share = 0
    silent: Share = 0

    @cached_property
    def chances(self) -> tuple[tuple[Fault, float], ...]:
        """The faults that can strike at all."""
        return tuple((fault, chance) for fault in Fault if (chance := getattr(self, fault)))

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if sum(self.model_dump().values()) > 1:
            raise ValueError("the odds of all faults together must not pass 1")
        return self


class ReceiptOdds(Model):
    """How often the receipts of a message come in a strange way, as a share of the messages."""

    doubled: Share = 0
    reordered: Share = 0
    late: Share = 0
    late_by: Span = (60.0, 60.0)
    missing: Share = 0


class Who(Model):
    """Whom something is for: one number, numbers by their ending, or a share of all people. All that is given must fit."""

    vendor: Vendor | None = None
    number: str | None = Field(None, description="As +525511223344")
    suffix: str | None = Field(None, description="Last digits of the number")
    share: Share | None = None


class Rule(Who):
    """What befalls the calls for some people: a fault, or a code of the vendor's."""

    fault: Fault | None = None
    code: int | None = Field(None, gt=0, description="The vendor's error code")
    status: int | None = Field(None, gt=0, description="Infobip's status id, which may come with a code")
    told: Literal["answer", "receipt"] | None = Field(None, description="Where it is told; default: as the vendor does")
    times: int | None = Field(None, gt=0, description="Only the first so many calls for a number")

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if (self.fault is None) == (self.code is None and self.status is None):
            raise ValueError("a rule needs either fault or code")
        if self.status is not None and self.vendor != "infobip":
            raise ValueError("a status is Infobip's: write vendor: infobip, or a code")
        if self.status in GOES_WELL:
            raise ValueError("a rule's status is one of those that say what went wrong")
        return self


class Reply(Who):
    """People who answer the first message that reaches them."""

    text: str = Field("yes please", min_length=1, max_length=1600)
    after: Span = (2.0, 10.0)


class Faults(Model):
    """All that may go wrong, and who answers."""

    latency: Span = Field((0.0, 0.0), description="Seconds before an answer leaves; not divided by the time scale")
    retry_after: int = Field(1, ge=0, description="Seconds told with a 429")
    silence: float = Field(120, gt=0, description="Seconds after which a silent connection is closed")
    odds: Odds = Odds()
    receipts: ReceiptOdds = ReceiptOdds()
    rules: tuple[Rule, ...] = ()
    people: tuple[Reply, ...] = Field((), description="The first entry that fits a person counts")


class Strike(NamedTuple):
    """What befalls one call."""

    fault: Fault | None = None
    code: int | None = None
    told: str | None = None
    status: int | None = None


def draws(seed: int, *key: object) -> tuple[float, ...]:
    """Eight numbers in 0..1, always the same for the same seed and key."""
    text = "\x1f".join([str(seed), *map(str, key)])
    return tuple(number / WHOLE for number in DRAWS.unpack(hashlib.blake2b(text.encode()).digest()))


def is_for(who: Who, vendor: str, person: str, seed: int, place: str) -> bool:
    """Whether `who` names this person. `place` tells two shares of one list apart."""
    return _names(who, vendor, person) and (who.share is None or draws(seed, place, person)[0] < who.share)


def _names(who: Who, vendor: str, person: str) -> bool:
    if who.vendor not in (None, vendor):
        return False
    if who.number is not None and person_of(who.number) != person:
        return False
    return who.suffix is None or person.endswith(who.suffix)


def strike(faults: Faults, vendor: str, person: str, call: int, seed: int, draw: float) -> Strike:
    """What befalls the `call`-th call (0 is the first) for a person: the first rule that fits, else the odds by `draw`."""
    for place, rule in enumerate(faults.rules):
        if (rule.times is None or call < rule.times) and is_for(rule, vendor, person, seed, f"rule{place}"):
            return Strike(rule.fault, rule.code, rule.told, rule.status)
    for fault, chance in faults.odds.chances:
        if draw < chance:
            return Strike(fault)
        draw -= chance
    return Strike()


def reply_of(faults: Faults, vendor: str, person: str, seed: int) -> Reply | None:
    """How a person answers, or None for the silent ones."""
    shares = 0.0
    draw = draws(seed, "people", person)[0]
    for reply in faults.people:
        if not _names(reply, vendor, person):
            continue
        if reply.share is None:
            return reply
        shares += reply.share  # shares of one list are parts of one whole: nobody both agrees and says STOP
        if draw < shares:
            return reply
    return None
