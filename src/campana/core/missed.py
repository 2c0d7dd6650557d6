"""Whom a new draft is for, of the people of a campaign that ran: by what became of them, and by why they were not reached."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from campana.core.failure import Class, Failure
from campana.core.journey import Outcome
from campana.core.message import Reach
from campana.core.reason import FAILURE, NO_RECEIPT, because

MISSED = (Outcome.UNREACHED, Outcome.SKIPPED, Outcome.ENDED)
DOUBTFUL = (Outcome.UNKNOWN,)  # they may have got it
OTHERS = (Outcome.WAITING, Outcome.SENDING, Outcome.DELIVERED, Outcome.REPLIED)
NEVER = (Outcome.OPTED_OUT, Outcome.SUPPRESSED)  # nobody who wants no messages is written to because a box was ticked
CHOICES = (*MISSED, *DOUBTFUL, *OTHERS)
OTHER = "other"  # a code that no table has
ELSE = "else"  # no message failed last: a later step could not be tried, or somebody wrote the reason
CAUSES = (Class.PERMANENT.value, Class.TRANSIENT.value, Class.CONFIG.value, OTHER, NO_RECEIPT, ELSE)
ALL = "all"  # of a suppression: every medium

Code = tuple[str, str]  # channel, code


class Choice(msgspec.Struct, frozen=True):
    """Which people: those with one of these outcomes; of the unreached, when causes are named, only those with one of them."""

    outcomes: tuple[str, ...]
    causes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()  # how the reasons of these causes begin
    besides: tuple[str, ...] = ()  # of ELSE: how the reasons of all other causes begin

    @property
    def tells_causes(self) -> bool:
        return bool(self.causes) and Outcome.UNREACHED in self.outcomes


class Origin(msgspec.Struct, frozen=True):
    """The campaign whose people an audience is made of, and how far that is."""

    campaign_id: str  # hex
    run_id: str  # hex
    name: str  # as the campaign was called then
    choice: Choice
    through: int = 0  # the last row of theirs that was looked at
    left_out: int = 0  # people who opted out, or are not to be written to
    press: str = ""  # of which button the draft came, so that the same press again makes no other


def cause_of(failure: Failure | None) -> str:
    """What kind of trouble a code is."""
    return failure.cls.value if failure is not None and failure.cls.value in CAUSES else OTHER


def by_cause(codes: Iterable[Code], look_up: Callable[[str, str], Failure | None]) -> dict[str, list[Code]]:
    """The codes that a run met, by the kind of trouble."""
    found: dict[str, list[Code]] = {}
    for channel, code in codes:
        failure = look_up(channel, code)
        if failure is None or failure.cls is not Class.OPTOUT:  # whoever opted out is among no unreached
            found.setdefault(cause_of(failure), []).append((channel, code))
    return found


def beginnings(causes: Collection[str], codes: Mapping[str, Sequence[Code]]) -> tuple[str, ...]:
    """How the reason of a person begins, whose journey ended for one of these causes."""
    found = [because(FAILURE, *code, "").removesuffix("-") for cause in causes for code in codes.get(cause, ())]
    return (*found, NO_RECEIPT) if NO_RECEIPT in causes else tuple(found)


def chosen(outcomes: tuple[str, ...], causes: tuple[str, ...], codes: Mapping[str, Sequence[Code]]) -> Choice:
    """The choice of these outcomes and causes, of a run that met these codes."""
    besides = beginnings([cause for cause in CAUSES if cause != ELSE], codes) if ELSE in causes else ()
    return Choice(outcomes, causes, beginnings(causes, codes), besides)


def people_by_cause(reasons: Mapping[str, int], codes: Mapping[str, Sequence[Code]]) -> dict[str, int]:
    """How many of the unreached each cause has, by why each journey ended. They sum to all of them."""
    begins = {beginning: cause for cause in CAUSES for beginning in beginnings([cause], codes)}
    found = dict.fromkeys(CAUSES, 0)
    for reason, people in reasons.items():
        place = next((cause for beginning, cause in begins.items() if reason.startswith(beginning)), ELSE)
        found[place] += people
    return found


Medium = tuple[str, Reach]  # what an opt-out is for, and the address that it needs


def barred(phone: str | None, email: str | None, told: Collection[tuple[str, str]], media: Sequence[Medium]) -> bool:
    """Whether somebody with these addresses would get nothing of a campaign over these media, because they opted out. `told`
    has the opt-outs as (address, medium)."""
    if not told:
        return False
    stopped = False
    for medium, reach in media:
        to = phone if reach is Reach.PHONE else email
        if to is None:
            continue
        if (to, medium) not in told and (to, ALL) not in told:
            return False
        stopped = True
    return stopped if media else any(value in (phone, email) for value, _ in told)
