"""WhatsApp templates: how they are listed, what fields they have, and what is sent to fill them.

Vendor reference: https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from campana.channels.contract import Content, Render, UnfitContent, VendorTemplate
from campana.core.message import Rendered
from campana.core.template import TextTemplate, compile_text

PLACE = re.compile(r"\{\{\s*([a-zA-Z0-9_]+)\s*\}\}")
BLANKS = re.compile(r"[\t\r\n\f\v\u2028\u2029]+")
MANY_SPACES = re.compile(r" {5,}")
MEDIA = {"IMAGE", "VIDEO", "DOCUMENT"}
APPROVED = "APPROVED"

Pieces = list[tuple[str, str | None]]  # text before, then the field that follows it


@dataclass(frozen=True, slots=True)
class Field:
    """One place of a template that the campaign fills. `key` is how the campaign names it without doubt."""

    key: str  # body: "1" or "first_name"; others: "header.1", "header.image", "button.0"
    name: str


def fields_of(template: VendorTemplate) -> list[Field]:
    """All places to fill: header, body, then buttons."""
    found = []
    for part in template.components:
        kind = str(part.get("type", "")).upper()
        if kind == "HEADER" and str(part.get("format", "TEXT")).upper() in MEDIA:
            name = str(part["format"]).lower()
            found.append(Field(f"header.{name}", name))
        elif kind == "HEADER":
            found += [Field(f"header.{name}", name) for name in _places(part)]
        elif kind == "BODY":
            found += [Field(name, name) for name in _places(part)]
        elif kind == "BUTTONS":
            found += [
                Field(f"button.{at}", f"button.{at}") for at, button in enumerate(part.get("buttons", ())) if _is_open(button)
            ]
    return found


def _places(part: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(PLACE.findall(str(part.get("text", "")))))


def _is_open(button: Mapping[str, Any]) -> bool:
    """A URL that ends in a place, or a code to copy: the message must fill it."""
    kind = str(button.get("type", "")).upper()
    return (kind == "URL" and bool(PLACE.search(str(button.get("url", ""))))) or kind == "COPY_CODE"


def compile_template(content: Content, template: VendorTemplate | None) -> Render:
    """What renders a template for each person; raises UnfitContent when it may not, or cannot, be sent."""
    if template is None:
        raise UnfitContent(
            f"there is no template {content.template!r} in {content.language!r} on the account. Choose one that is approved."
        )
    if template.status != APPROVED:
        raise UnfitContent(
            f"the template {template.name!r} ({template.language}) is {template.status.lower()}, not approved. "
            "Wait for the approval, or choose another."
        )
    values = _values(content, template)
    names = {field.key: compile_text(values[field.key]) for field in fields_of(template)}
    frame = {"name": template.name, "language": {"code": template.language}}
    parts = [part for part in (_component(one, template, names) for one in _buildable(template)) if part]
    readable = _readable(template)

    def render(cells: Mapping[str, str]) -> Rendered:
        filled: dict[str, str] = {}
        for key, text in names.items():
            value = clean(text.render(cells))
            if not value:
                return Rendered(problem=f"the template field {{{{{key}}}}} is empty for this person")
            filled[key] = value
        said = "".join(before + (filled.get(key, "") if key else "") for before, key in readable)
        components = [build(filled) for build in parts]
        return Rendered(said, {**frame, "components": components} if components else frame)

    return render


def _values(content: Content, template: VendorTemplate) -> dict[str, str]:
    """The campaign's text for each field, found by its key, or by its bare name where only one field has it."""
    fields = fields_of(template)
    given = dict(content.values)
    found: dict[str, str] = {}
    for field in fields:
        if field.key in given:
            found[field.key] = given.pop(field.key)
    for field in fields:
        alone = sum(other.name == field.name for other in fields) == 1
        if field.key not in found and alone and field.name in given:
            found[field.key] = given.pop(field.name)
    missing = [field.key for field in fields if field.key not in found]
    if missing:
        raise UnfitContent(f"the template {template.name!r} needs values for {_list(missing)}. Write them under 'values'.")
    if given:
        raise UnfitContent(f"the template {template.name!r} has no field {_list(given)}. Remove it from 'values'.")
    return found


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"{{{{{name}}}}}" for name in names)


def clean(value: str) -> str:
    """A value as a template takes it: no line breaks or tabs, no more than four spaces running."""
    return MANY_SPACES.sub("    ", BLANKS.sub(" ", value)).strip()


Build = Callable[[Mapping[str, str]], dict[str, Any]]


def _buildable(template: VendorTemplate) -> list[tuple[str, int, Mapping[str, Any]]]:
    """Header, body and buttons, each with its place."""
    found: list[tuple[str, int, Mapping[str, Any]]] = []
    for part in template.components:
        kind = str(part.get("type", "")).upper()
        if kind in {"HEADER", "BODY"}:
            found.append((kind, 0, part))
        elif kind == "BUTTONS":
            found += [("BUTTON", at, button) for at, button in enumerate(part.get("buttons", ())) if _is_open(button)]
    return sorted(found, key=lambda one: (["HEADER", "BODY", "BUTTON"].index(one[0]), one[1]))


def _component(
    one: tuple[str, int, Mapping[str, Any]], template: VendorTemplate, names: Mapping[str, TextTemplate]
) -> Build | None:
    """What builds one component of the request; None for a part that has nothing to fill."""
    kind, at, part = one
    if kind == "BUTTON":
        return _button(at, str(part.get("type", "")).lower())
    if kind == "HEADER" and str(part.get("format", "TEXT")).upper() in MEDIA:
        return _media(str(part["format"]).lower())
    prefix = "header." if kind == "HEADER" else ""
    named = template.parameter_format.upper() == "NAMED"
    places = [(name, prefix + name) for name in _places(part) if prefix + name in names]
    if not places:
        return None
    if not named:
        places.sort(key=lambda place: int(place[0]) if place[0].isdigit() else 0)
    return _texts(kind.lower(), places, named)


def _texts(kind: str, places: list[tuple[str, str]], named: bool) -> Build:
    def build(filled: Mapping[str, str]) -> dict[str, Any]:
        if named:
            parameters = [{"type": "text", "parameter_name": name, "text": filled[key]} for name, key in places]
        else:
            parameters = [{"type": "text", "text": filled[key]} for _, key in places]
        return {"type": kind, "parameters": parameters}

    return build


def _media(kind: str) -> Build:
    return lambda filled: {"type": "header", "parameters": [{"type": kind, kind: {"link": filled[f"header.{kind}"]}}]}


def _button(at: int, kind: str) -> Build:
    def build(filled: Mapping[str, str]) -> dict[str, Any]:
        value = filled[f"button.{at}"]
        parameter = {"type": "coupon_code", "coupon_code": value} if kind == "copy_code" else {"type": "text", "text": value}
        return {"type": "button", "sub_type": kind, "index": str(at), "parameters": [parameter]}

    return build


def _readable(template: VendorTemplate) -> Pieces:
    """The template as a person reads it: header, body and footer, cut at the places to fill."""
    pieces: Pieces = []
    for part in template.components:
        kind = str(part.get("type", "")).upper()
        if kind not in {"HEADER", "BODY", "FOOTER"} or not part.get("text"):
            continue
        prefix = "header." if kind == "HEADER" else ""
        text, end = str(part["text"]), 0
        lead = "\n\n" if pieces else ""
        for found in PLACE.finditer(text):
            pieces.append((lead + text[end : found.start()], prefix + found[1]))
            lead, end = "", found.end()
        pieces.append((lead + text[end:], None))
    return pieces
