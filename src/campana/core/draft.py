"""A campaign while people build it: as incomplete as they left it. What is missing is told before the launch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field, ValidationError

from campana.core.campaign import CampaignFile, Canary, FollowUp, Hours, Limits, Message, Model
from campana.core.durations import DAY, HOUR, MINUTE

Kind = Literal["primary", "fallback", "follow_up"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ORDER: tuple[Kind, ...] = ("primary", "fallback", "follow_up")
MOST = {"primary": 1, "fallback": 5, "follow_up": 5}  # steps of a kind: more would be a nuisance to whoever gets them
LONGEST = 10_000  # signs of a text
MOST_HOURS = 72  # until a message without a receipt counts as not delivered


class DraftStep(Model):
    """One step as it is being written. `key` names it in the page for as long as it is there."""

    key: str = Field(pattern="^[a-z0-9]{1,12}$")
    kind: Kind
    on: bool = True  # off: kept as it is, and not sent
    sender: str = Field("", max_length=64)  # hex id of a sender; empty: not chosen yet
    text: str = Field("", max_length=LONGEST)
    template: str = Field("", max_length=512)
    language: str = Field("", max_length=35)
    values: dict[str, str] = Field(default_factory=dict)  # template field -> text with {{columns}}
    deadline: int | None = Field(
        None, ge=1, le=MOST_HOURS
    )  # hours without a receipt that count as not delivered; None: the channel's
    after: int = Field(1, ge=1, le=7)  # follow-ups: days after the delivery before it (contract 110)

    @property
    def chosen(self) -> bool:
        """Whether it says anything yet."""
        return bool(self.sender or self.text or self.template)


class OwnHours(Model):
    """Hours as they were typed, right or wrong: what is wrong is told, and kept until it is mended."""

    start: str = Field("08:00", alias="from", max_length=8)
    end: str = Field("21:00", alias="to", max_length=8)
    zone: str = Field("UTC", max_length=64)
    days: list[Day] | None = None

    def kept(self) -> Hours:
        """The hours that a campaign keeps; raises ValueError while something is wrong with them."""
        return Hours.model_validate(self.model_dump(by_alias=True))


class FirstPeople(Model):
    """To whom it goes first, as it was typed, right or wrong: what is wrong is told, and kept until it is mended."""

    on: bool = True  # off: kept as it is, and it goes to everybody at once
    by: Literal["people", "share"] = "people"
    amount: str = Field("1000", max_length=12)
    wait: str = Field("30", max_length=8)
    unit: Literal["minutes", "hours"] = "minutes"
    failed: str = Field("5", max_length=8)  # per cent, as are the two below
    opted_out: str = Field("1", max_length=8)
    unknown: str = Field("2", max_length=8)

    @property
    def length(self) -> int | None:
        """How long it is watched; None: that is no length between a minute and a week."""
        found = decimal_of(self.wait)
        length = None if found is None else round(found * (MINUTE if self.unit == "minutes" else HOUR))
        return length if length is not None and MINUTE <= length <= 7 * DAY else None

    def wrongs(self) -> list[str]:
        """The fields that cannot be kept as they are, in their order."""
        first = whole_of(self.amount) if self.by == "people" else decimal_of(self.amount)
        found = [] if first and (self.by == "people" or first <= 100) else ["amount"]
        found += [] if self.length is not None else ["wait"]
        limits = (("failed", self.failed), ("opted_out", self.opted_out), ("unknown", self.unknown))
        return found + [name for name, text in limits if not 0 <= _or(decimal_of(text), -1) <= 100]

    def kept(self) -> Canary:
        """What a campaign keeps of it; raises ValueError while something is wrong with it."""
        if self.wrongs():
            raise ValueError("it is not said to whom the campaign goes first")
        limits = {name: decimal_of(getattr(self, name)) for name in ("failed", "opted_out", "unknown")}
        who = {"people": whole_of(self.amount)} if self.by == "people" else {"share": decimal_of(self.amount)}
        return Canary.model_validate({**who, "wait": self.length, "limits": limits})


GROUPED = re.compile(r"[1-9]\d{0,2}([., \u00a0\u202f]\d{3})+")


def whole_of(text: str) -> int | None:
    """A whole number as people write it, its thousands joined by a point, a comma or a blank; None when it is none."""
    plain = text.strip()
    plain = re.sub(r"\D", "", plain) if GROUPED.fullmatch(plain) else plain
    return int(plain) if plain.isascii() and plain.isdigit() else None


def decimal_of(text: str) -> float | None:
    """A number with a point or a comma; None when it is none."""
    plain = text.strip().removesuffix("%").strip().replace(",", ".")
    return float(plain) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", plain, re.ASCII) else None


def _or(found: float | None, other: float) -> float:
    return other if found is None else found


class Schedule(Model):
    """When it starts: now, or at a local time of a zone, as it was typed."""

    when: Literal["now", "later"] = "now"
    date: str = Field("", max_length=10)
    time: str = Field("", max_length=5)
    zone: str = Field("", max_length=64)

    @property
    def start(self) -> str:
        """As `core.schedule.start_moment` reads it."""
        return "now" if self.when == "now" else f"{self.date} {self.time} {self.zone}"


class Draft(Model):
    """What a campaign will say and when. Its name, tags and audience stand beside it in the store."""

    steps: tuple[DraftStep, ...] = (DraftStep(key="s1", kind="primary"),)
    when: Literal["workspace", "own", "any"] = "workspace"  # whose active hours it keeps
    hours: OwnHours | None = None  # its own
    schedule: Schedule = Schedule()
    first: FirstPeople | None = None  # to whom it goes first

    @property
    def canary(self) -> Canary | None:
        """To whom it goes first, and how it is watched; None: to everybody at once. ValueError: that is wrong."""
        return self.first.kept() if self.first and self.first.on else None

    def hours_in(self, workspace: Hours | None) -> Hours | None:
        """The hours it keeps in a workspace with these; None: messages go out at any time. ValueError: they are wrong."""
        if self.when == "own":
            return self.hours.kept() if self.hours else None
        return workspace if self.when == "workspace" else None

    @property
    def sent(self) -> tuple[DraftStep, ...]:
        """The steps that are on, in the order of their turns."""
        return tuple(step for step in self.steps if step.on)

    def of_kind(self, kind: Kind) -> tuple[DraftStep, ...]:
        """The steps of one kind, on or off."""
        return tuple(step for step in self.steps if step.kind == kind)

    def step(self, key: str) -> DraftStep | None:
        """The step of that key."""
        return next((step for step in self.steps if step.key == key), None)

    @property
    def too_long(self) -> bool:
        """Whether a text is longer than any can be: such a draft is shown, and not kept."""
        return any(len(text) > LONGEST for step in self.steps for text in (step.text, *step.values.values()))

    def texts(self) -> Iterator[tuple[DraftStep, str, str]]:
        """Every text with columns in it: the step, the template's field or nothing, and the text."""
        for step in self.steps:
            if step.template:
                yield from ((step, field, text) for field, text in step.values.items())
            elif step.text:
                yield step, "", step.text


