"""A new draft for some of the people of a campaign that ran: those whom it missed, those a message failed for, or everybody."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.core.failure import Class
from campana.core.ids import Id, derived_id, id_of
from campana.core.journey import Outcome
from campana.core.missed import CAUSES, CHOICES, DOUBTFUL, ELSE, MISSED, NEVER, by_cause, chosen, people_by_cause
from campana.core.reason import NO_RECEIPT
from campana.engine import missed as copies
from campana.store import audit, missed
from campana.store.missed import Source
from campana.web.console.audience_form import Wanted
from campana.web.console.drafts import author_of, home_of, house_of, known_draft, workspace_of
from campana.web.console.page import AnyRequest, Desk, Refused, draw, preference
from campana.web.console.setup import NAME
from campana.web.console.workbench import readings_of, view_of

WAYS: Mapping[str, tuple[Outcome, ...]] = {
    "missed": MISSED,
    "failed": (Outcome.UNREACHED,),
    "everybody": tuple(outcome for outcome in CHOICES if outcome not in NEVER),
}
AGAIN = frozenset({Class.TRANSIENT.value, Class.CONFIG.value})  # once more may end differently
CODES = 5  # of a cause that are shown
GONE = "This campaign is gone, or was never launched. There is nobody to copy."


@dataclass(frozen=True, slots=True)
class Asked:
    """What stands in the form, and what is wrong with it by field."""

    way: str
    name: str
    outcomes: frozenset[str]
    causes: frozenset[str] = frozenset()
    same_messages: bool = True
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cause:
    """One kind of trouble that kept people from being reached."""

    name: str
    people: int | None  # whose journey ended with it; None: they are too many to look at each
    messages: int  # that failed with it, of whoever was reached later too
    codes: Sequence[tuple[str, str, int]]  # the most frequent ones: channel, code, messages


@dataclass(frozen=True, slots=True)
class View:
    """What the page draws from."""

    of: Source
    asked: Asked
    causes: Sequence[Cause]
    press: str = field(default_factory=lambda: secrets.token_hex(8))  # names this page among all that were shown

    @property
    def missed(self) -> list[str]:
        return [outcome.value for outcome in (*MISSED, *DOUBTFUL)]

    @property
    def any_missed(self) -> bool:
        return any(self.of.outcomes.get(outcome) for outcome in (*MISSED, *DOUBTFUL))

    @property
    def others(self) -> list[str]:
        return [outcome.value for outcome in CHOICES if outcome.value not in self.missed and self.of.outcomes.get(outcome)]

    @property
    def never(self) -> int:
        """People who are in no new draft, whatever is ticked."""
        return sum(self.of.outcomes.get(outcome, 0) for outcome in NEVER)


def causes_of(source: Source, codes: Mapping[str, Sequence[tuple[str, str]]]) -> list[Cause]:
    """Each kind of trouble that the run met. Of people, all of them together have as many as were not reached."""
    found = []
    people = None if source.reasons is None else people_by_cause(source.reasons, codes)
    anybody = bool(source.outcomes.get(Outcome.UNREACHED))
    for cause in CAUSES:
        told = sorted(((channel, code, source.codes[channel, code]) for channel, code in codes.get(cause, ())), key=_frequent)
        theirs = people[cause] if people is not None else None
        if told or theirs or (theirs is None and anybody and cause in (NO_RECEIPT, ELSE)):
            found.append(Cause(cause, theirs, sum(n for _, _, n in told), told[:CODES]))
    return found


def _frequent(one: tuple[str, str, int]) -> tuple[int, str, str]:
    return -one[2], one[0], one[1]


async def source_of(request: AnyRequest, campaign: str) -> Source:
    """The campaign that an address names, when it has people to copy."""
    campaign_id = id_of(campaign)
    found = await Desk.of(request).console.read(missed.source, workspace_of(request), campaign_id) if campaign_id else None
    if found is None:
        raise NotFoundException
    return cast("Source", found)


def _shown(request: AnyRequest, source: Source, asked: Asked, status: int = 200) -> Response[Any]:
    causes = causes_of(source, by_cause(source.codes, copies.failure_of(house_of(request))))
    return draw(request, "missed.html", status=status, v=View(source, asked, causes), home=home_of(source.campaign_id))


def _named(request: AnyRequest, way: str, name: str) -> str:
    words = Desk.of(request).templates(request).get_template("_missed_words.html").module
    made = str(words.draft_name(way, "\0")).strip()  # type: ignore[attr-defined]
    return made.replace("\0", name)[:NAME]  # the name of a campaign is no HTML


@get("/campaigns/{campaign:str}/missed", needs=Permission.EDIT, include_in_schema=False)
async def missed_page(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Whom the draft is for: to begin with, those whom the address says."""
    if answer := preference(request):
        return answer
    source = await source_of(request, campaign)
    way = request.query_params.get("for", "")
    way = way if way in WAYS else "missed"
    coming = {Outcome.ENDED} if source.goes_on else set()  # it may be finished before the button is pressed
    outcomes = frozenset(outcome.value for outcome in WAYS[way] if source.outcomes.get(outcome) or outcome in coming)
    if way == "everybody" and source.goes_on:
        outcomes -= {Outcome.WAITING.value, Outcome.SENDING.value}  # they get theirs from this campaign
    codes = by_cause(source.codes, copies.failure_of(house_of(request)))
    causes = frozenset(AGAIN & codes.keys()) if way == "failed" else frozenset[str]()
    return _shown(request, source, Asked(way, _named(request, way, source.name), outcomes, causes))


