"""A campaign that goes to some people first: a person does not wait for the end of the watch."""

from __future__ import annotations

from typing import Any

from litestar import Response, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.core.ids import Id
from campana.engine import careful, launch
from campana.web.access import noting
from campana.web.console.drafts import house_of
from campana.web.console.page import AnyRequest, Desk, Noting
from campana.web.console.progress import known, page


@post("/campaigns/{campaign:str}/send-to-all", needs=Permission.OPERATE, include_in_schema=False)
async def send_to_all(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """It goes to everybody now, also when it had paused itself; while everything is stopped, the page says so instead."""
    _, campaign_id, found = await known(request, campaign)
    run_id, console = found.line.run_id, Desk.of(request).console
    note = noting(request, "campaign.sent_to_all", found.line.name, campaign_id)
    try:
        if found.stop is not None or run_id is None:
            raise NotNow
        await console.write(let_go, run_id, console.clock.now(), note)
    except NotNow:
        _, _, found = await known(request, campaign)
        return page(request, found, status=409)  # which tells how the campaign stands
    house_of(request).wake("pump")
    house_of(request).wake("live")
    return Redirect(f"/campaigns/{campaign_id.hex()}", status_code=303)


class NotNow(Exception):
    """The campaign is over, stopped, or was never sent to some people first."""


def let_go(c: Connection, run_id: Id, now: int, note: Noting) -> None:
    """The watch lets everybody pass and the run goes on: both, or neither."""
    if not careful.send_to_all(c, run_id, now) or not launch.resume(c, run_id, now):
        raise NotNow
    note(c)
