"""WhatsApp Cloud API of Meta. Vendor reference: https://developers.facebook.com/docs/whatsapp/cloud-api

Meta answers a send at once and says nothing about delivery: most failures come by webhook. There is no key to repeat a request
with and no list to look it up in: a lost answer is settled by the receipt, which echoes our own id.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from pydantic import Field, SecretStr

from campana.channels.contract import Channel, Content, Render, Settings, Templates, UnfitContent, VendorTemplate
from campana.channels.retry_after import retry_after
from campana.channels.tables import error_table
from campana.channels.whatsapp_templates import compile_template
from campana.core.durations import DAY, MINUTE, SECOND
from campana.core.exchange import Answer, Hook, Request, Response
from campana.core.failure import Class, Failure, Retry
from campana.core.ids import id_of
from campana.core.message import (
    Accepted,
    AccountNotice,
    AddressChanged,
    Event,
    Inbound,
    Lost,
    Outgoing,
    Preference,
    Reach,
    Receipt,
    Rendered,
    Result,
    Status,
    TemplateChanged,
    Unrecognized,
    Wish,
)
from campana.core.template import compile_text

LONGEST = 4096
FIELDS = "id,name,language,status,category,parameter_format,components"
ERRORS = error_table("whatsapp")

# Their word of a status -> ours. `deleted` and `warning` say nothing of delivery.
STATUSES = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "played": Status.READ,
    "failed": Status.FAILED,
}
IGNORED = {"deleted", "warning"}
OPT_OUT_PAYLOADS = {"unsubscribe", "opt_out", "optout", "stop", "stop promotions"}  # of quick replies, case folded


class WhatsAppSettings(Settings):
    """A WhatsApp Business account."""

    token: SecretStr = Field(description="Token of a system user")
    app_secret: SecretStr = Field(description="App secret; it signs webhooks")
    verify_token: SecretStr = Field(description="What Meta repeats when it first calls our webhook; choose any word")
    waba_id: str = Field(pattern=r"^\d+$", description="WhatsApp Business Account ID")
    version: str = Field("v23.0", pattern=r"^v\d+\.\d+$", description="Version of the Graph API")
    base_url: str = Field("https://graph.facebook.com", description="Where their API is")


# --- sending ----------------------------------------------------------------------------------------------------------------


def _request(settings: WhatsAppSettings, method: str, path: str, body: bytes = b"") -> Request:
    headers = [("Authorization", f"Bearer {settings.token.get_secret_value()}"), ("Accept", "application/json")]
    if body:
        headers.append(("Content-Type", "application/json"))
    return Request(method, f"{settings.base_url.rstrip('/')}/{settings.version}/{path}", tuple(headers), body)


def build_request(settings: WhatsAppSettings, messages: Sequence[Outgoing]) -> Request:
    """One message a request; every receipt echoes our id."""
    (message,) = messages
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.to.removeprefix("+"),
        "biz_opaque_callback_data": message.id.hex(),
    }
    if "name" in message.content:
        body |= {"type": "template", "template": message.content}
    else:
        body |= {"type": "text", "text": message.content}
    return _request(settings, "POST", f"{message.sender}/messages", msgspec.json.encode(body))


def parse_response(response: Response, messages: Sequence[Outgoing]) -> list[Result]:
    """What became of the one message."""
    body = _object(response.body)
    (message,) = messages
    return [_accepted(body, message) if 200 <= response.code < 300 else _refusal(response, body)]


def _accepted(body: Mapping[str, Any], message: Outgoing) -> Result:
    sent, person = _first(body.get("messages")), _first(body.get("contacts"))
    if not isinstance(sent.get("id"), str):
        return Lost("Meta's answer has no message id")
    alias = person.get("wa_id")
    differs = isinstance(alias, str) and alias != message.to.removeprefix("+")
    return Accepted(sent["id"], alias if differs else None)


def _refusal(response: Response, body: Mapping[str, Any]) -> Result:
    error = body.get("error")
    if not isinstance(error, dict):
        error = {}
    known = ERRORS.get(str(error.get("code", "")))
    wait = retry_after(response.headers)
    if known is not None:
        return replace(known, retry_after=wait)
    if response.code >= 500 or response.code in {408, 425}:
        return Lost(f"Meta answered {response.code}")
    code = str(error.get("code", response.code))
    words = str(error.get("message") or f"Meta answered {response.code}")[:300]
    if response.code == 429 or error.get("is_transient") is True:
        return Failure(code, words, Class.TRANSIENT, fallback=False, retry=Retry.YES, retry_after=wait)
    if response.code == 400:
        return Failure(code, words, Class.PERMANENT, fallback=True)
    return Failure(code, words, Class.CONFIG, fallback=False)


def compile_content(content: Content, template: VendorTemplate | None) -> Render:
    """What renders a step for each person: a template, or a text for inside the service window."""
    if content.template is not None:
        return compile_template(content, template)
    if content.text is None:
        raise UnfitContent("there is neither a text nor a template.")
    text = compile_text(content.text)

    def render(values: Mapping[str, str]) -> Rendered:
        said = text.render(values)
        if not said.strip():
            return Rendered(problem="the text is empty for this person")
        if len(said) > LONGEST:
            return Rendered(problem=f"the text has {len(said)} characters, WhatsApp takes {LONGEST}")
        return Rendered(said, {"body": said, "preview_url": False})

    return render


def check(settings: WhatsAppSettings) -> Request:
    """Reads the account's numbers: proves the token and sends nothing."""
    return _request(settings, "GET", f"{settings.waba_id}/phone_numbers")


