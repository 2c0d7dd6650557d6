"""One person's journey: a table of stories, and a machine that tries every order of events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from campana.core.failure import Verdict
from campana.core.journey import OUTCOMES, TABLE, Event, Happening, Journey, Outcome, Shape, Stage, advance

DAY = 86_400
SHAPE = Shape(deadlines=(DAY, DAY, DAY, DAY), delays=(0, 0, 2 * DAY, 3 * DAY), last_fallback=1)
LONELY = Shape(deadlines=(DAY,), delays=(0,), last_fallback=0)
H = Happening


def happen(what: Happening, at: int = 0, **more: object) -> Event:
    return Event(what, at, **more)  # type: ignore[arg-type]


def tell(shape: Shape, *events: Event) -> Journey:
    journey = Journey(due_at=0)
    for event in events:
        journey, _ = advance(journey, event, shape)
    return journey


SENT = [happen(H.STARTED, 1), happen(H.ACCEPTED, 2)]
DELIVERED = [*SENT, happen(H.DELIVERED, 10)]
UNKNOWN = [SENT[0], happen(H.UNCERTAIN, 5), happen(H.UNKNOWN, 6), happen(H.DEADLINE, 99)]
PERMANENT = {"verdict": Verdict.NEXT, "reason": "not on WhatsApp"}

STORIES = [
    ("enrolled", SHAPE, [], Stage.READY, 0, Outcome.WAITING, 0),
    ("called", SHAPE, SENT[:1], Stage.SENDING, 0, Outcome.SENDING, None),
    ("accepted: the receipt clock runs", SHAPE, SENT, Stage.SENT, 0, Outcome.WAITING, 2 + DAY),
    ("delivered: the follow-up is due two days later", SHAPE, DELIVERED, Stage.WAITING, 2, Outcome.WAITING, 10 + 2 * DAY),
    ("delivered, nothing follows", LONELY, DELIVERED, Stage.DONE, 0, Outcome.DELIVERED, None),
    ("a receipt before settle", SHAPE, [SENT[0], happen(H.DELIVERED, 9)], Stage.WAITING, 2, Outcome.WAITING, 9 + 2 * DAY),
    (
        "refused: the fallback is due at once",
        SHAPE,
        [SENT[0], happen(H.FAILED, 3, **PERMANENT)],
        Stage.READY,
        1,
        Outcome.WAITING,
        3,
    ),
    ("failed by receipt", SHAPE, [*SENT, happen(H.FAILED, 7, **PERMANENT)], Stage.READY, 1, Outcome.WAITING, 7),
    ("no receipt in time", SHAPE, [*SENT, happen(H.DEADLINE, 99)], Stage.READY, 1, Outcome.WAITING, 99),
    ("no receipt and no fallback", LONELY, [*SENT, happen(H.DEADLINE, 99)], Stage.DONE, 0, Outcome.UNREACHED, None),
    ("no phone: the next step at once", SHAPE, [happen(H.CANNOT, 1)], Stage.READY, 1, Outcome.WAITING, 1),
    ("no step can be tried", SHAPE, [happen(H.CANNOT, 1)] * 2, Stage.DONE, 1, Outcome.SKIPPED, None),
    ("opted out of all of it", SHAPE, [happen(H.BARRED, 1), happen(H.CANNOT, 1)], Stage.DONE, 1, Outcome.SUPPRESSED, None),
    (
        "opt-out as the answer: no fallback",
        SHAPE,
        [SENT[0], happen(H.FAILED, 3, verdict=Verdict.OPTED_OUT)],
        Stage.DONE,
        0,
        Outcome.OPTED_OUT,
        None,
    ),
    (
        "a transient failure is tried again later",
        SHAPE,
        [SENT[0], happen(H.FAILED, 3, verdict=Verdict.RETRY, again_at=50)],
        Stage.READY,
        0,
        Outcome.WAITING,
        50,
    ),
    (
        "but not beyond the step's deadline",
        SHAPE,
        [SENT[0], happen(H.FAILED, 3, verdict=Verdict.RETRY, again_at=2 + 2 * DAY)],
        Stage.READY,
        1,
        Outcome.WAITING,
        3,
    ),
    (
        "our own trouble burns nobody",
        SHAPE,
        [SENT[0], happen(H.FAILED, 3, verdict=Verdict.HOLD, again_at=3)],
        Stage.READY,
        0,
        Outcome.WAITING,
        3,
    ),
    ("uncertain: its deadline runs", SHAPE, [SENT[0], happen(H.UNCERTAIN, 5)], Stage.SENT, 0, Outcome.WAITING, 5 + DAY),
    (
        "unknown to the end",
        LONELY,
        [SENT[0], happen(H.UNCERTAIN, 5), happen(H.UNKNOWN, 6), happen(H.DEADLINE, 99)],
        Stage.DONE,
        0,
        Outcome.UNKNOWN,
        None,
    ),
    (
        "unknown, then the fallback failed: unreached",
        SHAPE,
        [SENT[0], happen(H.UNCERTAIN, 5), happen(H.DEADLINE, 99), happen(H.STARTED, 100), happen(H.FAILED, 101, **PERMANENT)],
        Stage.DONE,
        1,
        Outcome.UNREACHED,
        None,
    ),
    (
        "a look-up says it was never taken: the same step again",
        SHAPE,
        [SENT[0], happen(H.UNCERTAIN, 5), happen(H.UNSENT, 8, again_at=8)],
        Stage.READY,
        0,
        Outcome.WAITING,
        8,
    ),
    (
        "delivered after failed wins while the fallback waits",
        SHAPE,
        [*SENT, happen(H.FAILED, 7, **PERMANENT), happen(H.DELIVERED, 8, current=False)],
        Stage.WAITING,
        2,
        Outcome.WAITING,
        8 + 2 * DAY,
    ),
    (
        "delivered after failed, the fallback already on its way: it stays sent, and both count once",
        SHAPE,
        [
            *SENT,
            happen(H.FAILED, 7, **PERMANENT),
            happen(H.STARTED, 8),
            happen(H.DELIVERED, 9, current=False),
            happen(H.ACCEPTED, 10),
        ],
        Stage.WAITING,
        2,
        Outcome.WAITING,
        9 + 2 * DAY,
    ),
    (
        "delivered after the end still tells the truth",
        LONELY,
        [*SENT, happen(H.DEADLINE, 99), happen(H.DELIVERED, 200)],
        Stage.DONE,
        0,
        Outcome.DELIVERED,
        None,
    ),
    *(
        (
            f"unknown to the end, and then {name}: unreached",
            LONELY,
            [*UNKNOWN, happen(what)],
            Stage.DONE,
            0,
            Outcome.UNREACHED,
            None,
        )
        for name, what in (("it was never taken", H.UNSENT), ("it was taken", H.ACCEPTED), ("it failed", H.FAILED))
    ),
    (
        "unknown to the end, and news of an earlier attempt: still unknown",
        LONELY,
        [*UNKNOWN, happen(H.UNSENT, current=False), happen(H.ACCEPTED, current=False)],
        Stage.DONE,
        0,
        Outcome.UNKNOWN,
        None,
    ),
    (
        "taken after all, and then it arrives",
        LONELY,
        [*UNKNOWN, happen(H.ACCEPTED), happen(H.DELIVERED)],
        Stage.DONE,
        0,
        Outcome.DELIVERED,
        None,
    ),
    (
        "what is known already is not made worse by late news",
        LONELY,
        [*DELIVERED, happen(H.UNSENT), happen(H.ACCEPTED)],
        Stage.DONE,
        0,
        Outcome.DELIVERED,
        None,
    ),
    ("a reply cancels the follow-up", SHAPE, [*DELIVERED, happen(H.REPLIED, 20)], Stage.DONE, 2, Outcome.REPLIED, None),
    (
        "a reply in the same instant as the follow-up: nothing starts after it",
        SHAPE,
        [*DELIVERED, happen(H.REPLIED, 20), happen(H.STARTED, 20)],
        Stage.DONE,
        2,
        Outcome.REPLIED,
        None,
    ),
    (
        "the follow-up was faster: it stays sent, the reply ends the journey",
        SHAPE,
        [*DELIVERED, happen(H.STARTED, 20), happen(H.REPLIED, 20), happen(H.ACCEPTED, 21)],
        Stage.DONE,
        2,
        Outcome.REPLIED,
        None,
    ),
    (
        "the next follow-up counts from the delivery before it",
        SHAPE,
        [*DELIVERED, happen(H.STARTED, 20), happen(H.ACCEPTED, 21), happen(H.DELIVERED, 30)],
        Stage.WAITING,
        3,
        Outcome.WAITING,
        30 + 3 * DAY,
    ),
    (
        "a failed follow-up ends the journey as delivered",
        SHAPE,
        [*DELIVERED, happen(H.STARTED, 20), happen(H.FAILED, 21, **PERMANENT)],
        Stage.DONE,
        2,
        Outcome.DELIVERED,
        None,
    ),
    ("STOP", SHAPE, [*DELIVERED, happen(H.OPTED_OUT, 20)], Stage.DONE, 2, Outcome.OPTED_OUT, None),
    ("Finish before anything arrived", SHAPE, [*SENT, happen(H.ENDED, 20)], Stage.DONE, 0, Outcome.ENDED, None),
    ("Finish after it arrived", SHAPE, [*DELIVERED, happen(H.ENDED, 20)], Stage.DONE, 2, Outcome.DELIVERED, None),
    ("a reply after the end", LONELY, [*DELIVERED, happen(H.REPLIED, 20)], Stage.DONE, 0, Outcome.REPLIED, None),
    ("no reply moves an ended journey", SHAPE, [happen(H.ENDED, 1), happen(H.REPLIED, 2)], Stage.DONE, 0, Outcome.ENDED, None),
]


@pytest.mark.parametrize(
    ("shape", "events", "stage", "step", "outcome", "due_at"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES]
)
def test_story(shape: Shape, events: list[Event], stage: Stage, step: int, outcome: Outcome, due_at: int | None) -> None:
    journey = tell(shape, *events)
    assert (journey.stage, journey.step, journey.outcome, journey.due_at) == (stage, step, outcome, due_at)


def test_what_is_not_in_the_table_changes_nothing() -> None:
    for stage in Stage:
        for what in Happening:
            if (stage, what) not in TABLE:
                journey = Journey(stage=stage, due_at=5)
                assert advance(journey, happen(what, 9), SHAPE) == (journey, [])


def test_every_decision_that_is_no_message_is_told() -> None:
    _, skipped = advance(Journey(due_at=0), happen(H.CANNOT, 1, reason="no phone"), SHAPE)
    assert [(one.kind, one.step, one.reason) for one in skipped] == [("skip", 0, "no phone"), ("fallback", 1, "no phone")]
    waiting = tell(SHAPE, *DELIVERED)
    _, cancelled = advance(waiting, happen(H.REPLIED, 20), SHAPE)
    assert [one.kind for one in cancelled] == ["cancel"]


class Lives(RuleBasedStateMachine):
    """Any event at any time: late, doubled, out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.journey = Journey(due_at=0)
        self.open_attempts = 0
        self.started_per_step: dict[int, int] = {}
        self.was_done = False

    def _happen(self, event: Event) -> None:
        before = self.journey
        self.journey, _ = advance(before, event, SHAPE)
        if before.stage is not Stage.SENDING and self.journey.stage is Stage.SENDING:
            self.open_attempts += 1
        elif before.stage is Stage.SENDING and self.journey.stage is not Stage.SENDING:
            self.open_attempts -= 1
        self.was_done = self.was_done or before.stage is Stage.DONE
        self.now += 1

    @rule(
        what=st.sampled_from(list(Happening)),
        current=st.booleans(),
        verdict=st.sampled_from([Verdict.RETRY, Verdict.NEXT, Verdict.END, Verdict.HOLD, Verdict.OPTED_OUT]),
        wait=st.integers(0, 2 * DAY),
    )
    def anything(self, what: Happening, current: bool, verdict: Verdict, wait: int) -> None:
        self._happen(Event(what, self.now, current, verdict, self.now + wait, "why"))

    @rule(what=st.sampled_from([H.STARTED, H.ACCEPTED, H.DELIVERED]))
    def the_usual(self, what: Happening) -> None:
        self._happen(Event(what, self.now))

    @precondition(lambda self: self.journey.due_at is not None)
    @rule()
    def time_passes(self) -> None:
        self.now = max(self.now, self.journey.due_at or 0)

    @invariant()
    def at_most_one_attempt_is_open(self) -> None:
        assert self.open_attempts == (self.journey.stage is Stage.SENDING)

    @invariant()
    def the_end_is_the_end(self) -> None:
        if self.was_done:
            assert self.journey.stage is Stage.DONE

    @invariant()
    def an_outcome_is_open_or_final_as_the_stage_is(self) -> None:
        is_open = self.journey.outcome in {Outcome.WAITING, Outcome.SENDING}
        assert is_open == (self.journey.stage is not Stage.DONE)
        assert self.journey.outcome in OUTCOMES

    @invariant()
    def what_waits_has_a_time_and_what_does_not_has_none(self) -> None:
        if self.journey.stage in {Stage.READY, Stage.WAITING, Stage.SENT}:
            assert self.journey.due_at is not None
        else:
            assert self.journey.due_at is None

    @invariant()
    def nobody_is_nudged_who_was_not_reached(self) -> None:
        if self.journey.step > SHAPE.last_fallback:
            assert self.journey.reached_at is not None

    @invariant()
    def tries_are_never_negative(self) -> None:
        assert self.journey.tries >= 0


