"""The log of messages, of a workspace and of a campaign, and one message with what was said to the vendor about it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect, Stream
from pydantic import SecretStr

from campana.core.access import Permission
from campana.core.campaign import tag_of
from campana.core.exchange import Request
from campana.core.hours import zone_of as clock_of
from campana.core.ids import Id, id_of
from campana.core.message import NOT_DELIVERED, Outgoing, Status
from campana.core.periods import midnight
from campana.core.struck import STRUCK, strike
from campana.engine.house import House
from campana.engine.report import guard
from campana.store import log
from campana.store.log import Detail, Line, Page, Place, Wanted
from campana.store.people import Head
from campana.web.access import noting
from campana.web.console.csv_files import lines, sent
from campana.web.console.page import AnyRequest, Desk, draw, number, preference, zone_of
from campana.web.console.run_people import head_of, kinds_of, name_of
from campana.web.visitor import Visitor

PAGE = 50
AT_ONCE = 1000  # of a file
STATUSES = {one.word: frozenset({one}) for one in Status}
GROUPS = {"not_delivered": NOT_DELIVERED, **STATUSES}
HEADER = ("time", "campaign", "step", "attempt", "channel", "to", "status", "code", "words", "text", "message")
SENSITIVE = ("authorization", "key", "token", "secret", "signature", "cookie")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which messages the reader wants to see, as the address says it."""

    home: str  # /messages, or that of a campaign
    campaign: Id | None = None
    channel: str = ""
    status: str = ""
    step: str = ""
    code: str = ""
    since: str = ""
    until: str = ""
    to: str = ""
    before: str = ""
    wrong: frozenset[str] = field(default_factory=frozenset)  # fields whose words name no day or address

    @property
    def of_campaign(self) -> bool:
        """Whether it is the log of one campaign, which nobody chooses then."""
        return self.home != "/messages"

    @property
    def fields(self) -> dict[str, str]:
        """The filters under the names of their fields."""
        chosen = "" if self.of_campaign or not self.campaign else self.campaign.hex()
        facts = {"campaign": chosen, "channel": self.channel, "status": self.status, "step": self.step, "code": self.code}
        return facts | {"from": self.since, "until": self.until, "to": self.to}

    def __bool__(self) -> bool:
        return any(self.fields.values())

    def url(self, path: str = "", **changes: Any) -> str:
        """The same log with some of this changed; changing a filter goes back to the newest messages."""
        asked = replace(self, **{"before": "", **changes})
        query = urlencode({name: value for name, value in {**asked.fields, "before": asked.before}.items() if value})
        return (path or self.home) + (f"?{query}" if query else "")

    def wanted(self, zone: str) -> Wanted:
        """Which messages that names; days are those of the zone."""
        first, last = _day(self.since), _day(self.until)
        return Wanted(
            self.campaign,
            self.channel,
            GROUPS.get(self.status, frozenset()),
            int(self.step) - 1 if self.step else None,
            self.code,
            midnight(first, zone) if first else None,
            midnight(last + timedelta(days=1), zone) if last else None,
            _address(self.to),
        )


def asked_of(request: AnyRequest, home: str = "/messages", campaign_id: Id | None = None) -> Asked:
    """The filters of an address; a status or a step that does not exist filters nothing, a day that is none is told."""
    asked = request.query_params
    since, until, to = (asked.get(name, "").strip()[:200] for name in ("from", "until", "to"))
    wrong = {name for name, text in (("from", since), ("until", until)) if text and _day(text) is None}
    wrong |= {"to"} if to and not _address(to) else set()
    status, step = asked.get("status", ""), number(asked.get("step", ""), 99)
    return Asked(
        home,
        campaign_id or id_of(asked.get("campaign", "")),
        asked.get("channel", "")[:100],
        status if status in GROUPS else "",
        str(step or ""),
        asked.get("code", "").strip()[:100],
        since,
        until,
        to,
        asked.get("before", ""),
        frozenset(wrong),
    )


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2200 else None


