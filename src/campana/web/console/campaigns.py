"""The campaign list: what is there, what it is doing, filtered by chips that live in the address."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from campana.web.console.page import AnyRequest, Desk, draw, language_of, number, preference
from campana.web.live import Topic, message, named
from campana.web.visitor import Visitor

PAGE = 50
MOST = 2000  # of the newest: what is older is found on the command line
TAGS_SHOWN = 12
STATUSES = ("draft", "scheduled", "sending", "paused", "sent", "ended", "failed_to_start")
STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader wants to see of the list, as its address says it."""

    status: str = ""
    tag: str = ""
    text: str = ""
    page: int = 1

    @classmethod
    def read(cls, request: AnyRequest) -> Wanted:
        """The filters of an address; what makes no sense there filters nothing."""
        asked = request.query_params
        page = asked.get("page", "")
        status = asked.get("status", "")
        return cls(
            status if status in STATUSES else "",
            asked.get("tag", "").strip()[:200],
            asked.get("q", "").strip()[:200],
            max(1, number(page, 99_999)),
        )

    def __bool__(self) -> bool:
        return bool(self.status or self.tag or self.text)

    def url(self, path: str = "/campaigns", **changes: Any) -> str:
        """The address of the list with some of this changed; changing a filter goes back to the first page."""
        wanted = replace(self, **{"page": 1, **changes})
        named = {"status": wanted.status, "tag": wanted.tag, "q": wanted.text, "page": wanted.page if wanted.page > 1 else ""}
        asked = urlencode({name: value for name, value in named.items() if value})
        return f"{path}?{asked}" if asked else path

    def takes(self, line: CampaignLine) -> bool:
        """Whether a campaign is one of those wanted."""
        words = " ".join((line.name, *line.tags)).casefold()
        return (
            (not self.status or line.status == self.status)
            and (not self.tag or self.tag in line.tags)
            and all(word in words for word in self.text.casefold().split())
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of the list that one address shows, and the chips beside it."""

    lines: Sequence[CampaignLine]
    total: int  # that the filters take, on all pages
    all: int
    statuses: Sequence[tuple[str, int]]
    tags: Sequence[tuple[str, int]]
    more: bool  # there is a next page


def show(lines: Sequence[CampaignLine], wanted: Wanted) -> Shown:
    """Filters and pages the list. A chip counts what one would see after choosing it."""
    taken = [line for line in lines if wanted.takes(line)]
    by_status = Counter(line.status for line in lines if replace(wanted, status="").takes(line))
    by_tag = Counter(tag for line in lines if replace(wanted, tag="").takes(line) for tag in line.tags)
    tags = sorted(by_tag.items(), key=lambda pair: (-pair[1], pair[0]))[:TAGS_SHOWN]
    if wanted.tag and wanted.tag not in dict(tags):
        tags.append((wanted.tag, by_tag[wanted.tag]))
    start = (wanted.page - 1) * PAGE
    return Shown(
        taken[start : start + PAGE],
        len(taken),
        len(lines),
        [(status, by_status[status]) for status in STATUSES if by_status[status] or status == wanted.status],
        tags,
        len(taken) > start + PAGE,
    )


async def _lines(desk: Desk, workspace_id: Id) -> list[CampaignLine]:
    lines: list[CampaignLine] = await desk.console.read(campaign_list.campaigns, workspace_id, limit=MOST)
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
    desk, wanted = Desk.of(request), Wanted.read(request)
    shown = show(await _lines(desk, Visitor.of(request).workspace_id), wanted)
    stream = wanted.url("/campaigns/stream", page=wanted.page)
    stream += ("&" if "?" in stream else "?") + urlencode({"lang": language_of(request)})
    return draw(request, "campaigns.html", shown=shown, wanted=wanted, stream=stream, now=desk.console.clock.now())


@get("/campaigns/stream", needs=Permission.VIEW, include_in_schema=False, uncompressed=True)
async def campaigns_stream(request: AnyRequest) -> Stream:
    """The rows of one address, as they change."""
    desk, wanted, visitor = Desk.of(request), Wanted.read(request), Visitor.of(request)
    templates = desk.templates(request)
    events = desk.live.watch(
        Topic(("campaigns", visitor.workspace_id), lambda: _lines(desk, visitor.workspace_id)),
        (language_of(request), visitor.zone, wanted),
        lambda lines: frame(templates, show(lines, wanted), wanted),
    )
    return Stream(while_signed_in(request, events), media_type="text/event-stream", headers=STREAM_HEADERS)


def frame(templates: Environment, shown: Shown, wanted: Wanted) -> bytes:
    """One frame of the list: its rows, and which they are, so that the page can say how many are new to it."""
    say = templates.get_template("_ui.html").module
    html = templates.get_template("_rows_live.html").render(shown=shown, wanted=wanted)
    words = {count: str(say.new_rows(count)) for count in range(1, len(shown.lines) + 1)}  # type: ignore[attr-defined]
    rows = [line.campaign_id.hex() for line in shown.lines]
    return message(html) + named("stats", json.dumps({"rows": rows, "more": words, "spoken": ""}))
