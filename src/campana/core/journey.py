"""The heart: what becomes of one person in one run. `advance` knows no clock, no database and no vendor.

A journey tries its steps in order: the primary, then each fallback while nothing has been delivered, then each follow-up while
nobody has answered. What is not in the table changes nothing, so late, doubled and reordered events are harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

from msgspec import Struct
from msgspec.structs import replace

from campana.core.failure import Verdict
from campana.core.reason import ARRIVED, REPLIED, WANTS_NO_MORE


class Stage(IntEnum):
    """Where a person stands."""

    READY = 0  # a step is to be tried at `due_at`
    SENDING = 1  # an attempt is open: nobody may start another
    SENT = 2  # handed over, or perhaps; the receipt clock ends at `due_at`
    WAITING = 3  # reached; the next follow-up is due at `due_at`
    DONE = 4


class Outcome(StrEnum):
    """What is said of a person; the counts of all of them sum to the people offered."""

    WAITING = "waiting"
    SENDING = "sending"
    REPLIED = "replied"
    DELIVERED = "delivered"
    UNREACHED = "unreached"
    OPTED_OUT = "opted_out"
    SUPPRESSED = "suppressed"
    SKIPPED = "skipped"
    ENDED = "ended"
    UNKNOWN = "unknown"


OUTCOMES = tuple(Outcome)  # stored by position, so new ones go at the end


class Happening(Enum):
    """What can happen to a journey."""

    STARTED = "an attempt begins"
    ACCEPTED = "the vendor took it"
    UNSENT = "surely not sent: the step waits for its next turn"
    UNCERTAIN = "perhaps sent"
    UNKNOWN = "nobody can tell whether it was sent"
    FAILED = "not accepted, or a receipt says it did not arrive"
    DELIVERED = "it arrived"
    DEADLINE = "no receipt for too long"
    CANNOT = "this person cannot take the step"
    BARRED = "this person wants nothing on the step's channel"
    REPLIED = "the person answered"
    OPTED_OUT = "the person wants no more"
    ENDED = "the campaign was ended"


class Event(Struct, frozen=True, gc=False):
    """One happening. `current` is False when it concerns an attempt before the latest one."""

    what: Happening
    at: int
    current: bool = True
    verdict: Verdict | None = None  # with FAILED
    again_at: int = 0  # with UNSENT, and FAILED that is tried again or held: when
    reason: str = ""
    reopens: bool = False  # with UNSENT: the run goes on, so a step that was given up for it has its turn after all


class Journey(Struct, frozen=True, gc=False):
    """The state of one person in one run. Times are UTC microseconds."""

    stage: Stage = Stage.READY
    step: int = 0  # the step that is next or open
    tries: int = 0  # counted attempts at it
    due_at: int | None = None
    step_at: int | None = None  # when the step was first tried
    reached_at: int | None = None
    tried: bool = False  # any step was
    unknown: bool = False  # what became of the step tried last is not known
    barred: bool = False  # a step was left out because the person opted out of its channel
    outcome: Outcome = Outcome.WAITING
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a journey needs of its plan: for each step the receipt deadline, and the delay after the delivery before it."""

    deadlines: tuple[int | None, ...]
    delays: tuple[int, ...]
    last_fallback: int

    def follow_up_after(self, step: int) -> int | None:
        """Position of the follow-up that comes once `step` has been delivered."""
        following = max(step, self.last_fallback) + 1
        return following if following < len(self.deadlines) else None


class Decision(Struct, frozen=True, gc=False):
    """A decision that is no message; it gets a row with its reason."""

    kind: str  # skip, fallback, hold, retry, cancel, deadline, end
    step: int
    reason: str  # as core.reason keeps it


Next = tuple[Journey, list[Decision]]
Rule = Callable[[Journey, Event, Shape], Next]


def advance(journey: Journey, event: Event, shape: Shape) -> Next:
    """What the journey becomes, and the decisions taken on the way."""
    rule = TABLE.get((journey.stage, event.what))
    return rule(journey, event, shape) if rule else (journey, [])


