"""The last page before a launch: what will be sent to whom and when, what stands in the way, and the launch itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec
from litestar import MediaType, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.channels.contract import N_
from campana.core.access import Permission
from campana.core.draft import Draft, FirstPeople, OwnHours, Schedule
from campana.core.hours import DAY_NAMES, zones
from campana.core.ids import Id, id_of
from campana.core.preflight import FIRST_FIELDS
from campana.engine import launch as engine_launch
from campana.engine.estimate import KIND, Result, task_of
from campana.store import campaigns, jobs
from campana.store.drafts import DraftRow, Outdated, Saved
from campana.web.console import i18n
from campana.web.console.drafts import Wizard, author_of, home_of, house_of, known_draft, looked_up, save, workspace_of
from campana.web.console.page import AnyRequest, Desk, Refused, draw, language_of, number, preference
from campana.web.console.progress import known
from campana.web.console.review_view import Material, ReviewView, counted, make_view, read_material
from campana.web.visitor import Visitor


@get("/campaigns/{campaign:str}/review", needs=Permission.EDIT, include_in_schema=False)
async def review(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """The review, complete without script. Counting begins by itself."""
    if answer := preference(request):
        return answer
    material = await _material(request, campaign)
    if material.row is None:
        return cast("Response[Any]", await known_draft(request, campaign))
    changed = "changed" in request.query_params
    view = await _counted(request, material, material.row, material.row.draft, changed=changed)
    if "hx-request" in request.headers:
        return _parts(request, view, saved=False)
    return _page(request, view)


@post("/campaigns/{campaign:str}/review", needs=Permission.EDIT, include_in_schema=False)
async def save_review(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Saves hours and start, and does what the pressed button says."""
    form: Mapping[str, Any] = {name: value for name, value in (await request.form()).multi_items() if name != "days"}
    days = [str(value) for name, value in (await request.form()).multi_items() if name == "days"]
    what, _, which = str(form.get("do", "")).partition(":")
    material = await _material(request, campaign)
    if material.row is None:
        return cast("Response[Any]", await known_draft(request, campaign))
    row = material.row
    draft = read_choices(row.draft, form, days)
    version = number(which if what == "mine" else form.get("version"))
    answer = await save(request, row, version, draft)
    if answer is None:
        return Redirect(home_of(row.id), status_code=303)
    outdated = answer if isinstance(answer, Outdated) else None
    if not outdated and what in ("exit", "back"):
        return Redirect("/campaigns" if what == "exit" else f"{home_of(row.id)}/journey", status_code=303)
    more = {"theirs": outdated.theirs} if outdated else {}
    saved = version if outdated else cast("Saved", answer).version
    view = await _counted(request, material, row, draft, version=saved, ask=what == "launch" and not outdated, **more)
    if "hx-request" in request.headers:
        return _parts(request, view, saved=True)
    return _page(request, view, status=422 if what == "launch" and view.blockers else 200)


