"""Which requests to send Infobip understands: version 3's shape, its limits, and what this stand-in cannot play."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
MISSING = re.compile(r"Object missing required field `(\w+)`")
UNKNOWN = re.compile(r"Object contains unknown field `(\w+)`")
SIZE = re.compile(r"Expected `\w+` of length (<=|>=) (\d+)")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Shape = TypeVar("Shape")
Text255 = Annotated[str, Meta(max_length=255)]
Shifts = Literal["NONE", "TR", "ES", "PT", "AUTODETECT"]


class Violations(ValueError):
    """Infobip refuses this request: by property, what is wrong with it."""

    def __init__(self, **found: str) -> None:
        super().__init__(found)
        self.found: dict[str, str] = found

    @classmethod
    def at(cls, where: str, what: str) -> Violations:
        """One violation."""
        made = cls()
        made.found[where] = what
        return made


class Destination(Struct, forbid_unknown_fields=True):
    to: Annotated[str, Meta(max_length=64)]
    messageId: Annotated[str, Meta(max_length=200)] = ""  # noqa: N815
    networkId: int | UnsetType = UNSET  # noqa: N815


class Language(Struct, forbid_unknown_fields=True):
    languageCode: Shifts = "NONE"  # noqa: N815
    singleShift: bool = False  # noqa: N815
    lockingShift: bool = False  # noqa: N815


class Content(Struct, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1)]
    transliteration: str = "NONE"
    language: Language = msgspec.field(default_factory=Language)


class Platform(Struct, forbid_unknown_fields=True, omit_defaults=True):
    entityId: Text255 = ""  # noqa: N815
    applicationId: Text255 = ""  # noqa: N815


class ValidityPeriod(Struct, forbid_unknown_fields=True):
    amount: Annotated[int, Meta(ge=1)]
    timeUnit: Literal["SECONDS", "MINUTES", "HOURS"] = "MINUTES"  # noqa: N815


class MessageOptions(Struct, forbid_unknown_fields=True):
    platform: Platform = msgspec.field(default_factory=Platform)
    validityPeriod: ValidityPeriod | UnsetType = UNSET  # noqa: N815
    deliveryTimeWindow: dict[str, Any] | UnsetType = UNSET  # noqa: N815
    campaignReferenceId: Text255 = ""  # noqa: N815
    regional: dict[str, Any] | UnsetType = UNSET
    flash: bool = False


class Delivery(Struct, forbid_unknown_fields=True):
    url: str = ""
    intermediateReport: bool = False  # noqa: N815
    notify: bool = True


class Webhooks(Struct, forbid_unknown_fields=True):
    delivery: Delivery = msgspec.field(default_factory=Delivery)
    contentType: str = "application/json"  # noqa: N815
    callbackData: Annotated[str, Meta(max_length=4000)] = ""  # noqa: N815


class SmsMessage(Struct, forbid_unknown_fields=True):
    destinations: Annotated[list[Destination], Meta(min_length=1)]
    content: Content
    sender: str = ""
    options: MessageOptions = msgspec.field(default_factory=MessageOptions)
    webhooks: Webhooks = msgspec.field(default_factory=Webhooks)


class Schedule(Struct, forbid_unknown_fields=True):
    bulkId: Annotated[str, Meta(max_length=100)] = ""  # noqa: N815
    sendAt: str | UnsetType = UNSET  # noqa: N815
    sendingSpeedLimit: dict[str, Any] | UnsetType = UNSET  # noqa: N815


class RequestOptions(Struct, forbid_unknown_fields=True):
    schedule: Schedule = msgspec.field(default_factory=Schedule)
    tracking: dict[str, Any] | UnsetType = UNSET
    conversionTracking: dict[str, Any] | UnsetType = UNSET  # noqa: N815
    includeSmsCountInResponse: bool = False  # noqa: N815


class Envelope(Struct, forbid_unknown_fields=True):
    messages: Annotated[list[SmsMessage], Meta(min_length=1)]
    options: RequestOptions = msgspec.field(default_factory=RequestOptions)


class Preview(Struct, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1)]
    languageCode: Literal["TR", "ES", "PT", "AUTODETECT"] | UnsetType = UNSET  # noqa: N815
    transliteration: str | UnsetType = UNSET


ENVELOPE = msgspec.json.Decoder(Envelope)
PREVIEW = msgspec.json.Decoder(Preview)


def read_envelope(body: bytes, most: int) -> Envelope:
    """The request to send; raises Violations when Infobip would refuse it, or this stand-in cannot play it."""
    envelope = _decoded(ENVELOPE, body)
    if sum(len(message.destinations) for message in envelope.messages) > most:
        raise Violations(messages=f"must not hold more than {most} destinations")
    _check_options(envelope.options)
    for place, message in enumerate(envelope.messages):
        _check_message(f"messages[{place}]", message)
    return envelope


def read_preview(body: bytes) -> Preview:
    """The request for a preview; raises Violations."""
    asked = _decoded(PREVIEW, body)
    if asked.transliteration:
        _check_transliteration("transliteration", asked.transliteration)
    return asked


def _decoded(decoder: msgspec.json.Decoder[Shape], body: bytes) -> Shape:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _understood(str(error)) from error
    except UNREADABLE as error:
        raise Violations(request=f"must be JSON: {error}") from error


def _understood(words: str) -> Violations:
    """What msgspec found, said as Infobip says it."""
    place = PLACE.search(words)
    where, what = (place[1], words[: place.start()]) if place else ("", words)
    if found := MISSING.search(what):
        return Violations.at(f"{where}.{found[1]}".lstrip("."), "must not be null")
    if found := UNKNOWN.search(what):
        return Violations.at(f"{where}.{found[1]}".lstrip("."), "is not known")
    if found := SIZE.search(what):
        return Violations.at(where, "must not be empty" if found[1] == ">=" else f"size must be between 0 and {found[2]}")
    return Violations.at(where or "request", what[:1].lower() + what[1:])


def _check_options(options: RequestOptions) -> None:
    schedule = options.schedule
    for where, value in (
        ("options.schedule.sendAt", schedule.sendAt),
        ("options.schedule.sendingSpeedLimit", schedule.sendingSpeedLimit),
        ("options.tracking", options.tracking),
        ("options.conversionTracking", options.conversionTracking),
    ):
        if value is not UNSET:
            raise Violations.at(where, "this stand-in sends at once and changes no links; leave it away")


def _check_message(where: str, message: SmsMessage) -> None:
    if message.options.deliveryTimeWindow is not UNSET:
        raise Violations.at(f"{where}.options.deliveryTimeWindow", "this stand-in sends at once; leave it away")
    _check_transliteration(f"{where}.content.transliteration", message.content.transliteration)
    hooks = message.webhooks
    if hooks.contentType != "application/json":
        raise Violations.at(f"{where}.webhooks.contentType", "this stand-in reports in application/json only")
    if hooks.delivery.url and not _is_url(hooks.delivery.url):
        raise Violations.at(f"{where}.webhooks.delivery.url", "must be a valid URL")


def _check_transliteration(where: str, name: str) -> None:
    if name not in ("NONE", "NON_UNICODE"):
        raise Violations.at(where, "this stand-in knows NONE and NON_UNICODE")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        return False


def guess(body: bytes) -> list[tuple[str, str]]:
    """Recipients and message ids, as far as they can be read of a body that may be anything."""
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except UNREADABLE:
        return []
    messages = [one for one in _listed(found.get("messages")) if isinstance(one, dict)]
    places = [one for message in messages for one in _listed(message.get("destinations")) if isinstance(one, dict)]
    return [(_text(one.get("to")), _text(one.get("messageId"))) for one in places]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