def templates_request(settings: WhatsAppSettings, cursor: str | None) -> Request:
    """One page of all templates, whatever their status: a paused one must be known as paused."""
    query = {"fields": FIELDS, "limit": "100"} | ({"after": cursor} if cursor else {})
    return _request(settings, "GET", f"{settings.waba_id}/message_templates?{urlencode(query)}")


def parse_templates(response: Response) -> tuple[list[VendorTemplate], str | None]:
    """The templates of a page, and the cursor of the next."""
    body = _object(response.body)
    found = [_template(one) for one in body.get("data") or [] if isinstance(one, dict) and one.get("name")]
    paging = body.get("paging") or {}
    return found, paging.get("cursors", {}).get("after") if paging.get("next") else None


def _template(one: Mapping[str, Any]) -> VendorTemplate:
    return VendorTemplate(
        str(one["name"]),
        str(one.get("language", "")),
        str(one.get("status", "")),
        str(one.get("category", "")),
        str(one.get("parameter_format") or "POSITIONAL"),
        [part for part in one.get("components") or [] if isinstance(part, dict)],
        str(one.get("id", "")),
    )


# --- webhooks ---------------------------------------------------------------------------------------------------------------


def challenge(settings: WhatsAppSettings, hook: Hook) -> Answer | None:
    """Meta's first call: the bare challenge back, when it knows our verify token."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(hook.url).query).items()}
    if query.get("hub.mode") != "subscribe":
        return None
    known = settings.verify_token.get_secret_value().encode()
    if not hmac.compare_digest(query.get("hub.verify_token", "").encode(), known):
        return Answer(403, b"The verify token is not ours.")
    return Answer(200, query.get("hub.challenge", "").encode())


def verify(settings: WhatsAppSettings, hook: Hook) -> bool:
    """Whether Meta signed these very bytes."""
    given = hook.headers.get("x-hub-signature-256", "")
    digest = hmac.new(settings.app_secret.get_secret_value().encode(), hook.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(given.encode(), f"sha256={digest}".encode())


def parse_webhook(settings: WhatsAppSettings, hook: Hook) -> tuple[list[Event], Answer]:
    """Everything one call tells: batches mix numbers and kinds."""
    try:
        body = msgspec.json.decode(hook.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [], Answer(400, b"Not JSON.")
    events = [event for change in _changes(body) for event in _events(change, hook.at)]
    return events, Answer()


def _changes(body: object) -> Iterator[dict[str, Any]]:
    for entry in _dicts(body.get("entry") if isinstance(body, dict) else None):
        yield from _dicts(entry.get("changes"))


def _dicts(found: object) -> Iterator[dict[str, Any]]:
    yield from (one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()


def _events(change: Mapping[str, Any], at: int) -> Iterator[Event]:
    value, field = change.get("value"), change.get("field")
    if not isinstance(value, dict):
        yield Unrecognized(f"Meta told {str(field)[:60]!r} without a value")
    elif field == "messages":
        yield from (_status(one, at) for one in _dicts(value.get("statuses")) if one.get("status") not in IGNORED)
        people = list(_dicts(value.get("contacts")))
        for one in _dicts(value.get("messages")):
            yield _message(one, people, value, at)
        yield from (AccountNotice(_error_words(one), at, one) for one in _dicts(value.get("errors")))
    elif field == "user_preferences":
        yield from _preferences(value, at)
    elif field in {"message_template_status_update", "template_category_update"}:
        yield _template_change(value, at)
    elif field in {"account_update", "phone_number_quality_update", "message_template_quality_update"}:
        yield AccountNotice(_notice_words(field, value), at, value)
    else:
        yield Unrecognized(f"Meta told {str(field)[:60]!r}: {str(value)[:500]}")


def _status(one: Mapping[str, Any], at: int) -> Event:
    status = STATUSES.get(str(one.get("status")))
    if status is None or not isinstance(one.get("id"), str):
        return Unrecognized(f"Meta told the status {str(one.get('status'))[:40]!r}")
    failure = _failure(one) if status is Status.FAILED else None
    ours = id_of(str(one.get("biz_opaque_callback_data", "")))
    alias = one.get("recipient_id")
    return Receipt(one["id"], status, _moment(one, at), ours, failure, alias if isinstance(alias, str) else None)


def _failure(one: Mapping[str, Any]) -> Failure:
    error = next(_dicts(one.get("errors")), {})
    code = str(error.get("code", ""))
    known = ERRORS.get(code)
    if known is None or known.unanswered:  # the webhook is the answer: there is nothing left to ask
        return Failure(code or "failed", _error_words(error), Class.PERMANENT, fallback=True)
    return known


def _error_words(error: Mapping[str, Any]) -> str:
    return str(error.get("title") or error.get("message") or "Meta reports a failure without a reason")[:300]


def _moment(one: Mapping[str, Any], at: int) -> int:
    said = str(one.get("timestamp", ""))
    return int(said) * SECOND if said.isdigit() and len(said) < 12 else at


def _message(one: Mapping[str, Any], people: Sequence[Mapping[str, Any]], value: Mapping[str, Any], at: int) -> Event:
    if not isinstance(one.get("id"), str):
        return Unrecognized("Meta told a message without an id")
    kind = str(one.get("type", "unknown"))
    changed = _part(one, "system")
    if kind == "system":
        old, new = one.get("from"), changed.get("wa_id") or changed.get("new_wa_id")
        if isinstance(old, str) and isinstance(new, str):
            return AddressChanged(old, new, _moment(one, at))
    aliases = tuple(_aliases(one, people))
    if not aliases:
        return Unrecognized(f"Meta told a message of nobody: {one['id'][:80]}")
    quoted = _part(one, "context").get("id")
    return Inbound(
        one["id"],
        aliases,
        str(_part(value, "metadata").get("phone_number_id", "")),
        _text(one, kind),
        _moment(one, at),
        quoted if isinstance(quoted, str) else None,
        Wish.STOP if str(_part(one, "button").get("payload", "")).casefold() in OPT_OUT_PAYLOADS else None,
        is_reply=kind not in {"system", "reaction"},
        kind=kind,
    )


def _part(one: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = one.get(name)
    return found if isinstance(found, dict) else {}


def _aliases(one: Mapping[str, Any], people: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """All names of who wrote. A person with a username may come without a number."""
    number, user = one.get("from"), one.get("from_user_id")
    person: Mapping[str, Any] = next(
        (each for each in people if each.get("wa_id") == number or each.get("user_id") == user), people[0] if people else {}
    )
    number, user = number or person.get("wa_id"), user or person.get("user_id")
    if isinstance(number, str) and number.isdigit():
        yield f"wa_id:{number}"
        yield f"phone:+{number}"
    if isinstance(user, str):
        yield f"user_id:{user}"


def _text(one: Mapping[str, Any], kind: str) -> str:
    part = _part(one, kind)
    if kind == "interactive":
        chosen = _part(part, "button_reply") or _part(part, "list_reply")
        return str(chosen.get("title", ""))
    return str(part.get("body") or part.get("text") or part.get("caption") or part.get("emoji") or "")


def _preferences(value: Mapping[str, Any], at: int) -> Iterator[Event]:
    people = list(_dicts(value.get("contacts")))
    for one in _dicts(value.get("user_preferences")):
        aliases = tuple(_aliases({"from": one.get("wa_id"), "from_user_id": one.get("user_id")}, people))
        wish = {"stop": Wish.STOP, "resume": Wish.START}.get(str(one.get("value")))
        if wish is None or not aliases:
            yield Unrecognized(f"Meta told a preference we have no word for: {str(one)[:300]}")
        else:
            yield Preference(aliases, wish, _moment(one, at))


def _template_change(value: Mapping[str, Any], at: int) -> Event:
    name, language = value.get("message_template_name"), value.get("message_template_language")
    if not isinstance(name, str) or not isinstance(language, str):
        return Unrecognized(f"Meta told a change of no template: {str(value)[:300]}")
    status, category, reason = value.get("event"), value.get("new_category"), value.get("reason")
    return TemplateChanged(name, language, at, status, category, str(reason) if reason else None)


def _notice_words(field: str, value: Mapping[str, Any]) -> str:
    """A sentence of what Meta says of the account, its number or a template's quality."""
    if field == "message_template_quality_update":
        name, quality = value.get("message_template_name"), value.get("new_quality_score")
        return f"Meta rates the template {str(name)[:100]} {str(quality).lower()[:20]} now."
    what = str(value.get("event", field)).replace("_", " ").lower()
    return f"Meta tells of the account: {what[:100]}. Look into the WhatsApp Manager."


def _first(found: object) -> Mapping[str, Any]:
    return next(_dicts(found), {})


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, an empty one when it is something else."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


CHANNEL = Channel(
    kind="whatsapp",
    label="WhatsApp",
    reaches=Reach.PHONE,
    settings=WhatsAppSettings,
    alias_kind="wa_id",
    weight="messages",
    pace=80.0,
    default_deadline=DAY,
    receipts=frozenset({Status.SENT, Status.DELIVERED, Status.READ, Status.FAILED}),
    suppresses="whatsapp",
    build_request=build_request,
    parse_response=parse_response,
    verify=verify,
    parse_webhook=parse_webhook,
    compile=compile_content,
    check=check,
    challenge=challenge,
    templates=Templates(templates_request, parse_templates),
    wait_for_receipt=10 * MINUTE,
    needs_template=True,
    failure_of=ERRORS.get,
)
