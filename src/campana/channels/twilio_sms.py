"""Twilio SMS. Vendor reference: https://www.twilio.com/docs/messaging/api/message-resource"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from pydantic import Field, SecretStr

from campana.channels.contract import Channel, Content, Found, LookUp, Render, Settings, UnfitContent, VendorTemplate
from campana.channels.retry_after import retry_after
from campana.channels.tables import error_table
from campana.core.durations import DAY, MINUTE, SECOND
from campana.core.exchange import Answer, Hook, Request, Response
from campana.core.failure import Class, Failure, Retry
from campana.core.ids import id_of
from campana.core.message import (
    Accepted,
    Event,
    Inbound,
    Lost,
    Outgoing,
    Reach,
    Receipt,
    Rendered,
    Result,
    Status,
    Unrecognized,
    Wish,
)
from campana.core.segments import count
from campana.core.template import compile_text

API = "/2010-04-01/Accounts"
LONGEST = 1600  # characters; above them 21617
CLOCKS_APART = 60 * SECOND  # how far their clock may be behind ours
TWIML = Answer(200, b'<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml; charset=utf-8")

# A number that cannot be written to at all; the customers' pages call the status "Error".
ERRORS = error_table("twilio", frozenset({"21211", "21265", "21268"}))

# Their message status -> our word. One that is not here is kept for people, never guessed.
STATUSES = {
    "queued": Status.QUEUED,
    "accepted": Status.QUEUED,
    "scheduled": Status.QUEUED,
    "sending": Status.QUEUED,
    "sent": Status.SENT,
    "partially_delivered": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "undelivered": Status.UNDELIVERED,
    "failed": Status.FAILED,
    "canceled": Status.FAILED,
}
WISHES = {"STOP": Wish.STOP, "START": Wish.START, "HELP": Wish.HELP}


class TwilioSettings(Settings):
    """A Twilio account."""

    account_sid: str = Field(pattern="^AC[0-9a-fA-F]{32}$", description="Account SID (AC...)")
    auth_token: SecretStr = Field(description="Auth token; it also signs webhooks")
    api_key_sid: str | None = Field(None, pattern="^SK[0-9a-fA-F]{32}$", description="API key SID, to call with instead")
    api_key_secret: SecretStr | None = Field(None, description="Secret of the API key")
    webhook_keys: dict[str, SecretStr] = Field(default_factory=dict, description="Shared keys that sign webhooks, by name")
    base_url: str = Field("https://api.twilio.com", description="Where their API is")


# --- sending ----------------------------------------------------------------------------------------------------------------


def _request(settings: TwilioSettings, method: str, path: str, body: bytes = b"") -> Request:
    key, secret = settings.account_sid, settings.auth_token
    if settings.api_key_sid and settings.api_key_secret:
        key, secret = settings.api_key_sid, settings.api_key_secret
    credentials = b64encode(f"{key}:{secret.get_secret_value()}".encode()).decode()
    headers = [("Authorization", f"Basic {credentials}"), ("Accept", "application/json")]
    if body:
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    return Request(method, f"{settings.base_url.rstrip('/')}{path}", tuple(headers), body)


def build_request(settings: TwilioSettings, messages: Sequence[Outgoing]) -> Request:
    """One message a request. Our id travels in the callback's address, so receipts find it before the answer does."""
    (message,) = messages
    form = {
        "To": message.to,
        _sender_field(message.sender): message.sender,
        "Body": message.content["text"],
        # The fragment asks Twilio to repeat what was not answered; it is never sent on, nor signed.
        "StatusCallback": f"{message.callback_url}?m={message.id.hex()}#rc=5&rp=all",
    }
    return _request(settings, "POST", f"{API}/{settings.account_sid}/Messages.json", urlencode(form).encode())


def _sender_field(sender: str) -> str:
    return "MessagingServiceSid" if sender.startswith("MG") else "From"


def parse_response(response: Response, messages: Sequence[Outgoing]) -> list[Result]:
    """What became of the one message."""
    body = _object(response.body)
    if 200 <= response.code < 300:
        sid = body.get("sid")
        found: Result = Accepted(sid) if isinstance(sid, str) and sid else Lost("Twilio's answer has no message id")
    else:
        found = _refusal(response, body)
    return [found] * len(messages)


