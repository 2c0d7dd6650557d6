"""Test messages of the last minutes: how many a workspace has sent, and what came of a press that is repeated."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from campana.core.durations import MINUTE, SECOND
from campana.core.ids import Id, new_id
from campana.store.dialect import in_turn
from campana.store.schema import trial

MOST = 20
WITHIN = 10 * MINUTE
SAME = 10 * SECOND  # the same press again within this is the first one
ANSWERED = MINUTE  # a vendor has answered by then, or never will


@dataclass(frozen=True, slots=True)
class Begun:
    """What became of a press: it is a test of its own, or an earlier one, or one too many until a moment."""

    id: Id
    new: bool = True
    until: int = 0


def begin(c: Connection, workspace_id: Id, press: bytes, now: int) -> Begun:
    """Counts a test before it is sent, in every process alike."""
    in_turn(c, f"trials {workspace_id.hex()}")
    t = trial.c
    c.execute(delete(trial).where(t.at <= now - WITHIN))
    still = or_(t.at > now - SAME, and_(t.verdict.is_(None), t.at > now - ANSWERED))
    mine = t.workspace_id == workspace_id
    earlier = c.scalar(select(t.id).where(mine, t.press == press, still).order_by(t.at.desc()).limit(1))
    if earlier is not None:
        return Begun(earlier, new=False)
    sent, oldest = c.execute(select(func.count(), func.min(t.at)).where(mine)).one()
    if sent >= MOST:
        return Begun(b"", new=False, until=oldest + WITHIN)
    made = new_id(now)
    c.execute(insert(trial).values(id=made, workspace_id=workspace_id, press=press, at=now))
    return Begun(made)


def finish(c: Connection, trial_id: Id, verdict: str) -> None:
    """The vendor has answered; `verdict` is JSON."""
    c.execute(update(trial).where(trial.c.id == trial_id).values(verdict=verdict))


def verdict(c: Connection, trial_id: Id) -> str | None:
    """What the vendor answered; None while it has not."""
    return c.scalar(select(trial.c.verdict).where(trial.c.id == trial_id))
