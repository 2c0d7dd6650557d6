"""A campaign while people build it: as incomplete as they left it. What is missing is told before the launch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field, ValidationError

from campana.core.campaign import CampaignFile, Canary, FollowUp, Hours, Message, Model
from campana.core.durations import DAY, HOUR

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
    canary: Canary | None = None

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
    return Draft(steps=tuple(steps), when="own" if file.hours else "any", hours=hours, canary=file.canary)


def _hours(length: int | None) -> int | None:
    """A length of time in hours, as near as a draft can say it."""
    return None if length is None else max(1, min(MOST_HOURS, round(length / HOUR)))