def _start(journey: Journey, event: Event, shape: Shape) -> Next:
    fresh = journey.tries == 0
    started = replace(
        journey,
        stage=Stage.SENDING,
        tries=journey.tries + 1,
        due_at=None,
        step_at=event.at if fresh else journey.step_at,
        tried=True,
        unknown=False,
        outcome=Outcome.SENDING,
        reason="",
    )
    return started, []


def _accept(journey: Journey, event: Event, shape: Shape) -> Next:
    if journey.reached_at is not None and journey.step <= shape.last_fallback:
        return _wait_for_reply(journey, journey.step, journey.reached_at, shape), []
    return _await_receipt(journey, event, shape, unknown=False), []


def _uncertain(journey: Journey, event: Event, shape: Shape) -> Next:
    return _await_receipt(journey, event, shape, unknown=True), []


def _await_receipt(journey: Journey, event: Event, shape: Shape, unknown: bool) -> Journey:
    deadline = shape.deadlines[journey.step]
    due = None if deadline is None else event.at + deadline
    return replace(journey, stage=Stage.SENT, due_at=due, unknown=unknown, outcome=Outcome.WAITING, reason=event.reason)


def _settled(journey: Journey, event: Event, shape: Shape) -> Next:
    """An uncertain attempt turns out accepted: its receipt clock goes on."""
    return (replace(journey, unknown=False, reason=""), []) if event.current else (journey, [])


def _unsent(journey: Journey, event: Event, shape: Shape) -> Next:
    """Nobody is burnt by our own trouble: the attempt does not count."""
    if not event.current:
        return journey, []
    again = replace(
        journey,
        stage=Stage.READY,
        tries=journey.tries - 1,
        due_at=event.again_at,
        unknown=False,
        outcome=Outcome.WAITING,
        reason=event.reason,
    )
    return _after_late_delivery(again, shape), [Decision("retry", journey.step, event.reason)]


def _unknown(journey: Journey, event: Event, shape: Shape) -> Next:
    return (replace(journey, unknown=True, reason=event.reason), []) if event.current else (journey, [])


def _fail(journey: Journey, event: Event, shape: Shape) -> Next:
    if not event.current:
        return journey, []
    failed = replace(journey, unknown=False)
    if event.verdict is Verdict.OPTED_OUT:
        return _finish(failed, Outcome.OPTED_OUT, event.reason), []
    if event.verdict is Verdict.HOLD:
        return _unsent(failed, event, shape)[0], [Decision("hold", journey.step, event.reason)]
    if event.verdict is Verdict.RETRY and _in_time(journey, event.again_at, shape):
        again = replace(failed, stage=Stage.READY, due_at=event.again_at, outcome=Outcome.WAITING, reason=event.reason)
        return _after_late_delivery(again, shape), [Decision("retry", journey.step, event.reason)]
    if event.verdict is Verdict.END:
        return _finish(failed, None, event.reason), []
    return _next_step(failed, event, shape)


def _in_time(journey: Journey, moment: int, shape: Shape) -> bool:
    """Whether the step may still be tried at `moment`: its own deadline limits how long it is repeated."""
    deadline = shape.deadlines[journey.step]
    return deadline is None or journey.step_at is None or moment <= journey.step_at + deadline


def _after_late_delivery(journey: Journey, shape: Shape) -> Journey:
    """A step about to be repeated is not needed when an earlier one has arrived meanwhile."""
    if journey.reached_at is not None and journey.step <= shape.last_fallback:
        return _wait_for_reply(journey, journey.step, journey.reached_at, shape)
    return journey


