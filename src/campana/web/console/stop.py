"""The emergency stop: one page, one button, and nothing of the workspace goes out until somebody lifts it."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.engine import emergency, launch
from campana.store import campaigns, workspaces
from campana.web.access import noting
from campana.web.console.drafts import workspace_of
from campana.web.console.page import AnyRequest, Desk, draw, preference
from campana.web.visitor import Visitor

HERE = "/stop"


@get(HERE, needs=Permission.VIEW, include_in_schema=False)
async def stop_page(request: AnyRequest) -> Response[Any]:
    """What a stop would hold; or since when it holds, and what it paused."""
    if answer := preference(request):
        return answer
    workspace_id = workspace_of(request)

    def look(c: Connection) -> dict[str, Any]:
        return {
            "stop": workspaces.stop_of(c, workspace_id),
            "live": campaigns.names_of_live(c, workspace_id),
            "paused": campaigns.names_of_live(c, workspace_id, launch.STOPPED),
        }

    return draw(request, "stop.html", done=request.query_params.get("done", ""), **await Desk.of(request).console.read(look))


@post(HERE, needs=Permission.OPERATE, include_in_schema=False)
async def stop(request: AnyRequest) -> Redirect:
    """Stops everything. Again, it stops what has come since."""
    workspace_id, visitor, console = workspace_of(request), Visitor.of(request), Desk.of(request).console

    def halt(c: Connection) -> None:
        paused = emergency.stop_everything(c, workspace_id, visitor.name or visitor.email, console.clock.now())
        noting(request, "workspace.stopped", visitor.workspace, workspace_id, {"campaigns": paused})(c)

    await console.write(halt)
    return _told(request, "stopped")


@post(f"{HERE}/lift", needs=Permission.OPERATE, include_in_schema=False)
async def lift(request: AnyRequest) -> Redirect:
    """The workspace sends again; the campaigns that the stop paused go on when the form says so."""
    workspace_id, visitor, console = workspace_of(request), Visitor.of(request), Desk.of(request).console
    go_on = (await request.form()).get("go_on") == "yes"

    def release(c: Connection) -> bool:
        paused = campaigns.names_of_live(c, workspace_id, launch.STOPPED)
        resumed = emergency.lift(c, workspace_id, go_on, console.clock.now())
        noting(request, "workspace.stop_lifted", visitor.workspace, workspace_id, {"campaigns": resumed})(c)
        return bool(paused) and not go_on

    return _told(request, "lifted_paused" if await console.write(release) else "lifted")


def _told(request: AnyRequest, done: str) -> Redirect:
    """Whoever watches or sends is told to look; they look by themselves, too."""
    if house := Desk.of(request).console.house:
        house.wake("pump")
        house.wake("live")
    return Redirect(f"{HERE}?done={done}", status_code=303)
