"""What WhatsApp tells us: batches of statuses, messages, wishes and news of templates and the account.

Each thing of a batch is read by itself, so that one we cannot read takes no other with it.
Vendor reference: https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from campana.channels.advice import Errors
from campana.channels.answers import UNREADABLE, code_of, read, reference, short, told_failure
from campana.core.durations import SECOND
from campana.core.exchange import Answer, Hook
from campana.core.message import (
    NOT_DELIVERED,
    AccountNotice,
    AddressChanged,
    Event,
    Inbound,
    Preference,
    Receipt,
    Status,
    TemplateChanged,
    Unrecognized,
    Wish,
)
from campana.core.optout import wish_of

ERRORS = Errors("whatsapp", page="https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes")

# Their status -> our word. `read` may come without `delivered`; deleted and warning say nothing about delivery.
STATUSES = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "played": Status.READ,
    "failed": Status.FAILED,
}
IGNORED = frozenset({"deleted", "warning"})

# What WhatsApp calls people in Mexico, Argentina and Brazil -> their number as it is written.
WRITTEN = (
    (re.compile(r"521(\d{10})"), r"52\1"),
    (re.compile(r"549(\d{10})"), r"54\1"),
    (re.compile(r"55(\d\d)([6-9]\d{7})"), r"55\g<1>9\2"),
)

NO_REPLY = frozenset({"system", "reaction"})
ACCOUNT_FIELDS = frozenset(
    {
        "account_update",
        "account_alerts",
        "account_review_update",
        "business_capability_update",
        "phone_number_name_update",
        "phone_number_quality_update",
    }
)


class Change(msgspec.Struct):
    field: str
    value: msgspec.Raw


class Entry(msgspec.Struct):
    changes: list[Change]
    time: int | str | None = None


class Envelope(msgspec.Struct):
    """A webhook as it comes: several accounts' changes in one."""

    entry: list[Entry]


class Metadata(msgspec.Struct):
    phone_number_id: str = ""


class Talk(msgspec.Struct):
    """The value of a change of the field `messages`."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    statuses: list[msgspec.Raw] = []
    messages: list[msgspec.Raw] = []
    contacts: list[msgspec.Raw] = []
    errors: list[msgspec.Raw] = []


class Told(msgspec.Struct):
    """One status. There are several for each message sent, so it is read into a fixed shape."""

    id: str
    status: str
    timestamp: str | int = ""
    recipient_id: str | None = None
    biz_opaque_callback_data: str | None = None
    errors: list[dict[str, Any]] | None = None


ENVELOPE, TALK, TOLD = msgspec.json.Decoder(Envelope), msgspec.json.Decoder(Talk), msgspec.json.Decoder(Told)
OBJECT = msgspec.json.Decoder(dict[str, Any])


def parse_webhook(settings: Any, hook: Hook) -> tuple[list[Event], Answer]:
    """Everything the batch tells, in its order."""
    try:
        envelope = ENVELOPE.decode(hook.body)
    except msgspec.ValidationError:
        return [Unrecognized("WhatsApp told something that has no entries with changes")], Answer()
    except UNREADABLE:
        return [], Answer(400, b"The body is not JSON.")
    return [event for entry in envelope.entry for event in _entry(entry, hook.at)], Answer()


def _entry(entry: Entry, arrived: int) -> Iterator[Event]:
    at = moment(entry.time, arrived)
    for change in entry.changes:
        raw = bytes(change.value)
        if change.field == "messages":
            yield from _talk(raw, arrived)
            continue
        value = read(OBJECT, raw)
        teller = TELLERS.get(change.field)
        if value is None or teller is None:
            yield Unrecognized(f"WhatsApp told something of the kind {short(change.field, 60)!r}, which we do not know")
        else:
            yield from teller(change.field, value, at)


def moment(value: object, otherwise: int) -> int:
    """A vendor's time (seconds, or milliseconds, as a number or its digits) as UTC microseconds."""
    digits = str(value) if isinstance(value, int) and abs(value) < 10**14 else value
    if not isinstance(digits, str) or not digits.isascii() or not digits.isdigit() or len(digits) > 14:
        return otherwise
    number = int(digits)
    return number * 1000 if number >= 10**11 else number * SECOND