def _next_step(journey: Journey, event: Event, shape: Shape) -> Next:
    """The next fallback takes its turn; after the last one, and after a follow-up, the journey ends."""
    if journey.reached_at is not None and journey.step <= shape.last_fallback:
        return _wait_for_reply(journey, journey.step, journey.reached_at, shape), []
    if journey.step >= shape.last_fallback:
        return _finish(journey, None, event.reason), []
    step = journey.step + 1
    moved = replace(
        journey,
        stage=Stage.READY,
        step=step,
        tries=0,
        due_at=event.at,
        step_at=None,
        outcome=Outcome.WAITING,
        reason=event.reason,
    )
    return moved, [Decision("fallback", step, event.reason)]


def _deadline(journey: Journey, event: Event, shape: Shape) -> Next:
    """The step counts as not delivered; an unknown attempt stays unknown."""
    after, decisions = _next_step(journey, event, shape)
    return after, [Decision("deadline", journey.step, event.reason), *decisions]


def _cannot(journey: Journey, event: Event, shape: Shape) -> Next:
    barred = journey.barred or event.what is Happening.BARRED
    after, decisions = _next_step(replace(journey, barred=barred), event, shape)
    return after, [Decision("skip", journey.step, event.reason), *decisions]


def _deliver(journey: Journey, event: Event, shape: Shape) -> Next:
    """It arrived: what is left of the fallbacks is not needed. A follow-up is counted from here."""
    if journey.reached_at is not None and not event.current:
        return journey, []
    reached = replace(journey, reached_at=event.at, unknown=False)
    if journey.stage is Stage.SENDING and not event.current:
        return reached, []  # a fallback is on its way: it stays sent, its answer will be awaited
    waiting = _wait_for_reply(reached, journey.step, event.at, shape)
    cancelled = journey.stage is Stage.READY
    return waiting, [Decision("cancel", journey.step, ARRIVED)] if cancelled else []


def _wait_for_reply(journey: Journey, step: int, since: int, shape: Shape) -> Journey:
    following = shape.follow_up_after(step)
    if following is None:
        return _finish(replace(journey, reached_at=since), Outcome.DELIVERED, "")
    return replace(
        journey,
        stage=Stage.WAITING,
        step=following,
        tries=0,
        due_at=since + shape.delays[following],
        step_at=None,
        unknown=False,
        outcome=Outcome.WAITING,
        reason="",
    )


def _late_delivery(journey: Journey, event: Event, shape: Shape) -> Next:
    """A receipt after the end still tells the truth: it changes what is said of the person, not what is done."""
    if journey.outcome in {Outcome.UNREACHED, Outcome.UNKNOWN, Outcome.ENDED}:
        return replace(journey, reached_at=event.at, unknown=False, outcome=Outcome.DELIVERED, reason=""), []
    return journey, []


def _reply(journey: Journey, event: Event, shape: Shape) -> Next:
    cancelled = [] if journey.due_at is None else [Decision("cancel", journey.step, REPLIED)]
    return _finish(journey, Outcome.REPLIED, ""), cancelled


def _late_reply(journey: Journey, event: Event, shape: Shape) -> Next:
    if journey.outcome in {Outcome.DELIVERED, Outcome.UNREACHED, Outcome.UNKNOWN}:
        return replace(journey, outcome=Outcome.REPLIED, reason=""), []
    return journey, []


def _opt_out(journey: Journey, event: Event, shape: Shape) -> Next:
    cancelled = [] if journey.due_at is None else [Decision("cancel", journey.step, WANTS_NO_MORE)]
    return _finish(journey, Outcome.OPTED_OUT, event.reason), cancelled


def _late_opt_out(journey: Journey, event: Event, shape: Shape) -> Next:
    if journey.outcome in {Outcome.ENDED, Outcome.SKIPPED, Outcome.SUPPRESSED}:
        return journey, []
    return replace(journey, outcome=Outcome.OPTED_OUT, reason=event.reason), []


def _late_failure(journey: Journey, event: Event, shape: Shape) -> Next:
    """Only an opt-out told by a late receipt still matters; an unknown attempt that failed is no longer unknown."""
    if event.verdict is Verdict.OPTED_OUT:
        return _late_opt_out(journey, event, shape)
    return _late_knowledge(journey, event, shape)