def _refusal(response: Response, body: Mapping[str, Any]) -> Result:
    code = str(body.get("code", ""))
    failure = ERRORS.get(code)
    if response.code == 429:
        failure = failure or ERRORS.get("20429")
    if failure is not None:
        return replace(failure, retry_after=retry_after(response.headers))
    if response.code >= 500 or response.code in {408, 425}:
        return Lost(f"Twilio answered {response.code}")
    words = str(body.get("message") or f"Twilio answered {response.code}")[:300]
    return _unknown_refusal(response.code, code, words)


def _unknown_refusal(http: int, code: str, words: str) -> Failure:
    """Codes that the table does not know: a 400 concerns this message, other refusals concern our account."""
    if http == 400:
        return Failure(code or str(http), words, Class.PERMANENT, fallback=True)
    return Failure(code or str(http), words, Class.CONFIG, fallback=False)


def compile_content(content: Content, template: VendorTemplate | None) -> Render:
    """What renders the text for each person."""
    if content.text is None:
        raise UnfitContent("SMS has no templates of the vendor: write a text.")
    text = compile_text(content.text)

    def render(values: Mapping[str, str]) -> Rendered:
        said = text.render(values)
        if not said.strip():
            return Rendered(problem="the text is empty for this person")
        if len(said) > LONGEST:
            return Rendered(problem=f"the text has {len(said)} characters, Twilio takes {LONGEST}")
        return Rendered(said, {"text": said}, count(said).segments)

    return render


def check(settings: TwilioSettings) -> Request:
    """Reads the account: proves the credentials and sends nothing."""
    return _request(settings, "GET", f"{API}/{settings.account_sid}.json")


# --- asking -----------------------------------------------------------------------------------------------------------------


def list_request(settings: TwilioSettings, message: Outgoing) -> Request:
    """Their newest messages to that number. Unsent ones have no DateSent, so there is no filter by it."""
    query = {"To": message.to, "PageSize": "100"}
    if not message.sender.startswith("MG"):  # with a Messaging Service, From is null at first
        query["From"] = message.sender
    return _request(settings, "GET", f"{API}/{settings.account_sid}/Messages.json?{urlencode(query)}")


def parse_list(response: Response) -> tuple[list[Found], str | None]:
    """One page, and the path of the next."""
    body = _object(response.body)
    found = [_found(one) for one in body.get("messages") or [] if isinstance(one, dict) and one.get("sid")]
    following = body.get("next_page_uri")
    return found, following if isinstance(following, str) else None


def next_page(settings: TwilioSettings, path: str) -> Request:
    """The page at the path that the last one named."""
    return _request(settings, "GET", path)


def _found(one: Mapping[str, Any]) -> Found:
    text = one.get("body")
    return Found(
        str(one["sid"]),
        str(one.get("to", "")),
        text if isinstance(text, str) else None,
        _moment(one.get("date_created")),
        _told(one),
    )


def _told(one: Mapping[str, Any]) -> Receipt | None:
    status = STATUSES.get(str(one.get("status")))
    if status is None:
        return None
    code = one.get("error_code")
    return Receipt(str(one["sid"]), status, _moment(one.get("date_updated")), None, _receipt_failure(status, str(code or "")))


def _moment(date: object) -> int:
    try:
        return int(parsedate_to_datetime(str(date)).timestamp()) * SECOND
    except (TypeError, ValueError):
        return 0


def matches(message: Outgoing, found: Found) -> bool:
    """Whether what they hold can be that attempt: the same words, made when it was made or later."""
    return found.text == message.content["text"] and found.created_at >= message.started_at - CLOCKS_APART


def status_request(settings: TwilioSettings, sid: str) -> Request:
    """One message by their id."""
    return _request(settings, "GET", f"{API}/{settings.account_sid}/Messages/{sid}.json")


def parse_status(response: Response) -> Receipt | None:
    """What they know of it."""
    body = _object(response.body)
    return _told(body) if response.code == 200 and body.get("sid") else None


# --- webhooks ---------------------------------------------------------------------------------------------------------------


def verify(settings: TwilioSettings, hook: Hook) -> bool:
    """Whether Twilio signed it: over the address it called and every parameter, or over the address and the body's hash."""
    given = hook.headers.get("x-twilio-signature", "")
    key, algorithm = settings.auth_token.get_secret_value(), hashlib.sha1
    if chosen := hook.headers.get("x-twilio-webhooks-signature-settings"):
        named = dict(part.strip().partition("=")[::2] for part in chosen.split(","))
        shared = settings.webhook_keys.get(named.get("key", ""))
        if shared is None or named.get("algorithm") != "HMAC_SHA256":
            return False
        key, algorithm = shared.get_secret_value(), hashlib.sha256
    parameters = _signed_parameters(hook)
    if parameters is None:
        return False
    try:
        signature = b64decode(given, validate=True)
    except ValueError:
        return False
    signed = (hmac.new(key.encode(), (url + parameters).encode(), algorithm).digest() for url in _spellings(hook.url))
    return any([hmac.compare_digest(signature, one) for one in signed])  # noqa: C419 - all of them, in constant time