def is_number(value: object) -> bool:
    """Whether that is a phone number or wa_id: digits only."""
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20


# --- statuses and messages --------------------------------------------------------------------------------------------------


def _talk(raw: bytes, arrived: int) -> Iterator[Event]:
    talk = read(TALK, raw)
    if talk is None:
        yield Unrecognized("WhatsApp told of messages in a form that we cannot read")
        return
    for each in talk.statuses:
        yield from _status(bytes(each), arrived)
    contacts = [found for each in talk.contacts if (found := read(OBJECT, bytes(each)))]
    for each in talk.messages:
        message = read(OBJECT, bytes(each))
        yield (
            Unrecognized("WhatsApp told of a message that we cannot read")
            if message is None
            else _message(message, contacts, talk.metadata.phone_number_id, arrived)
        )
    for each in talk.errors:
        error = read(OBJECT, bytes(each)) or {}
        code, title = code_of(error.get("code")), _string(error, "title") or "an error without a title"
        yield AccountNotice(f"WhatsApp reports: {short(title)} ({code})", arrived, error)


def _status(raw: bytes, arrived: int) -> Iterator[Event]:
    told = read(TOLD, raw)
    if told is None or not told.id:
        yield Unrecognized("WhatsApp told of a status that we cannot read")
        return
    status = STATUSES.get(told.status)
    if status is None:
        if told.status not in IGNORED:
            yield Unrecognized(f"WhatsApp told the status {short(told.status, 40)!r}, which we do not know")
        return
    failure = None
    if status in NOT_DELIVERED:
        error = (told.errors or [{}])[0]
        code = code_of(error.get("code"))
        words = short(_string(error, "error_data", "details") or _string(error, "title") or "WhatsApp gives no reason")
        failure = told_failure(ERRORS.table, code, words)
    alias = told.recipient_id if is_number(told.recipient_id) else None
    at = moment(told.timestamp, arrived)
    yield Receipt(told.id, status, at, reference(told.biz_opaque_callback_data), failure, alias)


def _message(message: Mapping[str, Any], contacts: list[dict[str, Any]], to: str, arrived: int) -> Event:
    kind, vendor_id = _string(message, "type") or "unknown", _string(message, "id")
    aliases = _aliases(message, contacts)
    if not vendor_id or not aliases:
        return Unrecognized(f"WhatsApp told of a message of the kind {short(kind, 40)!r} without its id or its sender")
    at = moment(message.get("timestamp"), arrived)
    new = _string(message, "system", "wa_id") or _string(message, "system", "new_wa_id")
    if kind == "system" and is_number(new) and is_number(message.get("from")):
        return AddressChanged(message["from"], new, at)
    return Inbound(
        vendor_id=vendor_id,
        aliases=aliases,
        to=to,
        text=_text(kind, message),
        at=at,
        quotes=_string(message, "context", "id") or _string(message, "reaction", "message_id") or None,
        wish=_wish(message),
        is_reply=kind not in NO_REPLY,  # what we cannot show ("unsupported") was written by the person all the same
        kind=short(kind, 40),
    )


def _aliases(message: Mapping[str, Any], contacts: list[dict[str, Any]]) -> tuple[str, ...]:
    """Their names for the person, the surest first. Since 2026 a person with a username may have no number here."""
    wa_id, user_id = message.get("from"), message.get("from_user_id")
    card = next((one for one in contacts if _is_card_of(one, wa_id, user_id)), {})
    wa_id, user_id = wa_id or card.get("wa_id"), user_id or card.get("user_id")
    return _names(wa_id, user_id)


def _is_card_of(card: Mapping[str, Any], wa_id: object, user_id: object) -> bool:
    return bool((wa_id and card.get("wa_id") == wa_id) or (user_id and card.get("user_id") == user_id))


def _names(wa_id: object, user_id: object) -> tuple[str, ...]:
    numbers = (f"wa_id:{wa_id}", *(f"phone:+{one}" for one in _spellings(str(wa_id)))) if is_number(wa_id) else ()
    return (*numbers, f"user_id:{user_id}") if isinstance(user_id, str) and user_id else numbers


def _spellings(wa_id: str) -> Iterator[str]:
    """The numbers behind a wa_id: we may not have been told yet that it is unlike the number we wrote to."""
    yield wa_id
    for calls, number in WRITTEN:
        if found := calls.fullmatch(wa_id):
            yield found.expand(number)