def _address(text: str) -> str:
    """The address as it is kept; empty when the text is none."""
    if "@" in text:
        return text.casefold()
    digits = text.translate({ord(sign): None for sign in " -().\t/"}).removeprefix("+")
    return f"+{digits}" if digits.isascii() and digits.isdigit() else ""


# --- the log ----------------------------------------------------------------------------------------------------------------


def person_name(line: Line) -> str:
    """What the person of a message is called."""
    person = line.person
    return name_of(line.columns, json.loads(person.cells), person.phone, person.email) if person else ""


async def _log(request: AnyRequest, asked: Asked, head: Head | None = None, zone: str = "") -> Response[Any]:
    desk, workspace_id = Desk.of(request), Visitor.of(request).workspace_id
    shown_in = zone or zone_of(request)
    page = Page([])
    if not asked.wrong:
        page = await desk.console.read(log.page, workspace_id, asked.wanted(shown_in), Place.read(asked.before), PAGE)
    known = [] if head else await desk.console.read(log.campaigns, workspace_id)
    return draw(
        request,
        "messages.html",
        status=422 if asked.wrong else 200,
        zone=zone,
        asked=asked,
        page=page,
        head=head,
        campaigns=known,
        kinds=kinds_of(head.plan) if head else [],
        statuses=list(GROUPS),
        kinds_of_channels=sorted(desk.console.channels),
        name=person_name,
        home=f"/campaigns/{head.campaign_id.hex()}" if head else "",
        tab="messages",
    )


@get("/messages", needs=Permission.VIEW, include_in_schema=False)
async def messages(request: AnyRequest) -> Response[Any]:
    """The messages of the workspace, the newest first."""
    return preference(request) or await _log(request, asked_of(request))


@get("/campaigns/{campaign:str}/messages", needs=Permission.VIEW, include_in_schema=False)
async def campaign_messages(request: AnyRequest, campaign: FromPath[str]) -> Response[Any]:
    """The messages of a campaign, the newest first."""
    if answer := preference(request):
        return answer
    head = await head_of(request, campaign)
    if isinstance(head, Redirect):
        return head
    asked = asked_of(request, f"/campaigns/{head.campaign_id.hex()}/messages", head.campaign_id)
    return await _log(request, asked, head, head.zone)


# --- as a file --------------------------------------------------------------------------------------------------------------


# Uncompressed: to press so many rows together would keep everybody else waiting.
@get("/messages.csv", needs=Permission.VIEW, include_in_schema=False, uncompressed=True, file=True)
async def messages_csv(request: AnyRequest) -> Stream:
    """What the filters take of the workspace's messages."""
    await Desk.of(request).console.write(noting(request, "workspace.messages_exported", "", Visitor.of(request).workspace_id))
    return sent("messages.csv", _file(request, asked_of(request), zone_of(request)))


@get("/campaigns/{campaign:str}/messages.csv", needs=Permission.VIEW, include_in_schema=False, uncompressed=True, file=True)
async def campaign_messages_csv(request: AnyRequest, campaign: FromPath[str]) -> Response[Any] | Stream:
    """What the filters take of a campaign's messages."""
    head = await head_of(request, campaign)
    if isinstance(head, Redirect):
        return head
    await Desk.of(request).console.write(noting(request, "campaign.messages_exported", head.name, head.campaign_id))
    asked = asked_of(request, "/campaigns", head.campaign_id)
    return sent(f"{tag_of(head.name)}-messages.csv", _file(request, asked, head.zone or zone_of(request)))


async def _file(request: AnyRequest, asked: Asked, zone: str) -> AsyncIterator[bytes]:
    """Page by page, so that it needs no more memory than one."""
    desk, workspace_id = Desk.of(request), Visitor.of(request).workspace_id
    yield lines([HEADER], first=True)
    place = None if asked.wrong else Place()
    while place is not None:
        page: Page = await desk.console.read(log.page, workspace_id, asked.wanted(zone), place, AT_ONCE)
        if page.lines:
            yield lines([[guard(cell) for cell in _cells(line, zone)] for line in page.lines])
        place = page.next