@post("/campaigns/{campaign:str}/missed", needs=Permission.EDIT, include_in_schema=False)
async def make_draft(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Makes the draft and begins to copy its people; its first page shows how far that is."""
    source, form = await source_of(request, campaign), await request.form()
    asked = _asked(list(form.multi_items()), source)
    if asked.errors:
        return _shown(request, source, asked, 422)
    codes = by_cause(source.codes, copies.failure_of(house_of(request)))
    causes = tuple(cause for cause in CAUSES if cause in asked.causes)
    outcomes = tuple(outcome.value for outcome in CHOICES if outcome.value in asked.outcomes)
    wish = copies.Wish(asked.name, asked.same_messages, chosen(outcomes, causes, codes), _press(asked, form.get("press")))
    author, now = author_of(request), Desk.of(request).console.clock.now()

    def note(c: Connection, made: Id) -> None:
        details = {"outcomes": list(outcomes), **({"causes": list(causes)} if causes else {})}
        who = (author.user_id, author.who)
        audit.note(c, source.run.workspace_id, *who, "audience.copied", source.name, now, made, details, author.address)

    try:
        made = await copies.make(readings_of(request), source, wish, author, note)
    except LookupError as error:
        raise Refused(GONE) from error
    except copies.TooEarly:
        return _shown(request, source, replace(asked, errors={"whom": "early"}), 409)
    return cast("Response[Any]", Redirect(f"{home_of(made)}/setup", status_code=303))


def _press(asked: Asked, page: object) -> str:
    """One press of the button: of one page that was shown, with the same in its form. Whoever changes it wants another draft."""
    said = (asked.name, sorted(asked.outcomes), sorted(asked.causes), asked.same_messages)
    return derived_id(str(page)[:100], repr(said)).hex() if page else ""


def _asked(fields: Sequence[tuple[str, Any]], source: Source) -> Asked:
    """The form as it was sent. What it cannot say is not heard."""
    of = {name: str(value) for name, value in fields}
    outcomes = frozenset(str(value) for name, value in fields if name == "outcome" and value in CHOICES)
    causes = frozenset(str(value) for name, value in fields if name == "cause" and value in CAUSES)
    name, errors = " ".join(of.get("name", "")[:2000].split()), {}
    if not name:
        errors["name"] = "wanted"
    elif len(name) > NAME:
        errors["name"] = "long"
    if source.being_ended:
        errors["whom"] = "early"
    elif not outcomes:
        errors["whom"] = "wanted"
    elif not sum(source.outcomes.get(outcome, 0) for outcome in outcomes):
        errors["whom"] = "nobody"
    way = of.get("for", "")
    return Asked(way if way in WAYS else "missed", name, outcomes, causes, of.get("messages") != "none", errors)


# --- in the draft that was made ---------------------------------------------------------------------------------------------


@get("/campaigns/{campaign:str}/audience/copying", needs=Permission.EDIT, include_in_schema=False)
async def copying(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """How far the copying is, for the page that shows it; once it is over, that page has more to show than this."""
    draft = await known_draft(request, campaign)
    if isinstance(draft, Redirect):
        return cast("Response[Any]", draft)
    view = await view_of(request, draft, Wanted())
    answer = draw(request, "_origin.html", v=view, polls=True)
    if not view.copying:
        answer.headers["HX-Refresh"] = "true"
    return answer


@post("/campaigns/{campaign:str}/audience/copying", needs=Permission.EDIT, include_in_schema=False)
async def go_on_copying(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Goes on with a copying that was stopped."""
    draft = await known_draft(request, campaign)
    if isinstance(draft, Redirect):
        return cast("Response[Any]", draft)
    await copies.go_on(readings_of(request), workspace_of(request), draft.id)
    return cast("Response[Any]", Redirect(f"{home_of(draft.id)}/setup", status_code=303))