def _text(kind: str, message: Mapping[str, Any]) -> str:
    """What the person said, in words."""
    ways: dict[str, tuple[tuple[str, ...], ...]] = {
        "text": (("text", "body"),),
        "button": (("button", "text"),),
        "interactive": (
            ("interactive", "button_reply", "title"),
            ("interactive", "list_reply", "title"),
            ("interactive", "nfm_reply", "body"),
        ),
        "reaction": (("reaction", "emoji"),),
        "location": (("location", "name"), ("location", "address")),
        "order": (("order", "text"),),
        "system": (("system", "body"),),
    }
    found = (_string(message, *way) for way in ways.get(kind, ((kind, "caption"),)))
    return next((text for text in found if text), "")


def _wish(message: Mapping[str, Any]) -> Wish | None:
    """A template's quick reply may say STOP in what it carries, whatever its label says."""
    payload = _string(message, "button", "payload").replace("_", " ").replace("-", " ")
    return Wish.STOP if wish_of(payload) is Wish.STOP else None


def _string(value: Mapping[str, Any], *path: str) -> str:
    """The text at that path; empty when there is none."""
    found: Any = value
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


# --- wishes, templates, the account -----------------------------------------------------------------------------------------


def _preferences(field: str, value: dict[str, Any], at: int) -> Iterator[Event]:
    wishes = value.get("user_preferences")
    contacts = [one for one in _items(value.get("contacts")) if isinstance(one, dict)]
    for one in _items(wishes):
        told = one if isinstance(one, dict) else {}
        card = next((card for card in contacts if _is_card_of(card, told.get("wa_id"), told.get("user_id"))), {})
        aliases = _names(told.get("wa_id") or card.get("wa_id"), told.get("user_id") or card.get("user_id"))
        wish = {"stop": Wish.STOP, "resume": Wish.START, "signup": Wish.START}.get(_string(told, "value"))
        if not aliases or wish is None:
            yield Unrecognized("WhatsApp told of a person's wish that we cannot read")
            continue
        category = _string(told, "category") or "marketing_messages"
        yield Preference(aliases, wish, moment(told.get("timestamp"), at), short(category.removesuffix("_messages"), 40))


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _template(field: str, value: dict[str, Any], at: int) -> Iterator[Event]:
    name, language = _string(value, "message_template_name"), _string(value, "message_template_language")
    status, category, reason = _template_news(field, value)
    if not name or not (status or category or reason):
        yield Unrecognized(f"WhatsApp told of a template in a form that we cannot read ({field})")
        return
    yield TemplateChanged(name, language, at, status or None, category or None, short(reason) or None)


def _template_news(field: str, value: dict[str, Any]) -> tuple[str, str, str]:
    """Its new status, its new category, and the vendor's reason or warning."""
    if field == "template_category_update":
        becomes = _string(value, "correct_category")
        return "", _string(value, "new_category"), f"WhatsApp will make it {becomes}" if becomes else ""
    if field == "message_template_quality_update":
        quality = _string(value, "new_quality_score")
        return "", "", f"Its quality is {quality} now" if quality else ""
    event = _string(value, "event")
    status = "APPROVED" if event == "REINSTATED" else event
    told = _string(value, "reason")
    reason = _string(value, "other_info", "description") or ("" if told == "NONE" else told)
    return status, _string(value, "message_template_category") if status else "", reason


def _account(field: str, value: dict[str, Any], at: int) -> Iterator[Event]:
    what = _string(value, "event") or _string(value, "decision") or field
    restrictions = [_string(one, "restriction_type") for one in _items(value.get("restriction_info")) if isinstance(one, dict)]
    more = f" ({', '.join(restrictions)})" if any(restrictions) else ""
    words = f"WhatsApp says of the account: {what}{more}. Look into the WhatsApp Manager."
    yield AccountNotice(short(words), at, value)


TELLERS: dict[str, Callable[[str, dict[str, Any], int], Iterator[Event]]] = {
    "user_preferences": _preferences,
    "message_template_status_update": _template,
    "template_category_update": _template,
    "message_template_quality_update": _template,
    **dict.fromkeys(ACCOUNT_FIELDS, _account),
}
