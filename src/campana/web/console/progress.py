"""The progress of one campaign while it happens: counts, outcomes, steps, pace, failures; and pause, resume, Finish."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from campana.core.access import Permission
from campana.core.canary import shares
from campana.core.forecast import forecast
from campana.core.hours import zone_of
from campana.core.ids import Id, id_of
from campana.core.journey import Outcome
from campana.store import progress as store_progress
from campana.store.campaigns import LIVE
from campana.store.progress import Progress
from campana.web.access import noting, while_signed_in
from campana.web.console.campaigns import STREAM_HEADERS
from campana.web.console.page import AnyRequest, Desk, Face, Noting, draw, language_of, preference
from campana.web.live import Topic, message, named
from campana.web.visitor import Visitor

OUTCOMES = (
    "replied",
    "delivered",
    "sending",
    "waiting",
    "unreached",
    "skipped",
    "suppressed",
    "opted_out",
    "ended",
    "unknown",
)
POINTS = 120  # as many as a chart of this width can show
BUCKETS = (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440, 10_080)


@dataclass(frozen=True, slots=True)
class Pace:
    """Messages per minute over time: every point is the average of `step` minutes."""

    step: int
    points: Sequence[tuple[int, float]]


def pace(minutes: Sequence[tuple[int, int]], most: int = POINTS) -> Pace:
    """Fills the minutes in which nothing was sent, and joins minutes until no more than `most` points are left."""
    if not minutes:
        return Pace(1, ())
    first, last = minutes[0][0], minutes[-1][0]
    step = next((size for size in BUCKETS if (last - first) // size < most), BUCKETS[-1])
    start = first - first % step
    if start == last - last % step:
        start -= step  # one point alone draws no line: it rises from the quiet minute before
    sums = dict.fromkeys(range(start, last + 1, step), 0)
    for minute, count in minutes:
        sums[minute - minute % step] += count
    return Pace(step, [(minute, round(count / step, 4) if step > 1 else count) for minute, count in sums.items()])


MISSED = (Outcome.UNREACHED, Outcome.UNKNOWN, Outcome.SKIPPED, Outcome.ENDED)


@dataclass(frozen=True, slots=True)
class View:
    """What the fragments draw from: the figures, and what follows from them."""

    p: Progress
    pace: Pace
    outcomes: Sequence[tuple[str, int]]  # in the order people read them; those of nobody are left away
    left: int  # people who get nothing more when the campaign is finished now
    can: frozenset[str]  # of pause, resume, finish, send_to_all, duplicate, unschedule
    now: int = 0

    @classmethod
    def of(cls, p: Progress, may_act: bool = True, may_edit: bool = False, now: int = 0) -> View:
        """Derives the view; an outcome that has no place in our order comes last rather than not at all."""
        known = [*OUTCOMES, *sorted(set(p.outcomes) - set(OUTCOMES))]
        return cls(
            p,
            pace(p.minutes),
            [(name, p.outcomes[name]) for name in known if p.outcomes.get(name)],
            p.outcomes.get("waiting", 0) + p.outcomes.get("sending", 0),
            _allowed(p, may_act, may_edit),
            now,
        )

    @property
    def live(self) -> bool:
        """Whether anything is still to come."""
        return self.p.line.status in LIVE

    @property
    def over(self) -> bool:
        """Whether it is over: the page is the report then."""
        return self.p.line.status in ("sent", "ended")

    @property
    def kinds(self) -> list[str]:
        """What each step is."""
        return [step.kind for step in self.p.steps]

    @property
    def missed(self) -> int:
        """People who got nothing, or of whom nobody knows."""
        return sum(self.p.outcomes.get(outcome, 0) for outcome in MISSED)

    def ends_today(self, zone: str) -> bool:
        """Whether what waits is out before the day ends there."""
        ends = self.p.forecast.ends if self.p.forecast else None
        return ends is not None and _day(ends, zone) == _day(self.now, zone)

    def limits(self, *labels: str) -> Iterator[tuple[str, float, float]]:
        """How much has gone wrong of what may, in per cent: messages that failed, people who opted out, messages unknown."""
        if self.p.watch is None:
            return
        for label, one in zip(labels, shares(self.p.watch, self.p.tried), strict=True):
            yield label, 100 * max(0, one.count) / one.of, one.most

    def reads(self, channels: Mapping[str, Face]) -> bool:
        """Whether anything of the campaign tells who read it: elsewhere a 0 would say that nobody did."""
        known = (channels.get(kind) for kind in self.p.line.channels)
        return bool(self.p.funnel.get("read")) or not self.p.line.channels or any(face is None or face.reads for face in known)


ALLOWED: Mapping[str, frozenset[str]] = {
    "scheduled": frozenset({"pause", "finish"}),
    "sending": frozenset({"pause", "finish"}),
    "paused": frozenset({"resume", "finish"}),
}


def _day(moment: int, zone: str) -> object:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).astimezone(zone_of(zone)).date()


def _allowed(p: Progress, may_act: bool, may_edit: bool) -> frozenset[str]:
    acts = ALLOWED.get(p.line.status, frozenset()) if may_act else frozenset()
    if acts and p.watch is not None and p.watch.passed_at is None and p.line.status != "scheduled":
        acts |= {"send_to_all"}
    if p.stop is not None:
        acts -= {"resume", "send_to_all"}  # nothing goes on before the stop is lifted
    if not may_edit:
        return acts
    not_begun = p.line.status == "scheduled" and p.line.started_at is None
    return acts | {"duplicate"} | ({"unschedule"} if not_begun else set())


async def _progress(desk: Desk, workspace_id: Id, campaign_id: Id) -> Progress | None:
    console = desk.console
    now = console.clock.now()
    found: Progress | None = await console.read(store_progress.progress, workspace_id, campaign_id, now)
    return foreseen(desk, found, now) if found else None


def foreseen(desk: Desk, found: Progress, now: int) -> Progress:
    """With when what waits is out; how its senders count, the channels know."""
    if not found.queues:
        return found
    known = desk.console.house.channels if desk.console.house else {}
    queues = []
    for one in found.queues:
        channel = known.get(one.channel)
        counts = one.counts or (channel.weight if channel else "messages")
        queues.append(replace(one, counts=counts, weight=one.weight if counts == "segments" else 1.0))
    return replace(found, queues=queues, forecast=forecast(now, queues, found.hours))


async def known(request: AnyRequest, campaign: str) -> tuple[Desk, Id, Progress]:
    """The campaign of the visitor's workspace that an address names, or a page that says there is none."""
    desk, campaign_id = Desk.of(request), id_of(campaign)
    found = await _progress(desk, Visitor.of(request).workspace_id, campaign_id) if campaign_id else None
    if campaign_id is None or found is None:
        raise NotFoundException
    return desk, campaign_id, found