TestLives = Lives.TestCase


def test_the_receipt_clock_can_be_absent() -> None:
    journey = tell(replace(LONELY, deadlines=(None,)), *SENT)
    assert (journey.stage, journey.due_at) == (Stage.SENT, None)


@pytest.mark.parametrize(
    ("reopens", "stage", "outcome"),
    [(True, Stage.READY, Outcome.WAITING), (False, Stage.DONE, Outcome.UNREACHED)],
    ids=["the run goes on", "the run is over"],
)
def test_a_step_given_up_as_unknown_has_its_turn_when_it_was_never_taken(reopens: bool, stage: Stage, outcome: Outcome) -> None:
    shape = Shape((10,), (0,), 0)
    journey = Journey()
    for what, at in ((H.STARTED, 1), (H.UNCERTAIN, 2), (H.DEADLINE, 12)):
        journey, _ = advance(journey, Event(what, at), shape)
    assert journey.outcome is Outcome.UNKNOWN
    journey, decided = advance(journey, Event(H.UNSENT, 20, again_at=20, reopens=reopens), shape)
    assert (journey.stage, journey.outcome) == (stage, outcome)
    assert [one.kind for one in decided] == (["retry"] if reopens else [])
    if reopens:
        journey, _ = advance(journey, Event(H.STARTED, 21), shape)
        assert (journey.tries, journey.step_at) == (1, 21)  # with its whole deadline before it