def _cells(line: Line, zone: str) -> Sequence[str]:
    m = line.message
    at = datetime.fromtimestamp(m.started_at / 1_000_000, UTC).astimezone(clock_of(zone))
    kind = line.kinds[m.step] if m.step < len(line.kinds) else ""
    facts = (at.isoformat(timespec="seconds"), line.campaign, f"{m.step + 1} {kind}", str(m.attempt), m.channel, m.to)
    return (*facts, m.status.word, m.code or "", line.words or "", m.text, m.id.hex())


# --- one message ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What was said to a vendor and what it answered, made readable."""

    at: int
    request: str
    body: str
    answer: str
    answer_body: str
    again: bool = False  # nobody kept it: it is rendered again as it was


def exchanges(house: House | None, found: Detail) -> list[Said]:
    """The exchanges of a message, secrets struck out. Of one that went well nothing was kept, for it can be said again."""
    account = house.accounts.get(found.integration_id or b"") if house else None
    hidden = account.secrets if account else []  # those of today: what was a secret then was struck out when it was kept
    kept = [Said(one.at, *_parts(strike(one.request, hidden)), *_answer(strike(one.answer, hidden))) for one in found.exchanges]
    if kept or found.status < Status.QUEUED:
        return kept
    request = said_again(house, found)
    if request is None:
        return []
    head = "\n".join((f"{request.method} {request.url}", *(f"{name}: {_plain(name, value)}" for name, value in request.headers)))
    return [Said(found.row["started_at"], head, pretty(request.body.decode(errors="replace")), "", "", again=True)]


def said_again(house: House | None, found: Detail) -> Request | None:
    """The request of a message as it was, but for the credentials; None when its account is not known any more."""
    account = house.accounts.get(found.integration_id or b"") if house else None
    if house is None or account is None or account.channel.kind != found.row["channel"]:
        return None
    facts = {name: getattr(account.settings, name) for name in type(account.settings).model_fields}
    masked = {name: SecretStr(STRUCK) if isinstance(value, SecretStr) else value for name, value in facts.items()}
    content, at = json.loads(found.row["content"]), found.row["started_at"]
    outgoing = Outgoing(found.id, found.sender_address, found.row["to"], content, house.hook_url(account.hook), at)
    return account.channel.build_request(type(account.settings).model_validate(masked), [outgoing])


def _plain(name: str, value: str) -> str:
    return STRUCK if any(word in name.casefold() for word in SENSITIVE) else value


def _parts(text: str) -> tuple[str, str]:
    head, _, body = text.partition("\n")
    return head, pretty(body)


def _answer(text: str) -> tuple[str, str]:
    """An answer's code and its body; what is no answer of a vendor's is one sentence."""
    code, _, body = text.partition(" ")
    return (code, pretty(body)) if code.isdigit() else (text, "")


def pretty(body: str) -> str:
    """JSON with a line for each fact, and forms too; whatever else as it is."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except ValueError:
        pass
    pairs = parse_qsl(body, keep_blank_values=True) if "=" in body and "\n" not in body else []
    return "\n".join(f"{name} = {value}" for name, value in pairs) or body


@get("/messages/{message:str}", needs=Permission.VIEW, include_in_schema=False)
async def message(request: AnyRequest, message: FromPath[str]) -> Response[Any]:
    """One message: a page of its own, or its part for the panel beside the log."""
    if answer := preference(request):
        return answer
    desk, message_id = Desk.of(request), id_of(message)
    found: Detail | None = None
    if message_id is not None:
        found = await desk.console.read(log.detail, Visitor.of(request).workspace_id, message_id)
    if found is None:
        raise NotFoundException
    person, house = found.person, desk.console.house
    cells = json.loads(person.cells) if person else []
    facts: dict[str, Any] = {
        "m": found,
        "said": exchanges(house, found),
        "name": name_of(found.head.columns, cells, person.phone, person.email) if person else "",
        "kinds": kinds_of(found.head.plan),
        "home": f"/campaigns/{found.head.campaign_id.hex()}",
    }
    part = "part" in request.query_params
    return draw(request, "_message.html" if part else "message.html", zone=found.head.zone, **facts)
