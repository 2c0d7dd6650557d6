"""What a reader wants to see of the campaign list, as its address says it: filters, order, page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

from campana.core.ids import Id
from campana.core.periods import Period
from campana.store.campaign_list import CampaignLine
from campana.web.console.page import AnyRequest, number
from campana.web.visitor import Visitor

PAGE = 50
TAGS_SHOWN = 12
ARCHIVED = "archived"
STATUSES = ("draft", "scheduled", "sending", "paused", "sent", "ended", "failed_to_start", ARCHIVED)
DOWN = "-"  # before the name of a column: from the greatest to the smallest


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _counts(line: CampaignLine, count: int) -> int | None:
    return None if line.status == "draft" else count


# What a column is sorted by; None has no place in the order and comes last, whichever way it goes.
ORDERS: Mapping[str, Callable[[CampaignLine], Any]] = {
    "name": lambda line: line.name.casefold(),
    "status": lambda line: STATUSES.index(line.status) if line.status in STATUSES else len(STATUSES),
    "started": lambda line: line.started_at or line.starts_at,
    "sent": lambda line: _counts(line, line.sent),
    "delivered": lambda line: _share(line.delivered, line.sent),
    "replied": lambda line: _share(line.replied, line.delivered),
    "failed": lambda line: _counts(line, line.failed),
}
UPWARDS = {"name", "status"}  # when they are chosen first; numbers and times begin with the greatest


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader wants to see of the list."""

    status: str = ""
    tag: str = ""
    text: str = ""
    page: int = 1
    channel: str = ""
    owner: str = ""  # me, or empty: everybody
    first: date | None = None  # the days in which they started, both included
    last: date | None = None
    sort: str = ""
    reader: Id = b""  # whom "me" means
    zone: str = "UTC"  # in which days begin

    @classmethod
    def read(cls, request: AnyRequest) -> Wanted:
        """The filters of an address; what makes no sense there filters nothing."""
        asked, visitor = request.query_params, Visitor.of(request)
        status, sort = asked.get("status", ""), asked.get("sort", "")
        days = (_day(asked.get("from", "")), _day(asked.get("to", "")))
        first, last = days if None in days else sorted(days)  # type: ignore[type-var]
        return cls(
            status if status in STATUSES else "",
            asked.get("tag", "").strip()[:200],
            asked.get("q", "").strip()[:200],
            max(1, number(asked.get("page", ""), 99_999)),
            asked.get("channel", "").strip()[:200],
            "me" if asked.get("owner", "") == "me" else "",
            first,
            last,
            sort if sort.removeprefix(DOWN) in ORDERS else "",
            visitor.user_id,
            visitor.zone,
        )

    def __bool__(self) -> bool:
        return bool(self.status or self.tag or self.text or self.channel or self.owner or self.first or self.last)

    def fields(self, *but: str) -> list[tuple[str, str]]:
        """The names and values of its address; `but` are left out."""
        named = {"status": self.status, "channel": self.channel, "tag": self.tag, "owner": self.owner, "q": self.text}
        named |= {"from": str(self.first or ""), "to": str(self.last or ""), "sort": self.sort}
        named["page"] = str(self.page) if self.page > 1 else ""
        return [(name, value) for name, value in named.items() if value and name not in but]

    def url(self, path: str = "/campaigns", **changes: Any) -> str:
        """The address of the list with some of this changed; changing a filter goes back to the first page."""
        asked = urlencode(replace(self, **{"page": 1, **changes}).fields())
        return f"{path}?{asked}" if asked else path

    @property
    def here(self) -> str:
        """The address of the list as it is."""
        return self.url(page=self.page)

    def sorting(self, column: str) -> str:
        """Which way a column is sorted: ascending, descending, or empty when the order is another's."""
        return {column: "ascending", DOWN + column: "descending"}.get(self.sort, "")

    def sorted_by(self, column: str) -> str:
        """The address of the list in the order of a column; of the one that it has, the other way round."""
        first, other = (column, DOWN + column) if column in UPWARDS else (DOWN + column, column)
        return self.url(sort=other if self.sort == first else first)

    def span(self) -> tuple[int, int] | None:
        """The first moment in which a wanted campaign started, and the first one after."""
        if not self.first and not self.last:
            return None
        first, last = self.first or date(1970, 1, 2), self.last or date(9990, 1, 1)
        return Period(first, last).span(self.zone)

    def test(self) -> Callable[[CampaignLine], bool]:
        """What tells whether a campaign is one of those wanted."""
        span, sought = self.span(), self.text.casefold().split()

        def takes(line: CampaignLine) -> bool:
            if (line.archived_at is not None) != (self.status == ARCHIVED):
                return False
            if sought and not _holds(" ".join((line.name, *line.tags)).casefold(), sought):
                return False
            return (
                (self.status in ("", ARCHIVED) or line.status == self.status)
                and (not self.tag or self.tag in line.tags)
                and (not self.channel or self.channel in line.channels)
                and (not self.owner or line.owner_id == self.reader)
                and (span is None or (line.started_at is not None and span[0] <= line.started_at < span[1]))
            )

        return takes

    def takes(self, line: CampaignLine) -> bool:
        """Whether a campaign is one of those wanted."""
        return self.test()(line)


