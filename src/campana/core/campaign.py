"""What a campaign says, to whom and when: the campaign file as people write it, and the plan it is frozen into at launch."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from campana.core.durations import DAY, HOUR, MINUTE, SECOND

UNITS = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY}
LENGTH = re.compile(r"\s*(\d+)\s*(s|m|min|h|d|seconds?|minutes?|hours?|days?)\s*")


def parse_length(value: object) -> object:
    """`24h`, `2 days`, `30 min` as microseconds."""
    if not isinstance(value, str):
        return value
    found = LENGTH.fullmatch(value)
    if not found:
        raise ValueError(f"{value!r} is not a length of time; write for example '24h' or '2 days'")
    unit = next(name for name in UNITS if name.startswith(found[2].removesuffix("s") or "s"))
    return int(found[1]) * UNITS[unit]


def _one_to_seven_days(value: int) -> int:
    if value % DAY or not DAY <= value <= 7 * DAY:
        raise ValueError("a follow-up comes after 1 to 7 whole days")
    return value


Length = Annotated[int, BeforeValidator(parse_length, json_schema_input_type=str)]
FollowUpDelay = Annotated[Length, AfterValidator(_one_to_seven_days)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class AudienceSpec(Model):
    """How the audience file is read."""

    phone: str | None = Field(None, description="Column of the phone numbers; default: the one named phone or CONTACT")
    email: str | None = Field(None, description="Column of the e-mail addresses; default: the one named email")
    country: str | None = Field(None, pattern="^[A-Z]{2}$", description="Country of numbers written without one, as MX")
    duplicates: Literal["first", "refuse"] = Field("refuse", description="Keep the first of a double, or refuse")
    flagged: Literal["refuse", "leave_out"] = Field("refuse", description="Refuse a file with flagged rows, or leave them out")


class Message(Model):
    """What one step says: `text`, or a `template` with `values`."""

    sender: str = Field(alias="from", description="Name of a sender in the settings")
    text: str | None = None
    template: str | None = None
    language: str | None = None
    values: dict[str, str] = Field(default_factory=dict, description='Template field to text: first_name: "{{name}}"')
    not_delivered_after: Length | None = Field(None, description="Without a receipt this long, the next fallback is sent")

    @model_validator(mode="after")
    def says_one_thing(self) -> Message:
        if (self.text is None) == (self.template is None):
            raise ValueError("write either 'text' or 'template'")
        if self.template is None and (self.values or self.language):
            raise ValueError("'values' and 'language' belong to a 'template'")
        if self.template is not None and not self.language:
            raise ValueError("a template needs its 'language', for example en_US")
        if self.text is not None and not self.text.strip():
            raise ValueError("the text is empty")
        return self


class FollowUp(Message):
    """Sent when nobody answered."""

    after: FollowUpDelay = Field(description="1 to 7 days after the delivery before it")


class Hours(Model):
    """When messages may go out; outside, they are held."""

    start: str = Field("08:00", alias="from", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field("21:00", alias="to", pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")
    zone: str = Field("UTC", description="IANA zone, or an offset such as -05:00")
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None = None

    @model_validator(mode="after")
    def are_some_time(self) -> Hours:
        if self.start == self.end:
            raise ValueError("the hours end when they begin; write another time to end, or leave the hours out for any time")
        return self


class Limits(Model):
    """How much may go wrong before a campaign pauses by itself, in per cent of the people it has been sent to."""

    failed: float = Field(5, ge=0, le=100, description="Messages that failed")
    opted_out: float = Field(1, ge=0, le=100, description="People who opted out")
    unknown: float = Field(2, ge=0, le=100, description="Messages of which nobody knows whether they were sent")


class Canary(Model):
    """To whom a campaign goes first: it goes on by itself when little goes wrong for a while, else it pauses and says why."""

    people: int | None = Field(None, ge=1, description="So many people first")
    share: float | None = Field(None, gt=0, le=100, description="So many per cent of the people first")
    wait: Length = Field(30 * MINUTE, ge=MINUTE, le=7 * DAY, description="How long it is watched once all of them were sent to")
    limits: Limits = Limits()

    @model_validator(mode="after")
    def says_how_many(self) -> Canary:
        if (self.people is None) == (self.share is None):
            raise ValueError("write either 'people' or 'share'")
        return self

    def first(self, offered: int) -> int:
        """How many of the people offered are the first."""
        wanted = self.people if self.people is not None else math.ceil(offered * (self.share or 0) / 100)
        return max(1, min(offered, wanted))


class CampaignFile(Model):
    """A campaign as a file."""

    name: str = Field(min_length=1, max_length=200)
    tags: list[str] = Field(default_factory=list)
    audience: AudienceSpec = AudienceSpec()
    primary: Message
    fallbacks: list[Message] = Field(default_factory=list)
    follow_ups: list[FollowUp] = Field(default_factory=list)
    start: str = Field("now", description="'now', or a local time and its zone: 2026-12-24 09:00 America/Mexico_City")
    hours: Hours | None = None
    canary: Canary | None = Field(None, description="Send to some people first, and pause when too much goes wrong")


class Step(Model):
    """One step of a frozen plan. `position` 0 is the primary; fallbacks follow in order, then follow-ups."""

    kind: Literal["primary", "fallback", "follow_up"]
    sender: str  # hex id of the sender row
    channel: str  # the channel's kind
    text: str | None = None
    template: str | None = None
    language: str | None = None
    values: dict[str, str] = Field(default_factory=dict)
    deadline: int | None  # journey microseconds without a receipt that count as not delivered; None: no clock
    delay: int = 0  # follow-ups: journey microseconds after the delivery before it


class Plan(Model):
    """The steps of a run, frozen at launch."""

    steps: tuple[Step, ...]
    hours: Hours | None = None
    zone: str = ""  # in which people chose the start; empty: it began at once

    @property
    def last_fallback(self) -> int:
        """Position of the last step that is tried while nothing has been delivered."""
        return sum(step.kind != "follow_up" for step in self.steps) - 1


def name_key(name: str) -> str:
    """What makes two campaign names the same: trimmed, blanks joined, case folded (contract 5)."""
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()


def tag_of(name: str, taken: Iterable[str] = ()) -> str:
    """The tag made from a name: lower case, no accents, words joined by `-`; taken ones get a number (contract 88)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    tag = "-".join(re.findall(r"[a-z0-9]+", plain)) or "campaign"
    used, number, found = set(taken), 2, tag
    while found in used:
        found, number = f"{tag}-{number}", number + 1
    return found


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the campaign file."""
    return CampaignFile.model_json_schema(by_alias=True)
