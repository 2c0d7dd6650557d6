"""Infobip SMS. Vendor reference: https://www.infobip.com/docs/api/channels/sms"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from pydantic import Field

from campana.channels import contract, signatures
from campana.channels.answers import read, refusal, short
from campana.channels.contract import (
    N_,
    BaseUrl,
    Channel,
    Content,
    Found,
    LookUp,
    Render,
    Secret,
    Senders,
    VendorTemplate,
)
from campana.channels.infobip_webhook import (
    ERRORS,
    Report,
    State,
    Trouble,
    failure_of,
    moment,
    parse_webhook,
    receipt_of,
    status_of,
)
from campana.channels.sms_text import compile_sms
from campana.core.durations import HOUR, MINUTE
from campana.core.exchange import Hook, Request, Response
from campana.core.failure import Class, Failure
from campana.core.message import NOT_DELIVERED, Accepted, Lost, Outgoing, Reach, Receipt, Result, Status, Unsent

BATCH = 100
PLACE = re.compile(r"messages\[(\d{1,4})\]\.(?:destinations\[(\d{1,4})\]|(content\.text))(?:\..*)?")
NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")
SHORT_CODE = re.compile(r"[0-9]{3,8}")
NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._&-]{1,11}")

Security = Literal["basic", "hmac_timestamp", "hmac_header"]
Algorithm = Literal["HMAC_MD5", "HMAC_SHA_1", "HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"]
Transliteration = Literal[
    "NON_UNICODE",
    "PORTUGUESE",
    "COLOMBIAN",
    "CENTRAL_EUROPEAN",
    "TURKISH",
    "GREEK",
    "CYRILLIC",
    "SERBIAN_CYRILLIC",
    "BULGARIAN_CYRILLIC",
    "BALTIC",
    "ALL",
]


class Settings(contract.Settings):
    """An Infobip account."""

    api_key: Secret = Field(
        title=N_("API key"),
        description=N_("API key of the account, from the Infobip portal; it may send SMS and read their logs"),
    )
    base_url: BaseUrl = Field(
        title=N_("Address of the API"),
        description=N_("The account's own address, from the Infobip portal: https:// and what ends in .api.infobip.com"),
    )
    webhook_secret: Secret = Field(
        title=N_("Webhook secret"),
        description=N_("Password or signing key of your choice, to be entered at Infobip in the security of its webhooks"),
    )
    webhook_security: Security = Field(
        "basic",
        title=N_("Security of webhooks"),
        description=N_(
            "What proves webhooks to be Infobip's, as set there: name and password, a signature of time and body, or of the body"
        ),
    )
    webhook_user: str = Field(
        "campana",
        title=N_("Name with the password"),
        pattern=r"^[A-Za-z0-9_.@-]{1,60}$",
        description=N_("With basic: the name that is entered at Infobip beside the secret"),
    )
    webhook_algorithm: Algorithm = Field(
        "HMAC_SHA_256", title=N_("Algorithm of signatures"), description=N_("With a signature: the algorithm chosen at Infobip")
    )
    webhook_header: str = Field(
        "X-Signature",
        title=N_("Header of signatures"),
        pattern=r"^[A-Za-z0-9-]{1,60}$",
        description=N_("With hmac_header: the header that is entered at Infobip for the signature"),
    )
    receipts_to: Literal["message", "subscription"] = Field(
        "message",
        title=N_("Where receipts go"),
        description=N_(
            "The address sent along with each message, or the one entered in a subscription at Infobip. Choose the latter when "
            "receipts come without proof"
        ),
    )
    transliteration: Transliteration | None = Field(
        None,
        title=N_("Transliteration"),
        description=N_("Letters that Infobip replaces by plain ones, so that texts take fewer parts"),
    )
    language: Literal["ES", "PT", "TR", "AUTODETECT"] | None = Field(
        None,
        title=N_("National letters"),
        description=N_("Language whose letters are sent in fewer parts, where the operators allow it"),
    )

    @cached_property
    def authorization(self) -> tuple[str, str]:
        """The header that signs us in."""
        return "Authorization", f"App {self.api_key.get_secret_value()}"

    @cached_property
    def alphabet(self) -> Mapping[str, Any]:
        """What every content says of its letters."""
        more: dict[str, Any] = {}
        if self.transliteration:
            more["transliteration"] = self.transliteration
        if self.language:
            more["language"] = {"languageCode": self.language}
        return more


# --- sending ----------------------------------------------------------------------------------------------------------------


def compile_content(content: Content, template: VendorTemplate | None) -> Render:
    """A text with fields; the person's own text is measured when it is merged, in the letters that any operator takes."""
    return compile_sms(content, "Infobip SMS")


