"""Twilio SMS. Vendor reference: https://www.twilio.com/docs/messaging/api/message-resource"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Self
from urllib.parse import quote, quote_plus, urlencode

import msgspec
from pydantic import Field, model_validator

from campana.channels import contract, signatures
from campana.channels.advice import Errors
from campana.channels.answers import Said, code_of, mail_date, read, reference, refusal, short, told_failure
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
from campana.channels.sms_text import compile_sms
from campana.core.durations import HOUR, MINUTE, SECOND
from campana.core.exchange import Answer, Hook, Request, Response
from campana.core.failure import Failure
from campana.core.message import (
    NOT_DELIVERED,
    Accepted,
    Event,
    Inbound,
    Lost,
    Outgoing,
    Reach,
    Receipt,
    Result,
    Status,
    Unrecognized,
    Wish,
)

# Their status -> our word. `sent` may be the last we hear: not every carrier sends receipts.
STATUSES = {
    "accepted": Status.QUEUED,
    "scheduled": Status.QUEUED,
    "queued": Status.QUEUED,
    "sending": Status.QUEUED,
    "sent": Status.SENT,
    "partially_delivered": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "undelivered": Status.UNDELIVERED,
    "failed": Status.FAILED,
    "canceled": Status.FAILED,
}

# Seed 003's status Error: 21211 and the codes Twilio has split from it.
ERRORS = Errors(
    "twilio",
    bad_address=frozenset({"21211", "21265", "21266", "21268"}),
    page="https://www.twilio.com/docs/api/errors/{code}",
)

# Words Twilio acts on and answers by itself, unless Advanced Opt-Out tells its own (OptOutType). YES is not among them: from
# somebody who had not opted out it is a reply like any other.
ANSWERED_BY_TWILIO = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "start", "unstop", "help", "info"}
)

MAX_HOOK = 64 * 1024
PAGE = 200
CLOCK_MARGIN = 60 * SECOND  # their clock and ours differ, and their dates have whole seconds
RETRY_RULES = quote_plus("#rc=5&rp=all")  # read by Twilio only: repeat a callback up to 5 times, whatever went wrong
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
SHORT_CODE = re.compile(r"[0-9]{3,8}")
NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}")
EMPTY_TWIML = Answer(200, b'<?xml version="1.0" encoding="UTF-8"?>\n<Response/>', "text/xml; charset=utf-8")


class Settings(contract.Settings):
    """A Twilio account."""

    account_sid: str = Field(
        title=N_("Account SID"),
        pattern=r"^AC[0-9a-fA-F]{32}$",
        description=N_("Account SID: AC and 32 digits, from the Twilio console"),
    )
    auth_token: Secret = Field(
        title=N_("Auth token"), description=N_("Auth token of that account; it also proves that webhooks are Twilio's")
    )
    api_key_sid: str | None = Field(
        None, title=N_("API key SID"), pattern=r"^SK[0-9a-fA-F]{32}$", description=N_("API key to sign in with, if you use one")
    )
    api_key_secret: Secret | None = Field(None, title=N_("API key secret"), description=N_("Secret of the API key"))
    webhook_key: str | None = Field(
        None, title=N_("Webhook key"), min_length=1, description=N_("Name of the key webhooks are signed with, if not the token")
    )
    webhook_key_secret: Secret | None = Field(None, title=N_("Webhook key secret"), description=N_("Secret of the webhook key"))
    base_url: BaseUrl = Field(
        "https://api.twilio.com",
        title=N_("Address of the API"),
        description=N_("Where Twilio is; a stand-in has another address"),
    )

    @model_validator(mode="after")
    def keys_have_secrets(self) -> Self:
        if (self.api_key_sid is None) != (self.api_key_secret is None):
            raise ValueError("api_key_sid and api_key_secret belong together; give both or none")
        if (self.webhook_key is None) != (self.webhook_key_secret is None):
            raise ValueError("webhook_key and webhook_key_secret belong together; give both or none")
        return self

    @cached_property
    def account_url(self) -> str:
        """Where the account's resources are."""
        return f"{self.base_url}/2010-04-01/Accounts/{self.account_sid}"

    @cached_property
    def messages_url(self) -> str:
        """Where messages are sent to."""
        return f"{self.account_url}/Messages.json"

    @cached_property
    def authorization(self) -> tuple[str, str]:
        """The header that signs us in."""
        secret = self.api_key_secret or self.auth_token
        pair = f"{self.api_key_sid or self.account_sid}:{secret.get_secret_value()}"
        return "Authorization", "Basic " + base64.b64encode(pair.encode()).decode()