@post("/campaigns/{campaign:str}/launch", needs=Permission.EDIT, include_in_schema=False)
async def launch(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Starts the campaign, or puts it in the queue until its time; once, however often it is asked for (contract 119)."""
    form = await request.form()
    material = await _material(request, campaign)
    campaign_id = id_of(campaign)
    if material.row is None or campaign_id is None:
        found = await known_draft(request, campaign)
        if isinstance(found, Redirect):
            return found
        raise Refused(N_("Somebody else changed this campaign at the same moment. Open it again."))
    row, home = material.row, home_of(campaign_id)
    now, house = Desk.of(request).console.clock.now(), house_of(request)
    view = make_view(material, row, row.draft, house.channels, now)
    if number(form.get("version")) != row.version:
        return Redirect(f"{home}/review?changed=1", status_code=303)
    if view.blockers:
        return _page(request, replace(view, ask=True), status=422)
    starts_at = now if row.draft.schedule.when == "now" else view.start.at
    try:
        people = str(form.get("people", ""))
        facts = (house, workspace_of(request), row, people, starts_at, author_of(request), now)
        run_id = await Desk.of(request).console.write(engine_launch.launch_draft, *facts)
    except engine_launch.Refused as error:
        return await _refused(request, campaign, error)
    if run_id is None and await known_to_run(request, campaign_id) is False:
        return Redirect(f"{home}/review?changed=1", status_code=303)
    house.wake("pump")
    house.wake("live")
    return Redirect(home, status_code=303)


async def _refused(request: AnyRequest, campaign: str, error: engine_launch.Refused) -> Response[Any]:
    """The page again, with what stands in the way first of all."""
    material = await _material(request, campaign)
    if material.row is None or error.finding is None:
        raise Refused(str(error))
    view = make_view(
        material, material.row, material.row.draft, house_of(request).channels, Desk.of(request).console.clock.now(), ask=True
    )
    told = [] if error.finding.code in {finding.code for finding in view.blockers} else [error.finding]
    return _page(request, replace(view, findings=[*told, *view.findings]), status=409)


async def known_to_run(request: AnyRequest, campaign_id: Id) -> bool:
    """Whether the campaign has a run by now."""
    return await Desk.of(request).console.read(campaigns.latest_run, campaign_id) is not None


@post("/campaigns/{campaign:str}/unschedule", needs=Permission.EDIT, include_in_schema=False)
async def unschedule(request: AnyRequest, campaign: FromPath[str]) -> Redirect:
    """Takes a campaign that waits for its start back to draft."""
    _, campaign_id, _ = await known(request, campaign)
    facts = (workspace_of(request), campaign_id, author_of(request), Desk.of(request).console.clock.now())
    if not await Desk.of(request).console.write(engine_launch.back_to_draft, *facts):
        raise Refused(N_("Only a campaign that was built here and has not begun can be a draft again. It can be finished."))
    house_of(request).wake("live")
    return Redirect(f"{home_of(campaign_id)}/review", status_code=303)


# --- reading and saving -----------------------------------------------------------------------------------------------------


def read_choices(draft: Draft, form: Mapping[str, Any], days: list[str]) -> Draft:
    """The draft with the hours and the start as the form has them, right or wrong."""
    if "when" not in form:
        return draft
    schedule = Schedule(
        when="later" if form.get("when") == "later" else "now",
        date=str(form.get("date", ""))[:10],
        time=str(form.get("time", ""))[:5],
        zone=str(form.get("zone", "")).strip()[:64],
    )
    chosen = str(form.get("hours", "workspace"))
    hours = OwnHours.model_validate(
        {
            "from": str(form.get("from", "08:00")).strip()[:8],
            "to": str(form.get("to", "21:00")).strip()[:8],
            "zone": str(form.get("hours_zone", "")).strip()[:64],
            "days": [day for day in DAY_NAMES if day in days] or None,
        }
    )
    own = hours if chosen == "own" or draft.hours is not None else None
    when = chosen if chosen in ("workspace", "own", "any") else "workspace"
    first = read_first(draft.first, form)
    return draft.model_copy(update={"schedule": schedule, "when": when, "hours": own, "first": first})


def read_first(before: FirstPeople | None, form: Mapping[str, Any]) -> FirstPeople | None:
    """To whom it goes first, as the form has it, right or wrong; None as long as nobody has wanted that."""
    on = "first.on" in form
    if not on and before is None:
        return None
    typed = {name: str(form.get(f"first_{name}", "")).strip() for name in FIRST_FIELDS}
    lengths = {"amount": 12}
    return FirstPeople(
        on=on,
        by="share" if form.get("first_by") == "share" else "people",
        unit="hours" if form.get("first_unit") == "hours" else "minutes",
        **{name: text[: lengths.get(name, 8)] for name, text in typed.items()},
    )


async def _material(request: AnyRequest, campaign: str) -> Material:
    return await looked_up(request, campaign, read_material, Desk.of(request).console.clock.now())


async def _counted(request: AnyRequest, material: Material, row: DraftRow, draft: Draft, **more: Any) -> ReviewView:
    """The view; when nobody has counted just this, and nobody does so now, counting begins."""
    console, house = Desk.of(request).console, house_of(request)
    view = make_view(material, row, draft, house.channels, console.clock.now(), **more)
    audience = view.audience
    task = [line.sheet for line in view.steps if line.sheet.countable]
    if console.estimates is None or audience is None or not audience.loaded or not audience.summary.offered or not task:
        return view
    if view.estimate or view.counting or (view.job is not None and view.job.trouble and "again" not in request.query_params):
        return view
    job_id: Id | None = await console.write(begin, workspace_of(request), row.id, view.about, console.clock.now())
    if job_id is not None:
        facts = (house, workspace_of(request), audience.id, audience.columns, audience.summary.offered, task)
        console.estimates.begin(row.id, job_id, view.about, task_of(*facts))
    fresh = replace(material, row=row, job=await console.read(jobs.latest, row.id, KIND))
    return make_view(fresh, row, draft, house.channels, console.clock.now(), **more)


def begin(c: Connection, workspace_id: Id, campaign_id: Id, about: str, now: int) -> Id | None:
    """A job for this counting; None when another process has begun it just now."""
    latest = jobs.latest(c, campaign_id, KIND)
    result, job = counted(latest, about)
    if result is not None or (job is not None and job.runs(now)):
        return None
    if latest is not None and job is None and latest.runs(now):
        jobs.finish(c, latest.id, None, None, now)  # of an earlier text: whoever counts it, perhaps elsewhere, stops
    return jobs.start(c, workspace_id, KIND, campaign_id, now, msgspec.json.encode(Result(about)).decode())


# --- drawing ----------------------------------------------------------------------------------------------------------------


def _names(request: AnyRequest, view: ReviewView) -> dict[str, Any]:
    wizard = Wizard(view.row.id, view.row.name, "review")
    zone = view.draft.schedule.zone if view.draft.schedule.when == "later" and view.start.kind != "bad" else view.zone
    return {
        "v": view,
        "wizard": wizard,
        "me": Visitor.of(request).user_id,
        "now": Desk.of(request).console.clock.now(),
        "reload": f"{wizard.home}/review",
        "start_zone": zone,
        "there": i18n.figures(language_of(request), zone)["moment"],
        "zones": zones(),
        "days": DAY_NAMES,
        "first_fields": [f"first-{name}" for name in FIRST_FIELDS],
    }


def _page(request: AnyRequest, view: ReviewView, status: int = 200) -> Response[Any]:
    return draw(request, "review.html", status=status, **_names(request, view))


def _parts(request: AnyRequest, view: ReviewView, saved: bool) -> Response[Any]:
    template = Desk.of(request).templates(request).get_template("_review_parts.html")
    html = template.render(**_names(request, view), saved=saved)
    return Response(html, media_type=MediaType.HTML, headers={"cache-control": "no-store"})