@get("/campaigns/{campaign:str}", needs=Permission.VIEW, include_in_schema=False)
async def progress(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """The progress page, complete without script."""
    if answer := preference(request):
        return answer
    _, campaign_id, found = await known(request, campaign)
    if found.line.status == "draft" and Visitor.of(request).may(Permission.EDIT):
        return Redirect(f"/campaigns/{campaign_id.hex()}/setup")
    return page(request, found)


def page(request: AnyRequest, found: Progress, status: int = 200) -> Response[Any]:
    """The page of what was found."""
    visitor, now = Visitor.of(request), Desk.of(request).console.clock.now()
    home = f"/campaigns/{found.line.campaign_id.hex()}"
    return draw(
        request,
        "progress.html",
        status=status,
        v=View.of(found, visitor.may(Permission.OPERATE), visitor.may(Permission.EDIT), now),
        home=home,
        stream=f"{home}/stream?" + urlencode({"lang": language_of(request)}),
        asked=request.query_params.get("ask", ""),
        now=now,
    )


@get("/campaigns/{campaign:str}/stream", needs=Permission.VIEW, include_in_schema=False, uncompressed=True)
async def progress_stream(request: AnyRequest, campaign: FromPath[str]) -> Stream:
    """The same figures, as they change."""
    desk, campaign_id, _ = await known(request, campaign)
    visitor, templates = Visitor.of(request), desk.templates(request)
    may = (visitor.may(Permission.OPERATE), visitor.may(Permission.EDIT))
    events = desk.live.watch(
        Topic(("progress", campaign_id), lambda: _progress(desk, visitor.workspace_id, campaign_id)),
        (language_of(request), visitor.zone, may),
        lambda found: frame(templates, View.of(found, *may, desk.console.clock.now())),
    )
    return Stream(while_signed_in(request, events), media_type="text/event-stream", headers=STREAM_HEADERS)


def frame(templates: Environment, v: View) -> bytes:
    """One frame: every fragment of the page, the chart's points, and the sentence for who listens."""
    spoken = str(templates.get_template("_ui.html").module.spoken(v.p.line))  # type: ignore[attr-defined]
    html = templates.get_template("_progress_live.html").render(v=v)
    return message(html) + named("stats", json.dumps({"points": v.pace.points, "spoken": spoken}))


async def _act(request: AnyRequest, campaign: str, action: Callable[[Id, Noting], Awaitable[object]], what: str) -> Redirect:
    _, campaign_id, found = await known(request, campaign)
    await action(campaign_id, noting(request, what, found.line.name, campaign_id))
    return Redirect(f"/campaigns/{campaign_id.hex()}", status_code=303)


@post("/campaigns/{campaign:str}/pause", needs=Permission.OPERATE, include_in_schema=False)
async def pause(request: AnyRequest, campaign: FromPath[str]) -> Redirect:
    """Holds everything not yet handed to a vendor."""
    return await _act(request, campaign, Desk.of(request).console.actions.pause, "campaign.paused")


@post("/campaigns/{campaign:str}/resume", needs=Permission.OPERATE, include_in_schema=False)
async def resume(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """Goes on where the pause began; while everything is stopped, the page says so instead."""
    _, _, found = await known(request, campaign)
    if found.stop is not None:
        return page(request, found, status=409)
    return await _act(request, campaign, Desk.of(request).console.actions.resume, "campaign.resumed")


@post("/campaigns/{campaign:str}/finish", needs=Permission.OPERATE, include_in_schema=False)
async def finish(request: AnyRequest, campaign: FromPath[str]) -> Redirect:
    """Ends the campaign for good; the page asked before."""
    return await _act(request, campaign, Desk.of(request).console.actions.finish, "campaign.finished")