# --- sending ----------------------------------------------------------------------------------------------------------------


def compile_content(content: Content, template: VendorTemplate | None) -> Render:
    """A text with fields; the person's own text is measured when it is merged."""
    return compile_sms(content, "Twilio SMS")


@lru_cache(maxsize=256)
def quoted(text: str) -> str:
    """A text as a form has it. For texts that come again with every message."""
    return quote_plus(text, errors="replace")


@lru_cache(maxsize=256)
def quoted_callback(url: str) -> str:
    """Where Twilio tells what became of a message, up to our reference to it."""
    bare = url.partition("#")[0]
    return quote_plus(f"{bare}{'&' if '?' in bare else '?'}m=", errors="replace")


def build_request(settings: Settings, messages: Sequence[Outgoing]) -> Request:
    """One message. Our reference travels in the callback's query, so a receipt finds it even when this answer is lost."""
    (message,) = messages
    sender = "MessagingServiceSid" if message.sender.startswith("MG") else "From"
    form = f"To={quote_plus(message.to)}&{sender}={quoted(message.sender)}&Body={quote_plus(message.content['text'])}"
    if message.callback_url:
        form += f"&StatusCallback={quoted_callback(message.callback_url)}{message.id.hex()}{RETRY_RULES}"
    headers = (settings.authorization, ("Content-Type", signatures.FORM), ("Accept", "application/json"))
    return Request("POST", settings.messages_url, headers, form.encode())


class Resource(msgspec.Struct):
    """A message as Twilio tells it."""

    sid: str
    status: str = ""
    to: str | None = None
    body: str | None = None
    direction: str | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    messaging_service_sid: str | None = None
    date_created: str | None = None
    date_updated: str | None = None
    error_code: int | str | None = None


class Page(msgspec.Struct):
    """A page of the list of messages."""

    messages: list[msgspec.Raw]
    next_page_uri: str | None = None


class Sid(msgspec.Struct):
    """The one thing an acceptance must have."""

    sid: str


class Refusal(msgspec.Struct):
    """An error as Twilio tells it."""

    code: int | str | None = None
    message: str | None = None


ACCEPTED, REFUSED = msgspec.json.Decoder(Sid), msgspec.json.Decoder(Refusal)
RESOURCE, PAGES = msgspec.json.Decoder(Resource), msgspec.json.Decoder(Page)


def parse_response(response: Response, messages: Sequence[Outgoing]) -> list[Result]:
    """What became of the attempt; an answer we cannot read says nothing about it."""
    return [_result(response)] * len(messages)


def _result(response: Response) -> Result:
    if 200 <= response.code < 300:
        taken = read(ACCEPTED, response.body)
        return Accepted(taken.sid) if taken and taken.sid else Lost("Twilio's answer could not be read")
    told = read(REFUSED, response.body)
    code = code_of(told.code) if told else ""
    return refusal(response, ERRORS.table, Said(code, short(told.message or "")) if told and code else None)


# --- asking -----------------------------------------------------------------------------------------------------------------


def check(settings: Settings) -> Request:
    """Lists one message: proves the credentials for the very resource that is used. (An API key may not read the account.)"""
    return _get(settings, f"{settings.messages_url}?PageSize=1")


class OwnNumber(msgspec.Struct):
    phone_number: str


class OwnNumbers(msgspec.Struct):
    """The numbers of an account that were asked for."""

    incoming_phone_numbers: list[OwnNumber]


NUMBERS = msgspec.json.Decoder(OwnNumbers)


