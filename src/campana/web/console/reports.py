"""Reports: what came of the campaigns that started in a period, beside the period before; as a page, on paper, as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar import Response, get
from litestar.response import Redirect, Stream
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.core.ids import Id, id_of
from campana.core.periods import PERIODS, BadPeriod, Period, local_day, period_of
from campana.store import reporting, reports, saved_views
from campana.store.reporting import CampaignSums, Chosen, Report, Sums
from campana.web.access import noting
from campana.web.console import csv_files
from campana.web.console.page import AnyRequest, Desk, draw, language_of, preference
from campana.web.console.report_words import csv_pieces, day_words
from campana.web.visitor import Visitor

HERE = "/reports"
SHOWN = 200  # campaigns on the page; all of them are in the file
SORTS = ("started", "name", "people", "sent", "delivered", "read", "replied", "failed")
LONGEST = 200  # characters of a filter


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader wants to look at, as an address says it."""

    period: str = "30"
    first: str = ""
    last: str = ""
    campaign: str = ""
    channel: str = ""
    tag: str = ""
    sort: str = "started"
    up: bool = False

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Wanted:
        """What makes no sense in an address says nothing."""
        period, sort = asked.get("period", ""), asked.get("sort", "")
        texts = {name: asked.get(name, "").strip()[:LONGEST] for name in ("from", "to", "campaign", "channel", "tag")}
        if "was" in asked and asked["was"] != f"{texts['from']}/{texts['to']}":
            period = "own"  # somebody changed the days, whatever stands before them
        return cls(
            period if period in PERIODS else "own" if texts["from"] or texts["to"] else "30",
            texts["from"],
            texts["to"],
            texts["campaign"] if id_of(texts["campaign"]) else "",
            texts["channel"],
            texts["tag"],
            sort.removesuffix("-up") if sort.removesuffix("-up") in SORTS else "started",
            sort.endswith("-up"),
        )

    @property
    def filters(self) -> dict[str, str]:
        """What it says besides the period and the order."""
        named = {"campaign": self.campaign, "channel": self.channel, "tag": self.tag}
        return {name: value for name, value in named.items() if value}

    @property
    def chosen(self) -> Chosen:
        """The filters as the store knows them."""
        return Chosen(id_of(self.campaign) if self.campaign else None, self.channel, self.tag)

    @property
    def order(self) -> str:
        """What the campaigns are sorted by, as an address says it."""
        return f"{self.sort}-up" if self.up else self.sort

    @property
    def query(self) -> str:
        """All of it, as an address says it."""
        days = {"from": self.first, "to": self.last} if self.period == "own" else {}
        order = {"sort": self.order} if self.order != "started" else {}
        return urlencode({"period": self.period, **days, **self.filters, **order})

    def url(self, path: str = HERE, **changes: Any) -> str:
        """The address of the page with some of this changed."""
        return f"{path}?{replace(self, **changes).query}"

    def by(self, sort: str) -> str:
        """The address that sorts by that; by what it is sorted by already, the other way round."""
        return self.url(sort=sort, up=not self.up if sort == self.sort else sort == "name")


@dataclass(frozen=True, slots=True)
class Compared:
    """A share and what it was before, in per cent; None where there is nobody to be a share of."""

    name: str
    n: int
    whole: int
    before: int
    whole_before: int
    good: bool = True  # the more the better

    @property
    def points(self) -> float | None:
        """By how many percentage points it is more than before."""
        if not self.whole or not self.whole_before:
            return None
        return round(100 * self.n / self.whole - 100 * self.before / self.whole_before, 1) + 0.0


def compared(now: Sums, before: Sums) -> list[Compared]:
    """How far people got, each share of those it could be of."""
    return [
        Compared("sent", now.sent, now.people, before.sent, before.people),
        Compared("delivered", now.delivered, now.sent, before.delivered, before.sent),
        Compared("read", now.read, now.delivered, before.read, before.delivered),
        Compared("replied", now.replied, now.delivered, before.replied, before.delivered),
        Compared("failed", now.failed, now.people, before.failed, before.people, good=False),
    ]


def ordered(lines: Sequence[CampaignSums], wanted: Wanted) -> list[CampaignSums]:
    """The campaigns in the order that is wanted."""
    if wanted.sort == "name":
        return sorted(lines, key=lambda line: line.name.casefold(), reverse=not wanted.up)
    key = "started_at" if wanted.sort == "started" else wanted.sort
    return sorted(lines, key=lambda line: getattr(line, key), reverse=not wanted.up)


def find(c: Connection, workspace_id: Id, wanted: Wanted, period: Period, zone: str) -> Report:
    """The figures that are wanted."""
    return reporting.report(c, workspace_id, period, zone, wanted.chosen)


def _look(c: Connection, v: Visitor, wanted: Wanted, period: Period) -> tuple[Report, list[str], list[saved_views.View]]:
    found = find(c, v.workspace_id, wanted, period, v.zone)
    return found, reports.all_tags(c, v.workspace_id), saved_views.of_page(c, v.workspace_id, "reports")


def _period(request: AnyRequest, wanted: Wanted) -> Period:
    """The period an address names, as the workspace counts days. Raises BadPeriod."""
    today = local_day(Desk.of(request).console.clock.now(), Visitor.of(request).zone)
    return period_of(wanted.period, today, wanted.first, wanted.last)


@get(HERE, needs=Permission.VIEW, include_in_schema=False)
async def report_page(request: AnyRequest) -> Response[Any]:
    """The report as a page, complete without script."""
    if answer := preference(request):
        return answer
    wanted, wrong = Wanted.of(request.query_params), ""
    if "was" in request.query_params:
        return Redirect(wanted.url())
    try:
        period = _period(request, wanted)
    except BadPeriod as error:
        wrong, period = error.word, _period(request, Wanted())
    found, tags, views = await Desk.of(request).console.read(_look, Visitor.of(request), wanted, period)
    words = day_words(language_of(request))
    if wanted.period != "own":  # what the fields show when own days are chosen next
        wanted = replace(wanted, first=str(period.first), last=str(period.last))
    return draw(
        request,
        "reports.html",
        r=found,
        wanted=wanted,
        wrong=wrong,
        compared=compared(found.total, found.before),
        lines=ordered(found.campaigns, wanted)[:SHOWN],
        more=max(0, len(found.campaigns) - SHOWN),
        tags=tags if wanted.tag in (*tags, "") else [*tags, wanted.tag],
        views=views,
        day=words,
        most=max((n for _, n in found.days), default=0),
        most_runs=reporting.MOST_RUNS,
    )


@get(f"{HERE}.csv", needs=Permission.VIEW, include_in_schema=False)
async def report_csv(request: AnyRequest) -> Redirect | Stream:
    """The figures of an address as a file, all campaigns of it."""
    wanted = Wanted.of(request.query_params)
    try:
        period = _period(request, wanted)
    except BadPeriod:
        return Redirect(wanted.url())  # which says what is wrong
    visitor, desk = Visitor.of(request), Desk.of(request)
    found: Report = await desk.console.read(find, visitor.workspace_id, wanted, period, visitor.zone)
    details = {name: value for name, value in wanted.filters.items() if name != "campaign"}
    about = f"{period.first} – {period.last}"
    await desk.console.write(noting(request, "report.exported", about, visitor.workspace_id, details))
    pieces = csv_pieces(desk.templates(request), found, language_of(request))

    async def file() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return csv_files.sent(f"report-{period.first}-{period.last}.csv", file())


def query_of(text: str) -> Wanted:
    """What a query that was kept asks for."""
    return Wanted.of(dict(parse_qsl(text)))
