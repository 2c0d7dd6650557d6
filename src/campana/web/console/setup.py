"""The first part of building a campaign: its name and tags, and whom it reaches, by a file or by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from campana.channels.contract import N_
from campana.core.access import Permission
from campana.core.audience import BadAudience
from campana.core.campaign import AudienceSpec
from campana.core.quick_add import LONGEST, read_lines
from campana.core.reading import Told
from campana.engine import workbench as benches
from campana.engine.readings import NotADraft
from campana.engine.workbench import Unchangeable
from campana.store import drafts
from campana.store.drafts import DraftRow, Outdated, Saved
from campana.store.uploads import PIECE
from campana.web.console.audience_form import Wanted, countries, spec_of
from campana.web.console.drafts import Wizard, author_of, home_of, house_of, known_draft, workspace_of
from campana.web.console.page import AnyRequest, Desk, Refused, draw, language_of, number, preference, typed
from campana.web.console.workbench import BenchView, noted, place_of, readings_of, view_of

NAME = 200
TAG = 60
LAUNCHED = N_("This campaign was launched meanwhile, so it cannot be changed any more.")


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the forms of the page, and what is wrong with it by field."""

    name: str
    tag: str = ""
    people: str = ""
    country: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    details: str = ""  # of an error: what the program says


@get("/campaigns/{campaign:str}/setup", needs=Permission.EDIT, include_in_schema=False)
async def setup(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Name, tags and audience as they are."""
    if answer := preference(request):
        return answer
    draft = await known_draft(request, campaign)
    if isinstance(draft, Redirect):
        return cast("Response[Any]", draft)
    return await _page(request, draft, Typed(draft.name))


async def _page(
    request: AnyRequest, draft: DraftRow, form: Typed, status: int = 200, theirs: DraftRow | None = None
) -> Response[Any]:
    view: BenchView = await view_of(request, draft, Wanted())
    return draw(
        request,
        "setup.html",
        status=status,
        d=draft,
        f=form,
        v=view,
        wizard=Wizard(draft.id, draft.name, "setup"),
        theirs=theirs,
        me=author_of(request).user_id,
        countries=countries(language_of(request)),
    )


@post("/campaigns/{campaign:str}/setup/name", needs=Permission.EDIT, include_in_schema=False)
async def keep_name(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Keeps a name as soon as its field is left, so that a file can be uploaded next; what cannot be kept is said."""
    draft, form = await known_draft(request, campaign), await typed(request)
    if isinstance(draft, Redirect):
        raise NotFoundException
    name, version = form.get("name", ""), form.get("version", "")
    error = await _wrong_name(request, draft, name)
    if not error and name != draft.name:
        answer = await _renamed(request, draft, number(version), name)
        error = "taken" if isinstance(answer, str) else "" if isinstance(answer, Saved) else "changed"
        draft = draft if error else cast("DraftRow", await known_draft(request, campaign))
    return draw(request, "_name_kept.html", error=error, tag=draft.default_tag, version=draft.version)


async def _wrong_name(request: AnyRequest, draft: DraftRow, name: str) -> str:
    """wanted, long, taken; empty when it can be used."""
    if not name:
        return "wanted"
    if len(name) > NAME:
        return "long"
    read = Desk.of(request).console.read
    return "taken" if await read(drafts.name_taken, workspace_of(request), name, draft.id) else ""


@post("/campaigns/{campaign:str}/setup", needs=Permission.EDIT, include_in_schema=False)
async def save_setup(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Saves name and tags, and does what the pressed button says."""
    draft, form = await known_draft(request, campaign), await typed(request)
    if isinstance(draft, Redirect):
        return cast("Response[Any]", draft)
    name, tag = form.get("name", ""), " ".join(form.get("tag", "").split())[:TAG]
    do, _, which = form.get("do", "").partition(":")
    keep = Typed(name, tag)
    if error := await _wrong_name(request, draft, name):
        return await _page(request, draft, Typed(name, tag, errors={"name": error}), 422)
    version = number(which if do == "mine" else form.get("version"))
    if name != draft.name:
        answer = await _renamed(request, draft, version, name)
        if isinstance(answer, str):
            return await _page(request, draft, Typed(name, tag, errors={"name": "taken"}), 422)
        if isinstance(answer, Outdated):
            return await _page(request, draft, keep, 409, answer.theirs)
        if answer is None:
            raise Refused(LAUNCHED)
    write = Desk.of(request).console.write
    if tag:
        await write(drafts.add_tag, workspace_of(request), draft.id, tag)
    if do == "untag":
        await write(drafts.remove_tag, workspace_of(request), draft.id, which)
    home = home_of(draft.id)
    there = {"exit": "/campaigns", "continue": f"{home}/journey"}.get(
        do, f"{home}/setup" + ("#tag" if tag or do == "untag" else "")
    )
    return Redirect(there, status_code=303)


async def _renamed(request: AnyRequest, draft: DraftRow, version: int, name: str) -> drafts.Answer | str:
    console = Desk.of(request).console
    facts = (workspace_of(request), draft.id, version, name, author_of(request), console.clock.now())
    answer: drafts.Answer | str = await console.write(drafts.rename, *facts)
    return answer


# --- people -----------------------------------------------------------------------------------------------------------------


@post("/campaigns/{campaign:str}/audience/upload", needs=Permission.EDIT, include_in_schema=False, request_max_body_size=None)
async def upload(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Keeps a file and begins to read it; the workbench shows how far that is."""
    draft, at = await known_draft(request, campaign), place_of(request, campaign)
    if isinstance(draft, Redirect):
        raise Refused(LAUNCHED)
    form = await request.form()
    file, country = form.get("file"), str(form.get("country", ""))
    if not isinstance(file, UploadFile) or not file.filename:
        return await _page(request, draft, Typed(draft.name, country=country, errors={"file": "wanted"}), 422)
    note = noted(request, at, "audience.uploaded", file.filename)
    try:
        spec = spec_of({"country": country}, AudienceSpec())
        await readings_of(request).upload(at, file.filename[:NAME], _pieces(file), Told(), spec, note)
    except BadAudience as error:
        wrong = Typed(draft.name, country=country, errors={"file": "refused"}, details=str(error))
        return await _page(request, draft, wrong, 422)
    except NotADraft as error:
        raise Refused(LAUNCHED) from error
    finally:
        await file.close()
    return Redirect(f"{home_of(draft.id)}/audience", status_code=303)


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(PIECE):
        yield piece


@post("/campaigns/{campaign:str}/audience/quick", needs=Permission.EDIT, include_in_schema=False)
async def quick_add(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Adds people typed by hand; the workbench shows them."""
    draft, at = await known_draft(request, campaign), place_of(request, campaign)
    if isinstance(draft, Redirect):
        raise Refused(LAUNCHED)
    form = await typed(request, 1_000_000)
    text, country = form.get("people", ""), form.get("country", "")
    people = read_lines(text)
    error = "wanted" if not people else "many" if len(people) > LONGEST else ""
    if error:
        wrong = Typed(draft.name, people=text, country=country, errors={"people": error})
        return await _page(request, draft, wrong, 422)
    note = noted(request, at, "audience.added", draft.name, people=len(people))
    spec = spec_of({"country": country}, AudienceSpec())
    try:
        rows = await benches.add(house_of(request), at, people, spec.country, note)
    except Unchangeable as refusal:
        wrong = Typed(draft.name, people=text, country=country, errors={"people": "refused"}, details=str(refusal))
        return await _page(request, draft, wrong, 409)
    except NotADraft as refusal:
        raise Refused(LAUNCHED) from refusal
    first = rows[0].number
    return Redirect(f"{home_of(draft.id)}/audience{Wanted(first=first).query()}", status_code=303)