def address_problem(address: str) -> str | None:
    """What is wrong with an address to send from, in words."""
    if E164.fullmatch(address) or SERVICE.fullmatch(address) or SHORT_CODE.fullmatch(address) or NAME.fullmatch(address):
        return None
    return N_(
        "Write a number as +15550100, a Messaging Service as MG and 32 digits, a short code, or a name of up to 11 letters."
    )


def ask_address(settings: Settings, address: str) -> Request | None:
    """Asks for a number of the account; other addresses cannot be asked for here."""
    if not E164.fullmatch(address):
        return None
    return _get(settings, f"{settings.account_url}/IncomingPhoneNumbers.json?PhoneNumber={quote_plus(address)}")


def knows_address(response: Response, address: str) -> bool | None:
    """Whether the account has that number; None when the answer does not tell."""
    numbers = read(NUMBERS, response.body)
    return None if numbers is None else any(one.phone_number == address for one in numbers.incoming_phone_numbers)


def _get(settings: Settings, url: str) -> Request:
    return Request("GET", url, (settings.authorization, ("Accept", "application/json")))


def ask(settings: Settings, message: Outgoing) -> Request:
    """Lists what went to that person. No date filter: what has not left yet has no date. A service's `from` is null at first."""
    asked = {"To": message.to, "PageSize": str(PAGE)}
    if not message.sender.startswith("MG"):
        asked["From"] = message.sender
    return _get(settings, f"{settings.messages_url}?{urlencode(asked, errors='replace')}")


def ask_next_page(settings: Settings, uri: str) -> Request:
    """The next page. Only its path is taken, so that the credentials go nowhere else."""
    path = uri if uri.startswith("/") and not uri.startswith("//") else "/" + uri.partition("://")[2].partition("/")[2]
    return _get(settings, f"{settings.base_url}{path}")


def found(response: Response) -> tuple[list[Found], str | None] | None:
    """The messages of one page and where the next is. One that cannot be read may be ours: then the page tells nothing."""
    page = read(PAGES, response.body) if response.code == 200 else None
    if page is None:
        return None
    held: list[Found] = []
    for raw in page.messages:
        resource = read(RESOURCE, bytes(raw))
        if resource and resource.direction == "inbound":
            continue
        one = _found(resource) if resource else None
        if one is None:
            return None
        held.append(one)
    return held, page.next_page_uri or None


def _found(resource: Resource) -> Found | None:
    created_at = mail_date(resource.date_created)
    if created_at is None or not resource.sid:
        return None
    senders = tuple(one for one in (resource.sender, resource.messaging_service_sid) if one)
    return Found(resource.sid, resource.to or "", resource.body, created_at, _receipt_of(resource), senders)


def _receipt_of(resource: Resource) -> Receipt | None:
    at = mail_date(resource.date_updated) or mail_date(resource.date_created) or 0
    return _receipt(resource.sid, resource.status, code_of(resource.error_code), at)


def matches(message: Outgoing, held: Found) -> bool:
    """Whether that may be our message: same person, same sender, same words, and not older than our attempt."""
    return (
        held.to == message.to
        and message.sender in held.senders
        and (held.text or "").strip() == str(message.content.get("text", "")).strip()
        and held.created_at >= message.started_at - CLOCK_MARGIN
    )


def ask_status(settings: Settings, vendor_id: str) -> Request:
    """One message by its SID."""
    return _get(settings, f"{settings.account_url}/Messages/{quote(vendor_id, safe='', errors='replace')}.json")


def status_found(response: Response) -> Receipt | None:
    """What Twilio knows of that message."""
    resource = read(RESOURCE, response.body) if response.code == 200 else None
    return _receipt_of(resource) if resource else None


# --- being told -------------------------------------------------------------------------------------------------------------


def verify(settings: Settings, hook: Hook) -> bool:
    """True when Twilio signed it."""
    shared = None
    if settings.webhook_key and settings.webhook_key_secret:
        shared = settings.webhook_key, settings.webhook_key_secret.get_secret_value()
    return signatures.twilio(hook, settings.auth_token.get_secret_value(), shared)