def grouped(messages: Sequence[Outgoing]) -> list[list[int]]:
    """Who shares an entry of the request: those who get the same text from the same sender. By place, in their order."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for place, message in enumerate(messages):
        groups.setdefault((message.sender, message.content["text"], message.callback_url), []).append(place)
    return list(groups.values())


def build_request(settings: Settings, messages: Sequence[Outgoing]) -> Request:
    """Up to a hundred people. Each destination carries our own id: whoever sends it again is told so, and reports name it."""
    if len(messages) > BATCH:
        raise ValueError(f"too many values to unpack into one request: Infobip takes {BATCH} recipients")
    entries = [_entry(settings, [messages[place] for place in places]) for places in grouped(messages)]
    headers = (settings.authorization, ("Content-Type", "application/json"), ("Accept", "application/json"))
    return Request("POST", f"{settings.base_url}/sms/3/messages", headers, msgspec.json.encode({"messages": entries}))


def _entry(settings: Settings, same: Sequence[Outgoing]) -> dict[str, Any]:
    first = same[0]
    entry: dict[str, Any] = {
        "sender": _plain(first.sender),
        "destinations": [{"to": message.to.removeprefix("+"), "messageId": message.id.hex()} for message in same],
        "content": {"text": first.content["text"], **settings.alphabet},
    }
    if first.callback_url and settings.receipts_to == "message":
        entry["webhooks"] = {"delivery": {"url": first.callback_url}, "contentType": "application/json"}
    return entry


def _plain(sender: str) -> str:
    """A number as Infobip writes it, in digits alone."""
    return sender.removeprefix("+")


class Answered(msgspec.Struct):
    """What became of one recipient."""

    messageId: str = ""  # noqa: N815 - theirs
    status: State | None = None


class Answers(msgspec.Struct):
    """An answer to a request that was understood. It says nothing yet of any recipient."""

    messages: list[Answered]


class ServiceException(msgspec.Struct):
    text: str = ""
    validationErrors: dict[str, list[str]] = {}  # noqa: N815 - theirs


class RequestError(msgspec.Struct):
    serviceException: ServiceException | None = None  # noqa: N815 - theirs


class Violation(msgspec.Struct):
    property: str = ""
    violation: str = ""


class Refusal(msgspec.Struct):
    """A refused request, in either of their envelopes."""

    requestError: RequestError | None = None  # noqa: N815 - theirs
    description: str = ""
    violations: list[Violation] = []


ANSWERS, REFUSAL = msgspec.json.Decoder(Answers), msgspec.json.Decoder(Refusal)


def parse_response(response: Response, messages: Sequence[Outgoing]) -> list[Result]:
    """What became of each, by our ids: an answer that is well may refuse some of them, and keeps no order."""
    if not 200 <= response.code < 300:
        return _refused(response, messages)
    answers = read(ANSWERS, response.body)
    if answers is None:
        return [Lost("Infobip's answer could not be read")] * len(messages)
    said = {one.messageId: one.status for one in answers.messages if one.status}
    return [_result(message.id.hex(), said.get(message.id.hex())) for message in messages]


def _result(ours: str, state: State | None) -> Result:
    status = status_of(state) if state else None
    if state is None or status is None:
        return Lost("Infobip's answer says nothing of this message that we know")
    if status in NOT_DELIVERED:
        # Its row, that of an unknown status too: whether such a message was accepted is asked of the logs.
        return ERRORS.table.get(f"status-{state.id}") or failure_of(state, Trouble())
    return Accepted(ours)  # a duplicate id as well: our first attempt was accepted


def _refused(response: Response, messages: Sequence[Outgoing]) -> list[Result]:
    """The whole request was refused. Who stands at a place that they name is the reason; the others were not processed."""
    told = read(REFUSAL, response.body)
    words, flaws = _said(told) if told else ("", {})
    verdict = refusal(response, ERRORS.table, None)
    if isinstance(verdict, Lost):
        return [verdict] * len(messages)
    verdict = replace(verdict, words=short(words)) if words else verdict
    blamed = _blamed(flaws, messages) if response.code == 400 else {}
    if not blamed:
        return [verdict] * len(messages)
    spared = Unsent("Infobip refused the request because of another recipient in it")
    return [blamed.get(place, spared) for place in range(len(messages))]


def _said(told: Refusal) -> tuple[str, dict[str, str]]:
    """Their words, and what is wrong at which place."""
    if told.requestError and told.requestError.serviceException:
        found = told.requestError.serviceException
        flaws = {place: ", ".join(said) for place, said in found.validationErrors.items()}
        words = found.text
    else:
        words = told.description
        flaws = {one.property: one.violation for one in told.violations}
    return "; ".join([words, *(f"{place} {said}" for place, said in flaws.items())]).strip("; "), flaws


def _blamed(flaws: Mapping[str, str], messages: Sequence[Outgoing]) -> dict[int, Result]:
    """By place in our order: who has a wrong number, and whose text will not do; nobody when something else is wrong too."""
    groups, blamed = grouped(messages), dict[int, Result]()
    for where, said in flaws.items():
        found = PLACE.fullmatch(where)
        places = groups[int(found[1])] if found and int(found[1]) < len(groups) else []
        if found and found[2]:
            places = places[int(found[2]) :][:1]
        if not found or not places:
            return {}
        words = short(f"{where} {said}")
        for place in places:
            if found[3]:
                blamed[place] = Failure("http-400", words, Class.CONFIG, fallback=False, of_step=True)
            else:
                blamed[place] = Failure("http-400", words, Class.PERMANENT, fallback=True)
    return blamed


# --- asking -----------------------------------------------------------------------------------------------------------------


def check(settings: Settings) -> Request:
    """Lists one line of the logs: proves the credentials and sends nothing. (Asking for reports would take them from us.)"""
    return _logs(settings, limit="1")


def _logs(settings: Settings, **asked: str) -> Request:
    url = f"{settings.base_url}/sms/3/logs?{urlencode(asked, quote_via=quote, errors='replace')}"
    return Request("GET", url, (settings.authorization, ("Accept", "application/json")))


def ask(settings: Settings, message: Outgoing) -> Request:
    """Asks for that very message: its id is ours."""
    return _logs(settings, messageId=message.id.hex())


def ask_status(settings: Settings, vendor_id: str) -> Request:
    """One message by its id."""
    return _logs(settings, messageId=vendor_id)


def ask_next_page(settings: Settings, cursor: str) -> Request:
    """The page after that cursor."""
    return _logs(settings, useCursor="true", cursor=cursor)


class Line(Report):
    """A line of the logs."""

    destination: str = ""
    sender: str | None = None
    content: dict[str, Any] | None = None


class Cursor(msgspec.Struct):
    nextCursor: str | None = None  # noqa: N815 - theirs


class Page(msgspec.Struct):
    """A page of the logs."""

    results: list[Line]
    cursor: Cursor | None = None


PAGES = msgspec.json.Decoder(Page)


def found(response: Response) -> tuple[list[Found], str | None] | None:
    """The messages of one page and the cursor of the next. One that cannot be read may be ours: then the page tells nothing."""
    page = read(PAGES, response.body) if response.code == 200 else None
    if page is None:
        return None
    held = [_found(line) for line in page.results]
    following = page.cursor.nextCursor if page.cursor and page.results else None
    return held, following or None


def _found(line: Line) -> Found:
    text = (line.content or {}).get("text")
    senders = (line.sender, f"+{line.sender}") if line.sender else ()
    created_at = moment(line.sentAt) or 0
    return Found(line.messageId, line.destination, text if isinstance(text, str) else None, created_at, _receipt(line), senders)


def _receipt(line: Line) -> Receipt | None:
    return receipt_of(line, moment(line.doneAt) or moment(line.sentAt) or 0)


def matches(message: Outgoing, held: Found) -> bool:
    """Whether that is our message: it has our id, which nobody else gives."""
    return held.vendor_id == message.id.hex()


def status_found(response: Response) -> Receipt | None:
    """What Infobip knows of that message. One that was told twice has a line for each time; the one that came on counts."""
    page = read(PAGES, response.body) if response.code == 200 else None
    receipts = [receipt for line in page.results if (receipt := _receipt(line))] if page else []
    return max(receipts, key=lambda receipt: receipt.status, default=None)


# --- senders and webhooks ---------------------------------------------------------------------------------------------------


def address_problem(address: str) -> str | None:
    """What is wrong with an address to send from, in words."""
    if NUMBER.fullmatch(address) or SHORT_CODE.fullmatch(address) or NAME.fullmatch(address):
        return None
    return N_("Write a number as +15550100, a short code, or a name of up to 11 letters and digits.")


def verify(settings: Settings, hook: Hook) -> bool:
    """True when Infobip proves itself in the one way that the account has chosen."""
    secret = settings.webhook_secret.get_secret_value()
    match settings.webhook_security:
        case "basic":
            return signatures.basic(hook, settings.webhook_user, secret)
        case "hmac_timestamp":
            return signatures.infobip_timestamp(hook, secret, settings.webhook_algorithm)
        case "hmac_header":
            return signatures.infobip_body(hook, secret, settings.webhook_algorithm, settings.webhook_header)


CHANNEL = Channel(
    kind="infobip_sms",
    label="Infobip SMS",
    reaches=Reach.PHONE,
    settings=Settings,
    alias_kind="phone",
    weight="segments",
    pace=50.0,
    default_deadline=24 * HOUR,
    receipts=frozenset({Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.FAILED, Status.ERROR}),
    suppresses="sms",
    build_request=build_request,
    parse_response=parse_response,
    verify=verify,
    parse_webhook=parse_webhook,
    compile=compile_content,
    check=check,
    signed_with=lambda settings: "webhook_secret",
    batch=BATCH,
    ours=frozenset({"webhook_secret"}),
    look_up=LookUp(ask, found, ask_next_page, matches, (0, MINUTE), ask_status, status_found, reach=47 * HOUR),
    senders=Senders(N_("A number such as +15550100, a short code, or a name"), address_problem),
    hook_help=N_(
        "At Infobip, enter this address for messages that people write (and for delivery reports, where receipts go to the "
        "subscription), and set the security of webhooks with the secret below."
    ),
    errors=ERRORS,
)
