"""The people of a campaign: where each of them stands, what comes next, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.core.campaign import Plan
from campana.core.hours import next_open
from campana.core.ids import Id, id_of
from campana.core.journey import Outcome, Stage
from campana.store import counters, people
from campana.store import progress as store_progress
from campana.store.people import Head, Line, Page, Wanted
from campana.store.recipients import Person
from campana.web.console.page import AnyRequest, Desk, draw, number, preference
from campana.web.console.progress import OUTCOMES
from campana.web.visitor import Visitor

PAGE = 50
ROW_DIGITS = 7  # longer ones are a phone number
NAMES = ("name", "nome", "nombre", "full name", "first name", "first_name", "primeiro nome", "primer nombre", "cliente")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader wants to see, as the address says it."""

    home: str
    outcome: str = ""
    step: str = ""
    text: str = ""
    after: str = ""

    def __bool__(self) -> bool:
        return bool(self.outcome or self.step or self.text)

    def url(self, **changes: str) -> str:
        """The same page with some of this changed; changing a filter goes back to the first people."""
        asked = replace(self, **{"after": "", **changes})
        named = {"outcome": asked.outcome, "step": asked.step, "q": asked.text, "after": asked.after}
        query = urlencode({name: value for name, value in named.items() if value})
        return f"{self.home}/people" + (f"?{query}" if query else "")

    @property
    def wanted(self) -> Wanted:
        """Which people that names."""
        outcome = Outcome(self.outcome) if self.outcome else None
        step = int(self.step) - 1 if self.step else None
        return Wanted(outcome, step, **searched(self.text))


def asked_of(request: AnyRequest, home: str, steps: int) -> Asked:
    """The filters of an address; what makes no sense there filters nothing."""
    asked = request.query_params
    outcome, step = asked.get("outcome", ""), number(asked.get("step", ""), steps)
    text = asked.get("q", "").strip()[:200]
    return Asked(home, outcome if outcome in OUTCOMES else "", str(step or ""), text, asked.get("after", "")[:200])


def searched(text: str) -> dict[str, Any]:
    """What a search means: a row, the beginning of an address, or words anywhere in the cells."""
    digits = text.removeprefix("#")
    if digits.isascii() and digits.isdigit() and len(digits) <= ROW_DIGITS:
        return {"number": int(digits)}
    plain = text.translate({ord(sign): None for sign in " -().\t/"})
    if plain.removeprefix("+").isdigit() and plain.isascii():
        return {"address": ("phone", "+" + plain.removeprefix("+"))}
    if "@" in text[1:] and " " not in text:
        return {"address": ("email", text.casefold())}
    return {"words": text.casefold()} if text else {}


@dataclass(frozen=True, slots=True)
class Next:
    """What comes next for a person: what (nothing, ending, step, soon, paused, answer, receipt), which step, and when."""

    what: str
    step: int | None = None
    at: int | None = None


def next_of(head: Head, person: Person | None, now: int) -> Next:
    """What comes next, by the journey and the hours of the campaign."""
    status, plan = head.run.status, head.plan
    if person is None or person.journey.stage in (Stage.READY, Stage.WAITING):
        step = person.journey.step if person else 0
        if status in ("paused", "ended", "failed_to_start"):
            return Next("paused" if status == "paused" else "ending", step)
        due = (person.journey.due_at if person else None) or (head.run.starts_at if status == "scheduled" else now)
        at = next_open(plan.hours, max(due, now))
        return Next("step", step, at) if at > now else Next("soon", step)
    journey = person.journey
    if journey.stage is Stage.DONE:
        return Next("nothing")
    if journey.stage is Stage.SENDING:
        return Next("answer")
    return Next("receipt", journey.step + 1 if journey.step < plan.last_fallback else None, journey.due_at)


def name_of(columns: Sequence[str], cells: Sequence[str], *addresses: str | None) -> str:
    """What a person is called: their cell under a name for names, else the first that is no address of theirs."""
    named = {column.strip().casefold(): cell.strip() for column, cell in zip(columns, cells, strict=False)}
    found = next((named[name] for name in NAMES if named.get(name)), "")
    digits = {_digits(one) for one in addresses if one}
    return found or next((cell.strip() for cell in cells if cell.strip() and _digits(cell.strip()) not in digits), "")


def _digits(text: str) -> str:
    """An address without the signs that people write between its digits."""
    return text.casefold() if "@" in text else "".join(sign for sign in text if sign.isalnum())


@dataclass(frozen=True, slots=True)
class View:
    """What the page draws from."""

    head: Head
    asked: Asked
    page: Page
    outcomes: Sequence[tuple[str, int]]
    all: int
    now: int

    def next(self, line: Line) -> Next:
        """What comes next for the person of a line."""
        return next_of(self.head, line.person, self.now)

    def name(self, line: Line) -> str:
        """What the person of a line is called."""
        return name_of(self.head.columns, line.cells, line.phone, line.email)

    @property
    def searches(self) -> Mapping[str, Any]:
        """How the search was understood."""
        return searched(self.asked.text)


def kinds_of(plan: Plan) -> list[str]:
    """What each step is."""
    return [step.kind for step in plan.steps]


async def head_of(request: AnyRequest, campaign: str) -> Head | Redirect:
    """The campaign that an address names; the page that shows it when it is a draft. Raises NotFoundException."""
    desk, campaign_id = Desk.of(request), id_of(campaign)
    workspace_id = Visitor.of(request).workspace_id
    found = await desk.console.read(people.head, workspace_id, campaign_id) if campaign_id else None
    if found is not None:
        return found  # type: ignore[no-any-return]
    if campaign_id and await desk.console.read(_is_there, workspace_id, campaign_id):
        return Redirect(f"/campaigns/{campaign_id.hex()}", status_code=303)
    raise NotFoundException


def _is_there(c: Connection, workspace_id: Id, campaign_id: Id) -> bool:
    return store_progress.progress(c, workspace_id, campaign_id) is not None


def look(c: Connection, head: Head, wanted: Wanted, after: str) -> tuple[Page, Mapping[str, int]]:
    """A page of people, and how many have each outcome."""
    counts = counters.figures_named(c, [head.run.id], counters.OUTCOMES)[head.run.id]
    return people.page(c, head, wanted, after, PAGE), store_progress.outcomes(counts, head.run.offered)


@get("/campaigns/{campaign:str}/people", needs=Permission.VIEW, include_in_schema=False)
async def run_people(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """A page of people, filtered by what the address says."""
    if answer := preference(request):
        return answer
    head = await head_of(request, campaign)
    if isinstance(head, Redirect):
        return head
    desk, home = Desk.of(request), f"/campaigns/{head.campaign_id.hex()}"
    asked = asked_of(request, home, len(head.plan.steps))
    read: Callable[..., Any] = desk.console.read
    page, counts = await read(look, head, asked.wanted, asked.after)
    shown = [(name, counts[name]) for name in OUTCOMES if counts.get(name) or name == asked.outcome]
    view = View(head, asked, page, shown, sum(counts.values()), desk.console.clock.now())
    return draw(request, "run_people.html", zone=head.zone, v=view, home=home, tab="people", kinds=kinds_of(head.plan))
