"""Which requests to send WhatsApp understands: the published shape, checked fast for what is common and fully for the rest."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from msgspec import UNSET, Meta, Struct, UnsetType

Text = Annotated[str, Meta(min_length=1, max_length=32768)]


class BadRequest(ValueError):
    """WhatsApp refuses this request with this code."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(details)
        self.code, self.details = code, details


class TextParameter(Struct, tag_field="type", tag="text", forbid_unknown_fields=True):
    text: Text
    parameter_name: Annotated[str, Meta(pattern="^[a-z0-9_]+$")] | UnsetType = UNSET


class Link(Struct, forbid_unknown_fields=True):
    link: Annotated[str, Meta(pattern="^https?://")]


class ImageParameter(Struct, tag_field="type", tag="image", forbid_unknown_fields=True):
    image: Link


class ButtonText(Struct, tag_field="type", tag="text", forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1, max_length=2000)]


class ButtonPayload(Struct, tag_field="type", tag="payload", forbid_unknown_fields=True):
    payload: Annotated[str, Meta(max_length=256)]


class Header(Struct, tag_field="type", tag="header", forbid_unknown_fields=True):
    parameters: Annotated[list[TextParameter | ImageParameter], Meta(min_length=1, max_length=1)]


class Body(Struct, tag_field="type", tag="body", forbid_unknown_fields=True):
    parameters: Annotated[list[TextParameter], Meta(min_length=1)]


class Button(Struct, tag_field="type", tag="button", forbid_unknown_fields=True):
    sub_type: Literal["quick_reply", "url"]
    index: Annotated[str, Meta(pattern="^[0-9]$")] | Annotated[int, Meta(ge=0, le=9)]
    parameters: Annotated[list[ButtonText | ButtonPayload], Meta(min_length=1, max_length=1)]


class Language(Struct, forbid_unknown_fields=True):
    code: Annotated[str, Meta(pattern="^[a-z]{2,3}(_[A-Z]{2})?$")]
    policy: Literal["deterministic"] | UnsetType = UNSET


class Template(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern="^[a-z0-9_]{1,512}$")]
    language: Language
    components: list[Header | Body | Button] | UnsetType = UNSET


class FreeText(Struct, forbid_unknown_fields=True):
    body: Annotated[str, Meta(min_length=1, max_length=4096)]
    preview_url: bool | UnsetType = UNSET


class Context(Struct, forbid_unknown_fields=True):
    message_id: Annotated[str, Meta(min_length=1)]


class Common(Struct, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    messaging_product: Literal["whatsapp"]
    to: Annotated[str, Meta(pattern=r"^\+?[1-9][0-9]{6,14}$")]
    recipient_type: Literal["individual"] | UnsetType = UNSET
    context: Context | UnsetType = UNSET
    biz_opaque_callback_data: Annotated[str, Meta(max_length=512)] | UnsetType = UNSET


class SendText(Common, kw_only=True, tag="text", forbid_unknown_fields=True):
    text: FreeText


class SendTemplate(Common, kw_only=True, tag="template", forbid_unknown_fields=True):
    template: Template


COMMON = msgspec.json.Decoder(SendText | SendTemplate)
PLAIN = msgspec.json.Decoder(dict[str, Any])


@cache
def _schema() -> Draft202012Validator:
    text = resources.files("campana.standin").joinpath("schemas/send-message.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def read_request(body: bytes) -> dict[str, Any]:
    """The request as plain JSON; raises BadRequest when the published shape forbids it."""
    try:
        COMMON.decode(body)
        return PLAIN.decode(body)
    except msgspec.ValidationError:
        pass  # not one of the common shapes: the full schema decides
    except msgspec.DecodeError as error:
        raise BadRequest(100, f"Invalid parameter: the body is not JSON ({error})") from error
    return _read_by_schema(body)


def _read_by_schema(body: bytes) -> dict[str, Any]:
    request = msgspec.json.decode(body)
    if not isinstance(request, dict):
        raise BadRequest(100, "Invalid parameter: the body must be an object")
    if _schema().is_valid(request):
        return request
    for name in ("messaging_product", "to", "type"):
        if name not in request:
            raise BadRequest(131008, f"The parameter {name} is required.")
    kind = request["type"]
    if isinstance(kind, str) and kind not in request:
        raise BadRequest(131008, f"The parameter {kind} is required.")
    raise BadRequest(131009 if _number_is_bad(request) else 100, _why(request))


def _number_is_bad(request: dict[str, Any]) -> bool:
    to: dict[str, Any] = {"type": "string", "pattern": r"^\+?[1-9][0-9]{6,14}$"}
    return not Draft202012Validator(to).is_valid(request["to"])


def _why(request: dict[str, Any]) -> str:
    error = best_match(_schema().iter_errors(request))
    return f"Invalid parameter: {error.json_path} {error.message}"[:500] if error else "Invalid parameter"
