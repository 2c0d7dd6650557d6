"""Campaigns that are being built: making one, copying one, throwing one away. What all pages of the wizard share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from typing import Any, TypeVar

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from campana.channels.contract import N_
from campana.core.access import Permission
from campana.core.draft import Draft
from campana.core.ids import Id, id_of
from campana.engine.house import House
from campana.store import drafts
from campana.store import progress as store_progress
from campana.store.drafts import Answer, Author, DraftRow, Saved
from campana.web.console.page import AnyRequest, Desk, Refused, draw, preference
from campana.web.hosts import address_of
from campana.web.visitor import Visitor

M = TypeVar("M")
PARTS = ("setup", "journey", "review")


def workspace_of(request: AnyRequest) -> Id:
    """The workspace that the visitor looks at."""
    return Visitor.of(request).workspace_id


def author_of(request: AnyRequest) -> Author:
    """Who makes a change, for the draft and the audit log."""
    visitor = Visitor.of(request)
    return Author(visitor.user_id, visitor.email, address_of(request.scope))


def house_of(request: AnyRequest) -> House:
    """The parts of the wheels; a console without them can show no previews and launch nothing."""
    house = Desk.of(request).console.house
    if house is None:
        raise Refused(N_("This process does not send, so it cannot look ahead. Open the console of one that does."))
    return house


@dataclass(frozen=True, slots=True)
class Wizard:
    """Where the reader stands in building a campaign: the head of each page of the wizard."""

    id: Id
    name: str
    now: str  # of PARTS

    @property
    def home(self) -> str:
        return home_of(self.id)

    def done(self, part: str) -> bool:
        """Whether that part comes before this one, and can be gone back to (contract 84)."""
        return PARTS.index(part) < PARTS.index(self.now)


def home_of(campaign_id: Id) -> str:
    """What the addresses of a campaign begin with."""
    return f"/campaigns/{campaign_id.hex()}"


async def known_draft(request: AnyRequest, campaign: str) -> DraftRow | Redirect:
    """The draft that an address names; once it is launched, the way to its progress. A page says when there is none."""
    desk, campaign_id = Desk.of(request), id_of(campaign)
    if campaign_id is None:
        raise NotFoundException
    found: DraftRow | None = await desk.console.read(drafts.load, workspace_of(request), campaign_id)
    if found is not None:
        return found
    if await desk.console.read(store_progress.progress, workspace_of(request), campaign_id) is None:
        raise NotFoundException
    return Redirect(home_of(campaign_id), status_code=303)


async def looked_up(request: AnyRequest, campaign: str, read: Callable[..., M], *more: Any) -> M:
    """All that a page of the wizard reads of the store for the campaign that an address names."""
    campaign_id = id_of(campaign)
    if campaign_id is None:
        raise NotFoundException
    found: M = await Desk.of(request).console.read(read, workspace_of(request), campaign_id, *more)
    return found


async def save(request: AnyRequest, row: DraftRow, version: int, draft: Draft) -> Answer:
    """Nothing is written when nothing changed, so that looking at a page is no change for others."""
    if draft == row.draft:
        return Saved(row.version)
    console = Desk.of(request).console
    facts = (workspace_of(request), row.id, version, draft, author_of(request), console.clock.now())
    answer: Answer = await console.write(drafts.save, *facts)
    return answer


@post("/campaigns/new", needs=Permission.EDIT, include_in_schema=False)
async def new_draft(request: AnyRequest) -> Redirect:
    """Makes a draft and opens its first page."""
    desk = Desk.of(request)
    name = str(desk.templates(request).get_template("_wizard.html").module.untitled())  # type: ignore[attr-defined]
    now = desk.console.clock.now()
    made: Id = await desk.console.write(drafts.create, workspace_of(request), name.strip(), Draft(), author_of(request), now)
    return Redirect(f"{home_of(made)}/setup", status_code=303)


@post("/campaigns/{campaign:str}/duplicate", needs=Permission.EDIT, include_in_schema=False)
async def duplicate(request: AnyRequest, campaign: FromPath[str]) -> Redirect:
    """Makes a draft that says the same to the same people, and opens its first page."""
    desk, campaign_id = Desk.of(request), id_of(campaign)
    said = desk.templates(request).get_template("_wizard.html").module
    made: Id | None = None
    if campaign_id is not None:
        facts = (workspace_of(request), campaign_id, lambda name: unescape(said.copy_of(name)).strip())  # type: ignore[attr-defined]
        made = await desk.console.write(drafts.copy, *facts, author_of(request), desk.console.clock.now())
    if made is None:
        raise NotFoundException
    return Redirect(f"{home_of(made)}/setup", status_code=303)


@get("/campaigns/{campaign:str}/delete", needs=Permission.EDIT, include_in_schema=False)
async def ask_to_delete(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Asks before a draft is thrown away."""
    if answer := preference(request):
        return answer
    found = await known_draft(request, campaign)
    return found if isinstance(found, Redirect) else draw(request, "delete_draft.html", d=found, home=home_of(found.id))


@post("/campaigns/{campaign:str}/delete", needs=Permission.EDIT, include_in_schema=False)
async def delete(request: AnyRequest, campaign: FromPath[str]) -> Redirect:
    """Throws a draft away; what was launched cannot be."""
    desk = Desk.of(request)
    found = await known_draft(request, campaign)
    if isinstance(found, DraftRow):
        gone = await desk.console.write(
            drafts.remove, workspace_of(request), found.id, author_of(request), desk.console.clock.now()
        )
        if gone is None:
            raise Refused(
                N_("This campaign was launched meanwhile, so it cannot be deleted. It can be finished on its own page.")
            )
    return Redirect("/campaigns", status_code=303)