def _late_knowledge(journey: Journey, event: Event, shape: Shape) -> Next:
    """What became of the attempt tried last is known after all. It has not arrived; if it still does, that is told later."""
    if event.current and journey.outcome is Outcome.UNKNOWN:
        return replace(journey, unknown=False, outcome=Outcome.UNREACHED, reason=event.reason or journey.reason), []
    return journey, []


def _late_unsent(journey: Journey, event: Event, shape: Shape) -> Next:
    """The step was given up because nobody knew, and now it is known that the vendor never took it: nobody is missed for that."""
    if not (event.current and event.reopens and journey.outcome is Outcome.UNKNOWN):
        return _late_knowledge(journey, event, shape)
    again = replace(
        journey,
        stage=Stage.READY,
        tries=0,
        due_at=event.again_at,
        step_at=None,
        unknown=False,
        outcome=Outcome.WAITING,
        reason=event.reason,
    )
    return again, [Decision("retry", journey.step, event.reason)]


def _end(journey: Journey, event: Event, shape: Shape) -> Next:
    """Who was reached stays delivered; of the others is said that the campaign was ended first."""
    outcome = Outcome.DELIVERED if journey.reached_at is not None else Outcome.ENDED
    return _finish(journey, outcome, event.reason), [Decision("end", journey.step, event.reason)]


def _finish(journey: Journey, outcome: Outcome | None, reason: str) -> Journey:
    return replace(journey, stage=Stage.DONE, due_at=None, outcome=outcome or final(journey), reason=reason)


def final(journey: Journey) -> Outcome:
    """What is said of a person whose steps are used up."""
    if journey.reached_at is not None:
        return Outcome.DELIVERED
    if journey.tried:
        return Outcome.UNKNOWN if journey.unknown else Outcome.UNREACHED
    return Outcome.SUPPRESSED if journey.barred else Outcome.SKIPPED


READY, SENDING, SENT, WAITING, DONE = Stage
H = Happening
TABLE: dict[tuple[Stage, Happening], Rule] = {
    (READY, H.STARTED): _start,
    (READY, H.CANNOT): _cannot,
    (READY, H.BARRED): _cannot,
    (READY, H.DELIVERED): _deliver,
    (READY, H.REPLIED): _reply,
    (READY, H.OPTED_OUT): _opt_out,
    (READY, H.ENDED): _end,
    (SENDING, H.ACCEPTED): _accept,
    (SENDING, H.UNSENT): _unsent,
    (SENDING, H.UNCERTAIN): _uncertain,
    (SENDING, H.FAILED): _fail,
    (SENDING, H.DELIVERED): _deliver,
    (SENDING, H.REPLIED): _reply,
    (SENDING, H.OPTED_OUT): _opt_out,
    (SENDING, H.ENDED): _end,
    (SENT, H.ACCEPTED): _settled,
    (SENT, H.UNSENT): _unsent,
    (SENT, H.UNKNOWN): _unknown,
    (SENT, H.FAILED): _fail,
    (SENT, H.DELIVERED): _deliver,
    (SENT, H.DEADLINE): _deadline,
    (SENT, H.REPLIED): _reply,
    (SENT, H.OPTED_OUT): _opt_out,
    (SENT, H.ENDED): _end,
    (WAITING, H.STARTED): _start,
    (WAITING, H.CANNOT): _cannot,
    (WAITING, H.BARRED): _cannot,
    (WAITING, H.REPLIED): _reply,
    (WAITING, H.OPTED_OUT): _opt_out,
    (WAITING, H.ENDED): _end,
    (DONE, H.DELIVERED): _late_delivery,
    (DONE, H.REPLIED): _late_reply,
    (DONE, H.OPTED_OUT): _late_opt_out,
    (DONE, H.FAILED): _late_failure,
    (DONE, H.ACCEPTED): _late_knowledge,
    (DONE, H.UNSENT): _late_unsent,
}