def _holds(words: str, sought: Sequence[str]) -> bool:
    return all(word in words for word in sought)


def _day(text: str) -> date | None:
    """The day that an address names; a year that no calendar of ours goes to is none."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return None
    return day if 1971 <= day.year <= 9000 else None


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of the list that one address shows, and the chips beside it: each with how many one would see with it."""

    lines: Sequence[CampaignLine]
    total: int  # that the filters take, on all pages
    all: int
    statuses: Sequence[tuple[str, int]]
    tags: Sequence[tuple[str, int]]
    channels: Sequence[tuple[str, int]]
    mine: int | None  # None: everybody's are the reader's, so there is nothing to choose
    more: bool  # there is a next page


def show(lines: Sequence[CampaignLine], wanted: Wanted) -> Shown:
    """Filters, sorts and pages the list."""
    takes = wanted.test()
    taken = in_order([line for line in lines if takes(line)], wanted.sort)
    by_channel = _counted(lines, replace(wanted, channel=""), lambda line: line.channels)
    mine = replace(wanted, owner="me").test()
    start = (wanted.page - 1) * PAGE
    return Shown(
        taken[start : start + PAGE],
        len(taken),
        len(lines),
        _statuses(lines, wanted),
        _tags(lines, wanted),
        sorted(by_channel.items()) if len(by_channel) > 1 or wanted.channel else (),
        sum(map(mine, lines)) if wanted.owner or len({line.owner_id for line in lines}) > 1 else None,
        len(taken) > start + PAGE,
    )


def in_order(lines: list[CampaignLine], sort: str) -> list[CampaignLine]:
    """The lines in the order of a column; those that are equal in it stay as they are, the newest first."""
    if not sort:
        return lines
    key = ORDERS[sort.removeprefix(DOWN)]
    placed = [line for line in lines if key(line) is not None]
    return sorted(placed, key=key, reverse=sort.startswith(DOWN)) + [line for line in lines if key(line) is None]


def _counted(lines: Sequence[CampaignLine], wanted: Wanted, of: Callable[[CampaignLine], Sequence[str]]) -> Counter[str]:
    takes = wanted.test()
    return Counter(each for line in lines if takes(line) for each in of(line))


def _statuses(lines: Sequence[CampaignLine], wanted: Wanted) -> list[tuple[str, int]]:
    counts = _counted(lines, replace(wanted, status=""), lambda line: (line.status,))
    counts[ARCHIVED] = _counted(lines, replace(wanted, status=ARCHIVED), lambda line: (ARCHIVED,))[ARCHIVED]
    return [(status, counts[status]) for status in STATUSES if counts[status] or status == wanted.status]


def _tags(lines: Sequence[CampaignLine], wanted: Wanted) -> list[tuple[str, int]]:
    counts = _counted(lines, replace(wanted, tag=""), lambda line: line.tags)
    tags = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:TAGS_SHOWN]
    if wanted.tag and wanted.tag not in dict(tags):
        tags.append((wanted.tag, counts[wanted.tag]))
    return tags
