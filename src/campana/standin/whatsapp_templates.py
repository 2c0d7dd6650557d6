"""Templates as WhatsApp keeps them, and what it refuses in the values that are to fill them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from campana.standin.whatsapp_request import BadRequest

FIELD = re.compile(r"\{\{\s*([a-z0-9_]+)\s*\}\}")
FORBIDDEN = re.compile(r"[\n\r\t]| {5}")
BODY_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """What one template asks for."""

    name: str
    language: str
    named: bool
    body: str
    body_fields: tuple[str, ...]
    header: str | None  # TEXT, IMAGE, ...
    header_fields: tuple[str, ...]
    url_buttons: frozenset[int]  # those whose URL ends in a variable
    buttons: tuple[str, ...]


def shape_of(template: Mapping[str, Any]) -> Shape:
    """Reads a template once, so that a send needs no look at its text."""
    parts = {str(part.get("type", "")).upper(): part for part in template.get("components", ())}
    header, body = parts.get("HEADER", {}), str(parts.get("BODY", {}).get("text", ""))
    buttons: Sequence[Mapping[str, Any]] = parts.get("BUTTONS", {}).get("buttons", ())
    kind = str(header.get("format", "TEXT")).upper() if header else None
    return Shape(
        template["name"],
        template["language"],
        template.get("parameter_format") == "NAMED",
        body,
        tuple(dict.fromkeys(FIELD.findall(body))),
        kind,
        tuple(dict.fromkeys(FIELD.findall(str(header.get("text", ""))))),
        frozenset(place for place, button in enumerate(buttons) if FIELD.search(str(button.get("url", "")))),
        tuple(str(button.get("type", "")).upper() for button in buttons),
    )


def fill(shape: Shape, components: Iterable[Mapping[str, Any]]) -> str:
    """The text a person reads; raises BadRequest when the values do not fit the template."""
    body: Sequence[Mapping[str, Any]] = ()
    header: Sequence[Mapping[str, Any]] = ()
    filled: set[int] = set()
    for component in components:
        if component["type"] == "body":
            body = component["parameters"]
        elif component["type"] == "header":
            header = component["parameters"]
        else:
            filled.add(_button(shape, component))
    _header(shape, header)
    if missing := shape.url_buttons - filled:
        raise BadRequest(132000, f"buttons: button at index {min(missing)} of type Url requires a parameter")
    return _body(shape, body)


def _body(shape: Shape, parameters: Sequence[Mapping[str, Any]]) -> str:
    values = _values("body", shape, shape.body_fields, parameters)
    text = FIELD.sub(lambda field: values.get(field[1], ""), shape.body)
    if len(text) > BODY_LIMIT:
        raise BadRequest(132005, f"Translated text too long: body has {len(text)} characters, {BODY_LIMIT} are allowed")
    return text


def _header(shape: Shape, parameters: Sequence[Mapping[str, Any]]) -> None:
    if shape.header in (None, "TEXT"):
        _values("header", shape, shape.header_fields, parameters)
        return
    found = parameters[0]["type"].upper() if parameters else "UNKNOWN"
    if found != shape.header:
        raise BadRequest(132012, f"header: Format mismatch, expected {shape.header}, received {found}")


def _values(part: str, shape: Shape, fields: tuple[str, ...], parameters: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The value of each field. Positional ones come in order, named ones by name in any order."""
    if len(parameters) != len(fields):
        raise BadRequest(
            132000,
            f"{part}: number of localizable_params ({len(parameters)}) does not match"
            f" the expected number of params ({len(fields)})",
        )
    if any(("parameter_name" in parameter) != shape.named for parameter in parameters):
        expected = "NAMED" if shape.named else "POSITIONAL"
        raise BadRequest(132012, f"{part}: Parameter format does not match, the template is {expected}")
    order = [parameter["parameter_name"] for parameter in parameters] if shape.named else _by_number(fields)
    if set(order) != set(fields):
        raise BadRequest(132012, f"{part}: the parameter names {sorted(order)} do not match {sorted(fields)}")
    values = {name: _value(part, parameter) for name, parameter in zip(order, parameters, strict=True)}
    if bad := [name for name, value in values.items() if not value.strip() or FORBIDDEN.search(value)]:
        raise BadRequest(
            132018, f"{part}: {bad[0]} must not be empty, nor have new-line/tab characters or more than 4 consecutive spaces"
        )
    return values


def _by_number(fields: tuple[str, ...]) -> list[str]:
    return sorted(fields, key=lambda field: (len(field), field))


def _value(part: str, parameter: Mapping[str, Any]) -> str:
    kind = parameter["type"]
    if kind == "text":
        return str(parameter["text"])
    if kind in ("currency", "date_time"):
        return str(parameter[kind]["fallback_value"])
    raise BadRequest(132012, f"{part}: Format mismatch, expected TEXT, received {kind.upper()}")


def _button(shape: Shape, component: Mapping[str, Any]) -> int:
    place = int(component["index"])
    if place >= len(shape.buttons) or shape.buttons[place] != component["sub_type"].upper():
        raise BadRequest(132000, f"buttons: there is no {component['sub_type']} button at index {place}")
    if component["sub_type"] == "url" and place not in shape.url_buttons:
        raise BadRequest(132000, f"buttons: button at index {place} takes no parameter")
    return place