def parse_webhook(settings: Settings, hook: Hook) -> tuple[list[Event], Answer]:
    """A status callback or what a person wrote. The answer is an empty document: we say nothing back by this way."""
    query = dict(signatures.query_of(hook.url))
    form = dict(signatures.form_of(hook.body) or [])
    sid = form.get("MessageSid") or form.get("SmsSid") or ""
    status = form.get("MessageStatus", "")
    if sid and status not in {"", "received", "receiving"}:
        return [_told(sid, status, form, query, hook.at)], EMPTY_TWIML
    if sid and form.get("From"):
        return [_inbound(sid, form, hook.at)], EMPTY_TWIML
    return [Unrecognized(f"Twilio told something that is neither a status nor a message: {_names(form)}")], EMPTY_TWIML


def _names(form: Mapping[str, str]) -> str:
    return short(", ".join(sorted(form)) or "nothing at all")


def _told(sid: str, status: str, form: Mapping[str, str], query: Mapping[str, str], at: int) -> Event:
    ours = reference(query.get("m"))
    to = _bare(form.get("To", ""))
    receipt = _receipt(sid, status, code_of(form.get("ErrorCode")), at)
    if receipt is None:
        return Unrecognized(f"Twilio told the status {short(status, 40)!r} of message {short(sid, 40)}, which we do not know")
    alias = to if ours is None and E164.fullmatch(to) else None
    return Receipt(sid, receipt.status, at, ours, receipt.failure, alias)


def _receipt(sid: str, status: str, code: str, at: int) -> Receipt | None:
    ours = STATUSES.get(status)
    if ours is None:
        return None
    failure: Failure | None = None
    if ours in NOT_DELIVERED:
        words = f"Twilio could not deliver it (error {code})" if code else f"Twilio says {status} and gives no reason"
        failure = told_failure(ERRORS.table, code, words)
        ours = Status.ERROR if failure.bad_address else ours
    return Receipt(sid, ours, at, failure=failure)


def _inbound(sid: str, form: Mapping[str, str], at: int) -> Inbound:
    text = form.get("ButtonText") or form.get("Body", "")
    told = form.get("OptOutType", "").upper()
    wish = Wish(told.lower()) if told in {"STOP", "START", "HELP"} else None
    media = form.get("MediaContentType0", "").partition("/")[0] if form.get("NumMedia", "0") != "0" else ""
    return Inbound(
        vendor_id=sid,
        aliases=(_alias(_bare(form["From"])),),
        to=_bare(form.get("To", "")),
        text=text,
        at=at,
        quotes=form.get("OriginalRepliedMessageSid") or None,
        wish=wish,
        vendor_answers=wish is not None or text.strip().casefold() in ANSWERED_BY_TWILIO,
        kind=short(media, 20) or "text",
    )


def _bare(address: str) -> str:
    """The number alone: `whatsapp:+525511223344` is the same person."""
    head, colon, rest = address.partition(":")
    return rest if colon and head.isalpha() else address


def _alias(address: str) -> str:
    """Short codes and names can write too, but are nobody's phone number."""
    return f"phone:{address}" if E164.fullmatch(address) else f"sender:{short(address, 60)}"


CHANNEL = Channel(
    kind="twilio_sms",
    label="Twilio SMS",
    reaches=Reach.PHONE,
    settings=Settings,
    alias_kind="phone",
    weight="segments",
    pace=1.0,
    default_deadline=24 * HOUR,
    receipts=frozenset({Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.FAILED, Status.ERROR}),
    suppresses="sms",
    build_request=build_request,
    parse_response=parse_response,
    verify=verify,
    parse_webhook=parse_webhook,
    compile=compile_content,
    check=check,
    signed_with=lambda settings: "webhook_key_secret" if settings.webhook_key_secret else "auth_token",
    max_hook=MAX_HOOK,
    look_up=LookUp(ask, found, ask_next_page, matches, (0, 2 * MINUTE), ask_status, status_found),
    stop_confirmed_by_vendor=True,
    senders=Senders(
        N_("A number such as +15550100, a Messaging Service (MG and 32 digits), a short code, or a name"),
        address_problem,
        ask_address,
        knows_address,
    ),
    hook_help=N_(
        "Receipts find their way by themselves. For replies, enter this address at Twilio as the webhook of the number or "
        "Messaging Service."
    ),
    errors=ERRORS,
)
