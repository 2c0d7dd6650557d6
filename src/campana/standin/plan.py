"""Which receipts a message will have, and when: in order, unless they are to come in a strange way."""

from __future__ import annotations

from campana.standin.config import Receipts, StandinConfig
from campana.standin.faults import ReceiptOdds, draws, microseconds
from campana.standin.ledger import Step


def plan_receipts(
    when: Receipts, failing: Step | None, odd: ReceiptOdds, lots: tuple[float, ...], config: StandinConfig
) -> tuple[Step, ...]:
    """The receipts of one message. `failing` is how it ends, if not well, `lots` are the draws of its call."""
    scale = config.time_scale
    sent = microseconds(when.sent, lots[2], scale)
    done = sent + microseconds(when.delivered, lots[3], scale)
    steps = [Step("queued", 0)] if when.queued else []
    if failing:
        steps += [Step("sent", sent)] if failing.status == "undelivered" else []
        steps.append(failing._replace(after=done))
    else:
        steps.append(Step("sent", sent))
        if lots[4] < when.delivered_share:
            steps.append(Step("delivered", done))
            if lots[5] < when.read_share:
                steps.append(Step("read", done + microseconds(when.read, lots[6], scale)))
    return tuple(_made_strange(steps, odd, draws(config.seed, "receipts", lots[7]), scale)) if _any(odd) else tuple(steps)


def _any(odd: ReceiptOdds) -> bool:
    return bool(odd.missing or odd.reordered or odd.late or odd.doubled)


def _made_strange(steps: list[Step], odd: ReceiptOdds, lots: tuple[float, ...], scale: float) -> list[Step]:
    if lots[0] < odd.missing:
        steps = [step._replace(told=False) for step in steps]
    if lots[1] < odd.reordered:
        after = [step.after for step in steps]
        steps = [step._replace(after=at) for step, at in zip(reversed(steps), after, strict=True)]
    if lots[2] < odd.late:
        wait = microseconds(odd.late_by, lots[4], scale)
        steps = [step._replace(after=step.after + wait) for step in steps]
    if lots[3] < odd.doubled:
        steps = [twin for step in steps for twin in (step, step._replace(after=step.after + 1000))]
    return steps
