"""What lists tell of a run's plan, which may be long: of its texts and rules nothing is read."""

from __future__ import annotations

import msgspec


class StepOutline(msgspec.Struct, frozen=True):
    """One step."""

    kind: str = ""
    channel: str = ""


class Outline(msgspec.Struct, frozen=True):
    """A plan: its steps, and the zone in which its start was chosen."""

    steps: tuple[StepOutline, ...] = ()
    zone: str = ""


NONE = Outline()
PLAN = msgspec.json.Decoder(Outline)


def outline(plan: str | None) -> Outline:
    """That of a plan as it is stored; a draft has none."""
    return PLAN.decode(plan) if plan else NONE