def _signed_parameters(hook: Hook) -> str | None:
    """What follows the address in the signed text; None when the body is not what its hash in the address says."""
    wanted = parse_qs(urlsplit(hook.url).query).get("bodySHA256")
    if wanted:
        return "" if hmac.compare_digest(hashlib.sha256(hook.body).hexdigest(), wanted[0].lower()) else None
    if hook.method == "GET" or "json" in hook.headers.get("content-type", ""):
        return ""
    try:
        pairs = set(parse_qsl(hook.body.decode(), keep_blank_values=True, errors="strict"))
    except (UnicodeDecodeError, ValueError):
        return None
    return "".join(name + value for name, value in sorted(pairs))


def _spellings(url: str) -> Iterable[str]:
    """Twilio is not consistent about the port: with and without it."""
    parts = urlsplit(url)._replace(fragment="")
    host = parts.netloc.rpartition("@")[2]
    bare = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {urlunsplit(parts._replace(netloc=netloc)) for netloc in (host, bare, f"{bare}:{port}")}


def parse_webhook(settings: TwilioSettings, hook: Hook) -> tuple[list[Event], Answer]:
    """A status callback, or a message of a person."""
    try:
        form = dict(parse_qsl(hook.body.decode(errors="replace"), keep_blank_values=True))
    except ValueError:
        return [], Answer(400, b"Not a form.")
    if "MessageStatus" in form and "MessageSid" in form:
        return [_status(hook, form)], TWIML
    if "Body" in form and "From" in form and "MessageSid" in form:
        return [_inbound(hook, form)], TWIML
    return [Unrecognized(f"Twilio told something we have no word for: {sorted(form)[:20]}")], TWIML


def _status(hook: Hook, form: Mapping[str, str]) -> Event:
    status = STATUSES.get(form["MessageStatus"])
    if status is None:
        return Unrecognized(f"Twilio told the status {form['MessageStatus'][:40]!r} of {form['MessageSid'][:40]}")
    ours = parse_qs(urlsplit(hook.url).query).get("m", [""])[0]
    failure = _receipt_failure(status, form.get("ErrorCode", ""))
    return Receipt(form["MessageSid"], status, hook.at, id_of(ours), failure, form.get("To"))


def _receipt_failure(status: Status, code: str) -> Failure | None:
    """Why it did not arrive. A code that the table does not know lets the fallback have its turn."""
    if status not in {Status.UNDELIVERED, Status.FAILED}:
        return None
    known = ERRORS.get(code)
    if known is None or known.retry is Retry.RECONCILE:
        words = f"Twilio reports that it was not delivered{f' (code {code})' if code else ''}"
        return Failure(code or status.word, words, Class.PERMANENT, fallback=True)
    return known


def _inbound(hook: Hook, form: Mapping[str, str]) -> Inbound:
    wish = WISHES.get(form.get("OptOutType", "").upper())
    return Inbound(
        form["MessageSid"],
        (f"phone:{form['From']}",),
        form.get("To", ""),
        form["Body"] or form.get("ButtonText", ""),
        hook.at,
        form.get("OriginalRepliedMessageSid"),
        wish,
        vendor_answers=wish is not None,
        kind="media" if form.get("NumMedia", "0") not in {"", "0"} else "text",
    )


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, an empty one when it is something else."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


CHANNEL = Channel(
    kind="twilio_sms",
    label="Twilio SMS",
    reaches=Reach.PHONE,
    settings=TwilioSettings,
    alias_kind="phone",
    weight="segments",
    pace=1.0,
    default_deadline=DAY,
    receipts=frozenset({Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.FAILED}),
    suppresses="sms",
    build_request=build_request,
    parse_response=parse_response,
    verify=verify,
    parse_webhook=parse_webhook,
    compile=compile_content,
    check=check,
    look_up=LookUp(list_request, parse_list, next_page, matches, (0, 2 * MINUTE), status_request, parse_status),
    stop_confirmed_by_vendor=True,
    failure_of=ERRORS.get,
)
