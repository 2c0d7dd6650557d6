"""One person's timeline in one campaign: what was decided and why, what they were sent, what they answered, and the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from campana.core.access import Permission
from campana.core.ids import id_of
from campana.store import timeline as store
from campana.store.timeline import Timeline
from campana.web.console.page import AnyRequest, Desk, draw, preference
from campana.web.console.run_people import kinds_of, name_of, next_of
from campana.web.visitor import Visitor

DAY, HOUR, MINUTE = 86_400_000_000, 3_600_000_000, 60_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: the start, a reply, a decision, a message or an opt-out, with what is known of it."""

    at: int
    kind: str
    facts: Any
    step: int = -1
    status: str = ""


def events(found: Timeline) -> list[Event]:
    """Everything in the order of time. What a person did comes before what it led to."""
    begun = found.head.run.started_at
    told = [Event(begun, "start", None)] if begun is not None else []
    told += [Event(one.at, "reply", one) for one in found.replies]
    told += [Event(one["at"], "decision", one, one["step"]) for one in found.decisions]
    told += [Event(one["started_at"], "message", one, one["step"], one["history"][-1][0].word) for one in found.messages]
    told += [Event(one.at, "optout", one) for one in found.optouts]
    return sorted(told, key=lambda one: one.at)


def deadlines(found: Timeline) -> Sequence[tuple[str, int] | None]:
    """How long each step waits for its receipt, in the largest unit that fits: days, hours or minutes."""
    return [_length(step.deadline) for step in found.head.plan.steps]


def _length(micros: int | None) -> tuple[str, int] | None:
    if not micros:
        return None
    for word, size in (("days", DAY), ("hours", HOUR)):
        if micros % size == 0:
            return word, micros // size
    return "minutes", max(1, micros // MINUTE)


@get("/campaigns/{campaign:str}/people/{recipient:str}", needs=Permission.VIEW, include_in_schema=False)
async def timeline(request: AnyRequest, campaign: FromPath[str], recipient: FromPath[str]) -> Response[Any]:
    """The timeline as a page."""
    if answer := preference(request):
        return answer
    desk, campaign_id, recipient_id = Desk.of(request), id_of(campaign), id_of(recipient)
    if campaign_id is None or recipient_id is None:
        raise NotFoundException
    found: Timeline | None
    found = await desk.console.read(store.timeline, Visitor.of(request).workspace_id, campaign_id, recipient_id)
    if found is None:
        raise NotFoundException
    person = found.person
    facts: Mapping[str, Any] = {
        "name": name_of(found.head.columns, found.cells, person.phone, person.email),
        "events": events(found),
        "deadlines": deadlines(found),
        "kinds": kinds_of(found.head.plan),
        "next": next_of(found.head, person, desk.console.clock.now()),
    }
    home = f"/campaigns/{campaign_id.hex()}"
    return draw(request, "timeline.html", zone=found.head.zone, t=found, home=home, tab="people", **facts)