def read_draft(definition: str) -> Draft | None:
    """The draft of a campaign's definition; None when the campaign was made from a file."""
    try:
        return Draft.model_validate_json(definition)
    except ValidationError:
        return None


def add_step(draft: Draft, kind: Kind) -> Draft:
    """One more step of that kind, after its fellows; the same draft when there is room for no more."""
    if len(draft.of_kind(kind)) >= MOST[kind]:
        return draft
    used = {step.key for step in draft.steps}
    key = next(key for number in range(1, 100) if (key := f"s{number}") not in used)
    return with_steps(draft, (*draft.steps, DraftStep(key=key, kind=kind)))


def remove_step(draft: Draft, key: str) -> Draft:
    """Without that step; the primary stays."""
    return with_steps(draft, [step for step in draft.steps if step.key != key or step.kind == "primary"])


def move_step(draft: Draft, key: str, up: bool) -> Draft:
    """The step has changed places with the one of its kind before it, or after it; the outermost stays where it is."""
    steps = list(draft.steps)
    at = next((number for number, step in enumerate(steps) if step.key == key), None)
    if at is None:
        return draft
    other = at - 1 if up else at + 1
    if 0 <= other < len(steps) and steps[other].kind == steps[at].kind:
        steps[at], steps[other] = steps[other], steps[at]
    return with_steps(draft, steps)


def with_steps(draft: Draft, steps: Sequence[DraftStep]) -> Draft:
    """With these steps instead, in the order of their kinds."""
    in_order = tuple(step for kind in ORDER for step in steps if step.kind == kind)
    return draft.model_copy(update={"steps": in_order})


def draft_of_file(file: CampaignFile, sender_ids: dict[str, str]) -> Draft:
    """The draft that says what a campaign file says; senders that are gone are left open."""
    messages: list[tuple[Kind, Message]] = [("primary", file.primary)]
    messages += [("fallback", one) for one in file.fallbacks]
    messages += [("follow_up", one) for one in file.follow_ups]
    steps = [
        DraftStep(
            key=f"s{number}",
            kind=kind,
            sender=sender_ids.get(message.sender, ""),
            text=message.text or "",
            template=message.template or "",
            language=message.language or "",
            values=dict(message.values),
            deadline=_hours(message.not_delivered_after),
            after=message.after // DAY if isinstance(message, FollowUp) else 1,
        )
        for number, (kind, message) in enumerate(messages, 1)
    ]
    hours = OwnHours.model_validate(file.hours.model_dump(by_alias=True)) if file.hours else None
    return Draft(steps=tuple(steps), when="own" if file.hours else "any", hours=hours, first=_first(file.canary))


def _first(canary: Canary | None) -> FirstPeople | None:
    """As somebody would have typed it."""
    if canary is None:
        return None
    whole_hours = canary.wait % HOUR == 0
    told = {"unit": "hours" if whole_hours else "minutes", "wait": _plain(canary.wait / (HOUR if whole_hours else MINUTE))}
    if canary.people is not None:
        told |= {"by": "people", "amount": str(canary.people)}
    else:
        told |= {"by": "share", "amount": _plain(canary.share or 0)}
    limits: Limits = canary.limits
    return FirstPeople.model_validate(told | {name: _plain(n) for name, n in limits.model_dump().items()})


def _plain(number: float) -> str:
    """A number without signs that nobody types."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _hours(length: int | None) -> int | None:
    """A length of time in hours, as near as a draft can say it."""
    return None if length is None else max(1, min(MOST_HOURS, round(length / HOUR)))
