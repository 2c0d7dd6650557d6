"""The workspace's settings, new workspaces, and which one is looked at."""

from __future__ import annotations

import json
from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from pydantic import ValidationError
from sqlalchemy import Connection

from campana.core.access import Permission, Role
from campana.core.campaign import Hours
from campana.core.hours import DAY_NAMES, zones
from campana.core.ids import Id, id_of
from campana.store import audit, sessions, workspaces
from campana.web.console.page import AnyRequest, Desk, draw, preference, typed
from campana.web.hosts import address_of
from campana.web.visitor import Visitor


@get("/settings", needs=Permission.ADMIN, include_in_schema=False)
async def settings_page(request: AnyRequest) -> Response[Any]:
    """Name, zone and hours of the workspace."""
    if answer := preference(request):
        return answer
    workspace = await Desk.of(request).console.read(workspaces.get, Visitor.of(request).workspace_id)
    return _page(request, _given_of(workspace), {}, request.query_params.get("said", ""))


def _given_of(workspace: workspaces.Workspace) -> dict[str, Any]:
    """The settings as the form shows them."""
    hours = Hours.model_validate_json(workspace.hours) if workspace.hours else None
    given: dict[str, Any] = {"name": workspace.name, "zone": workspace.zone, "email_alpha": workspace.email_alpha}
    given |= {"limited": hours is not None, "from": hours.start if hours else "08:00", "to": hours.end if hours else "21:00"}
    return {**given, "days": hours.days if hours and hours.days else list(DAY_NAMES)}


def _page(request: AnyRequest, given: dict[str, Any], errors: dict[str, str], said: str = "") -> Response[Any]:
    values = {"given": given, "errors": errors, "said": said, "zones": zones(), "days": DAY_NAMES}
    return draw(request, "settings.html", status=422 if errors else 200, **values)


@post("/settings", needs=Permission.ADMIN, include_in_schema=False)
async def change(request: AnyRequest) -> Response[Any]:
    """Changes the workspace. Campaigns that run keep the hours they were launched with."""
    console, visitor, form = Desk.of(request).console, Visitor.of(request), await typed(request)
    given: dict[str, Any] = {
        "name": "",
        "zone": "",
        "from": "",
        "to": "",
        **form,
        "limited": "limited" in form,
        "email_alpha": "email_alpha" in form,
    }
    given["days"] = [day for day in DAY_NAMES if f"day_{day}" in form]
    errors, hours = _errors(given)
    if errors:
        return _page(request, given, errors)
    now = console.clock.now()

    def change(c: Connection) -> bool:
        before = workspaces.get(c, visitor.workspace_id)
        if not workspaces.change(c, visitor.workspace_id, given["name"], given["zone"], hours, given["email_alpha"]):
            return False
        after = workspaces.get(c, visitor.workspace_id)
        changed = {name: getattr(after, name) for name in ("name", "zone", "hours", "email_alpha")}
        changed = {name: value for name, value in changed.items() if value != getattr(before, name)}
        if changed:
            _note(c, request, "workspace.changed", after.name, now, visitor.workspace_id, changed)
        return True

    if not await console.write(change):
        return _page(request, given, {"name": "name_taken"})
    return Redirect("/settings?said=saved", status_code=303)


def _errors(given: dict[str, Any]) -> tuple[dict[str, str], str | None]:
    """What is wrong with the form, and the hours as they are kept."""
    errors = {} if given.get("name") else {"name": "name_wanted"}
    if given.get("zone") not in zones():
        errors["zone"] = "zone_unknown"
    if not given["limited"]:
        return errors, None
    if not given["days"]:
        errors["day_mon"] = "days_wanted"
    facts = {"from": given.get("from", ""), "to": given.get("to", ""), "zone": given.get("zone", ""), "days": given["days"]}
    try:
        Hours.model_validate(facts)
    except ValidationError:
        return {**errors, "from": "hours_wrong"}, None
    return errors, json.dumps(facts)


def _note(c: Connection, request: AnyRequest, what: str, about: str, now: int, where: Id, details: dict[str, Any]) -> None:
    v = Visitor.of(request)
    audit.note(c, where, v.user_id, v.email, what, about, now, where, details, address_of(request.scope))


@get("/workspaces/new", needs=Permission.OWN, include_in_schema=False)
async def new_page(request: AnyRequest) -> Response[Any]:
    """Where a workspace is begun."""
    return preference(request) or draw(
        request, "workspace_new.html", given={"zone": Visitor.of(request).zone}, errors={}, zones=zones()
    )


@post("/workspaces/new", needs=Permission.OWN, include_in_schema=False)
async def new(request: AnyRequest) -> Response[Any]:
    """A new workspace, which the visitor owns and looks at."""
    console, visitor, given = Desk.of(request).console, Visitor.of(request), await typed(request)
    errors = {} if given.get("name") else {"name": "name_wanted"}
    if given.get("zone") not in zones():
        errors["zone"] = "zone_unknown"
    now = console.clock.now()

    def make(c: Connection) -> bool:
        made = workspaces.create(c, given["name"][:100], given["zone"], now)
        if made is None:
            return False
        workspaces.join(c, made, visitor.user_id, Role.OWNER, now)
        sessions.look_at(c, visitor.session_id, made)
        _note(c, request, "workspace.made", given["name"], now, made, {})
        return True

    if not errors and not await console.write(make):
        errors["name"] = "name_taken"
    if errors:
        return draw(request, "workspace_new.html", status=422, given=given, errors=errors, zones=zones())
    return Redirect("/settings/people", status_code=303)


@post("/workspaces/{workspace:str}/open", needs=Permission.VIEW, include_in_schema=False)
async def open_workspace(request: AnyRequest, workspace: FromPath[str]) -> Response[Any]:
    """The session shows another of the visitor's workspaces from now on."""
    visitor, wanted = Visitor.of(request), id_of(workspace)
    if wanted is None or wanted not in dict(visitor.workspaces):
        raise NotFoundException
    await Desk.of(request).console.write(sessions.look_at, visitor.session_id, wanted)
    return Redirect("/campaigns", status_code=303)
