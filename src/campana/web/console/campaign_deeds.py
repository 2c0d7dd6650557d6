"""What is done to many campaigns at once, or to one from the list: pause, resume, put away, bring back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from litestar import Response, post
from litestar.response import Redirect

from campana.core.access import Permission
from campana.core.ids import Id, id_of
from campana.store import campaign_list
from campana.store.campaign_list import CampaignLine
from campana.web.access import next_of, noting
from campana.web.console.campaigns import lines_of
from campana.web.console.drafts import author_of, workspace_of
from campana.web.console.page import AnyRequest, Desk, Noting, Refused, draw

AT_ONCE = 100  # campaigns of one form: twice as many as a page has
Deed = Callable[[CampaignLine], Awaitable[bool]]


async def _each(request: AnyRequest, what: str, deed: Deed) -> Response[Any]:
    """Does it to every campaign of the form, and tells of each that it could not be done to."""
    desk, workspace_id = Desk.of(request), workspace_of(request)
    form = await request.form()
    chosen = dict.fromkeys(filter(None, map(id_of, map(str, form.getall("campaign", [])[:AT_ONCE]))))
    known = {line.campaign_id: line for line in await lines_of(desk, workspace_id)}
    left: list[Id] = []
    for campaign_id in chosen:
        line = known.get(campaign_id)
        if line is not None and not await deed(line):
            left.append(campaign_id)
    met = sum(campaign_id in known for campaign_id in chosen)
    back = _back(str(form.get("back", "")))
    if not left and met == len(chosen):
        told = urlencode({"did": what if chosen else "none", "n": met})
        return Redirect(f"{back}{'&' if '?' in back else '?'}{told}", status_code=303)
    now = {line.campaign_id: line for line in await lines_of(desk, workspace_id)}
    refused = [now[campaign_id] for campaign_id in left if campaign_id in now]
    facts: dict[str, Any] = {"what": what, "done": met - len(left), "chosen": len(chosen), "refused": refused, "back": back}
    return draw(request, "campaigns_left.html", **facts, gone=len(chosen) - met)


def _back(asked: str) -> str:
    """The list as it was when the form was sent."""
    back = next_of(asked)
    return back if urlsplit(back).path == "/campaigns" else "/campaigns"


def _acting(request: AnyRequest, action: Callable[[Id, Noting], Awaitable[object]], what: str) -> Deed:
    """An action of the wheels; one that is refused is not done."""

    async def deed(line: CampaignLine) -> bool:
        try:
            await action(line.campaign_id, noting(request, what, line.name, line.campaign_id))
        except Refused:
            return False
        return True

    return deed


def _putting(request: AnyRequest, put: Callable[..., bool]) -> Deed:
    console, workspace_id, author = Desk.of(request).console, workspace_of(request), author_of(request)

    async def deed(line: CampaignLine) -> bool:
        done: bool = await console.write(put, workspace_id, line.campaign_id, author, console.clock.now())
        return done

    return deed


@post("/campaigns/many/pause", needs=Permission.OPERATE, include_in_schema=False)
async def pause_many(request: AnyRequest) -> Response[Any]:
    """Holds everything of them that was not yet handed to a vendor."""
    return await _each(request, "pause", _acting(request, Desk.of(request).console.actions.pause, "campaign.paused"))


@post("/campaigns/many/resume", needs=Permission.OPERATE, include_in_schema=False)
async def resume_many(request: AnyRequest) -> Response[Any]:
    """They go on where their pause began."""
    return await _each(request, "resume", _acting(request, Desk.of(request).console.actions.resume, "campaign.resumed"))


@post("/campaigns/many/archive", needs=Permission.EDIT, include_in_schema=False)
async def archive_many(request: AnyRequest) -> Response[Any]:
    """Those that are over leave the list; nothing of them is lost."""
    return await _each(request, "archive", _putting(request, campaign_list.archive))


@post("/campaigns/many/restore", needs=Permission.EDIT, include_in_schema=False)
async def restore_many(request: AnyRequest) -> Response[Any]:
    """Those that were put away are in the list again."""
    return await _each(request, "restore", _putting(request, campaign_list.restore))
