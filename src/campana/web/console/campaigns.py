"""The campaign list: what is there and what it is doing, with what can be done to each, filtered by chips in the address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment
from litestar import Response, get
from litestar.response import Redirect, Stream

from campana.core.access import Permission
from campana.core.ids import Id
from campana.store import campaign_list
from campana.store.campaign_list import CampaignLine
from campana.web.access import while_signed_in
from campana.web.console.campaign_filters import Shown, Wanted, show
from campana.web.console.page import AnyRequest, Desk, draw, language_of, number, preference
from campana.web.live import Topic, message, named
from campana.web.visitor import Visitor

MOST = 2000  # of the newest: what is older is found on the command line
STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
OVER = frozenset({"sent", "ended", "failed_to_start"})
OPERATING = {
    "scheduled": ("pause", "finish"),
    "sending": ("pause", "finish"),
    "paused": ("resume", "finish"),
}
DEEDS = ("pause", "resume", "archive", "restore")  # that can be done to many at once


@dataclass(frozen=True, slots=True)
class May:
    """What the reader's role lets them do to campaigns."""

    operate: bool = False
    edit: bool = False

    @classmethod
    def of(cls, visitor: Visitor) -> May:
        """What a visitor may do."""
        return cls(visitor.may(Permission.OPERATE), visitor.may(Permission.EDIT))

    def can(self, line: CampaignLine) -> tuple[str, ...]:
        """What can be done to a campaign as it stands, in the order of a menu."""
        found: list[str] = []
        if self.edit and line.status == "draft":
            found += ["edit", "review"]
        if self.operate:
            found += OPERATING.get(line.status, ())
        if self.edit:
            found += ["unschedule"] if line.status == "scheduled" and line.started_at is None else []
            found.append("duplicate")
        if self.operate and line.status != "draft":
            found.append("csv")
        if self.edit and line.status in OVER:
            found.append("archive" if line.archived_at is None else "restore")
        if self.edit and line.status == "draft":
            found.append("delete")
        return tuple(found)


async def lines_of(desk: Desk, workspace_id: Id) -> list[CampaignLine]:
    """All campaigns of a workspace, those put away too."""
    lines: list[CampaignLine] = await desk.console.read(campaign_list.campaigns, workspace_id, limit=MOST, archived=True)
    return lines


@get("/", needs=Permission.VIEW, include_in_schema=False)
async def home() -> Redirect:
    """The console opens on the campaigns."""
    return Redirect("/campaigns")


@get("/campaigns", needs=Permission.VIEW, include_in_schema=False)
async def campaigns(request: AnyRequest) -> Response[Any]:
    """The list as a page, complete without script."""
    if answer := preference(request):
        return answer
    desk, wanted, visitor = Desk.of(request), Wanted.read(request), Visitor.of(request)
    shown = show(await lines_of(desk, visitor.workspace_id), wanted)
    stream = wanted.url("/campaigns/stream", page=wanted.page)
    stream += ("&" if "?" in stream else "?") + urlencode({"lang": language_of(request)})
    told = (request.query_params.get("did", ""), number(request.query_params.get("n", "")))
    facts: dict[str, Any] = {"shown": shown, "wanted": wanted, "may": May.of(visitor), "told": told}
    return draw(request, "campaigns.html", **facts, stream=stream, now=desk.console.clock.now())


@get("/campaigns/stream", needs=Permission.VIEW, include_in_schema=False, uncompressed=True)
async def campaigns_stream(request: AnyRequest) -> Stream:
    """The rows of one address, as they change."""
    desk, wanted, visitor = Desk.of(request), Wanted.read(request), Visitor.of(request)
    templates, may = desk.templates(request), May.of(visitor)
    events = desk.live.watch(
        Topic(("campaigns", visitor.workspace_id), lambda: lines_of(desk, visitor.workspace_id)),
        (language_of(request), visitor.zone, wanted, may),
        lambda lines: frame(templates, show(lines, wanted), wanted, may),
    )
    return Stream(while_signed_in(request, events), media_type="text/event-stream", headers=STREAM_HEADERS)


def frame(templates: Environment, shown: Shown, wanted: Wanted, may: May) -> bytes:
    """One frame of the list: its rows, and which they are, so that the page can say how many are new to it, or gone."""
    say = templates.get_template("_ui.html").module
    html = templates.get_template("_rows_live.html").render(shown=shown, wanted=wanted, may=may)
    words = {count: str(say.new_rows(count)) for count in range(1, len(shown.lines) + 1)}  # type: ignore[attr-defined]
    rows = [line.campaign_id.hex() for line in shown.lines]
    gone = str(say.gone_rows())  # type: ignore[attr-defined]
    return message(html) + named("stats", json.dumps({"rows": rows, "more": words, "gone": gone, "spoken": ""}))
