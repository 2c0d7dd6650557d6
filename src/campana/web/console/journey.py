"""Building the messages of a campaign: steps that save themselves, and a preview by the renderer that sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode

from litestar import MediaType, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from campana.channels.contract import N_
from campana.core.access import Permission
from campana.core.draft import Draft
from campana.core.phones import Phone, parse_phone
from campana.engine.preview import Sheet
from campana.engine.vendors import Verdict
from campana.store import drafts
from campana.store.drafts import DraftRow, Outdated
from campana.web.console.drafts import Wizard, home_of, house_of, known_draft, looked_up, save
from campana.web.console.journey_form import read_steps, rearranged, touched
from campana.web.console.journey_view import JourneyView, make_view, read_material
from campana.web.console.page import AnyRequest, Desk, Refused, draw, number, preference
from campana.web.console.trials import sent_test
from campana.web.visitor import Visitor


@get("/campaigns/{campaign:str}/journey", needs=Permission.EDIT, include_in_schema=False)
async def journey(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """The steps as they were left, complete without script."""
    if answer := preference(request):
        return answer
    asked = request.query_params
    person = asked.get("as", "").strip()
    material = await looked_up(request, campaign, read_material, person)
    if material.row is None:
        return cast("Response[Any]", await known_draft(request, campaign))
    row, channels = material.row, house_of(request).channels
    view = make_view(material, row, row.draft, channels, {}, asked.get("shown", ""), "check" in asked, asked=person)
    return _page(request, view)


@post("/campaigns/{campaign:str}/journey", needs=Permission.EDIT, include_in_schema=False)
async def save_journey(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Saves what was typed, and does what the pressed button says. A part of the page asks for parts only."""
    form: Mapping[str, Any] = dict((await request.form()).multi_items())
    do = str(form.get("do", ""))
    what, _, which = do.partition(":")
    person = which if what == "as" else str(form.get("as", "")).strip()
    known, _, found = str(form.get("found", "")).rpartition("=")
    asked = found if known == person else person  # nobody is searched for twice
    material = await looked_up(request, campaign, read_material, asked)
    if material.row is None:
        return await _not_a_draft(request, campaign)
    draft = read_steps(material.row.draft, form)
    arranged = rearranged(draft, do)
    version = number(which if what == "mine" else form.get("version"))
    unkept = draft.too_long
    answer = drafts.Saved(version) if unkept else await save(request, material.row, version, arranged or draft)
    if answer is None:
        return await _not_a_draft(request, campaign)
    outdated = answer if isinstance(answer, Outdated) else None
    if not (outdated or unkept) and (away := _away(material.row, draft, do, arranged)):
        return away
    channels = house_of(request).channels
    view = make_view(
        material,
        material.row,
        draft,
        channels,
        form,
        which if what == "shown" else str(form.get("shown", "")),
        what == "continue" or "checked" in form or unkept,
        theirs=outdated.theirs if outdated else None,
        version=version if outdated else cast("drafts.Saved", answer).version,
        asked=person,
    )
    if what == "test":
        view = await _tested(request, view, str(form.get("to", "")))
    if what == "continue" and not view.blockers and not outdated:
        return Redirect(f"{home_of(material.row.id)}/review", status_code=303)
    if "hx-request" in request.headers:
        return _parts(request, view, request.query_params.get("fields", ""))
    return _page(request, view, status=422 if what == "continue" or unkept else 200)


def _away(row: DraftRow, draft: Draft, do: str, arranged: Draft | None) -> Redirect | None:
    """Where a button leads once everything is saved; None when the reader stays, or must mend something before going on."""
    home, (what, _, which) = home_of(row.id), do.partition(":")
    if what == "exit":
        return Redirect("/campaigns", status_code=303)
    if what == "back":
        return Redirect(f"{home}/setup", status_code=303)
    if arranged is not None:
        key = touched(draft, arranged) or (which if what != "remove" else "")
        return Redirect(f"{home}/journey" + (f"#{key}" if key else ""), status_code=303)
    return None


async def _not_a_draft(request: AnyRequest, campaign: str) -> Response[Any]:
    """Somebody launched or deleted it meanwhile."""
    found = await known_draft(request, campaign)
    if isinstance(found, DraftRow):
        raise Refused(N_("Somebody else changed this campaign at the same moment. Reload the page."))
    if "hx-request" in request.headers:
        return Response("", headers={"HX-Redirect": found.url, "cache-control": "no-store"})
    return found


# --- a test message ---------------------------------------------------------------------------------------------------------


async def _tested(request: AnyRequest, view: JourneyView, to: str) -> JourneyView:
    """With what became of a test message of the step shown, as the person of the preview would get it."""
    sheet = view.previewed[0].sheet if view.previewed else None
    return view.with_test(await _send_test(request, view, sheet, to), to)


async def _send_test(request: AnyRequest, view: JourneyView, sheet: Sheet | None, to: str) -> Verdict | str:
    """A verdict of the vendor, or why none was asked for: not_ready, no_number, too_many, stopped."""
    house = house_of(request)
    account = house.accounts.get(sheet.sender.integration_id) if sheet and sheet.sender else None
    ready = sheet is not None and sheet.sender is not None and not any(finding.blocks for finding in sheet.findings)
    if sheet is None or sheet.sender is None or account is None or not ready:
        return "not_ready"
    phone = parse_phone(to)
    if not isinstance(phone, Phone):
        return "no_number"
    person = view.people.person
    values = person.cells if person else {}
    return await sent_test(request, account, sheet.sender.address, phone.e164, sheet.content, sheet.template, values)


# --- drawing ----------------------------------------------------------------------------------------------------------------


def _names(request: AnyRequest, view: JourneyView) -> dict[str, Any]:
    wizard = Wizard(view.row.id, view.row.name, "journey")
    here = {"as": view.people.person.number if view.people.person else "", "shown": view.shown}
    return {
        "v": view,
        "wizard": wizard,
        "me": Visitor.of(request).user_id,
        "now": Desk.of(request).console.clock.now(),
        "reload": f"{wizard.home}/journey?{urlencode(here)}",
    }


def _page(request: AnyRequest, view: JourneyView, status: int = 200) -> Response[Any]:
    return draw(request, "journey.html", status=status, **_names(request, view))


def _parts(request: AnyRequest, view: JourneyView, fields: str) -> Response[Any]:
    """The parts of the page that follow from what was typed; with `fields`, that step's form as well."""
    template = Desk.of(request).templates(request).get_template("_journey_parts.html")
    html = template.render(**_names(request, view), fields=fields)
    return Response(html, media_type=MediaType.HTML, headers={"cache-control": "no-store"})
