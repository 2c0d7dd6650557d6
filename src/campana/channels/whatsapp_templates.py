"""WhatsApp templates: listed as Meta keeps them, and filled for one person.

Vendor reference: https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from campana.channels.answers import UNREADABLE, read
from campana.channels.contract import Content, Render, TemplateField, TemplatePart, UnfitContent, VendorTemplate
from campana.core.exchange import Response
from campana.core.message import Rendered
from campana.core.template import TextTemplate, compile_text

VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
# WhatsApp refuses values with line breaks, tabs or more than four blanks running; half a character is no JSON.
BREAKS = re.compile("[ ]*[\x00-\x1f\x7f\x85\u2028\u2029]+[ ]*")
SURROGATES = re.compile("[\ud800-\udfff]")
LINK = re.compile(r"https?://\S+")
MEDIA = {"IMAGE": "image", "VIDEO": "video", "DOCUMENT": "document"}
NEEDS_NOTHING = frozenset({"PHONE_NUMBER", "VOICE_CALL"})
FIELDS = "id,name,language,status,category,parameter_format,components"


# --- listing ----------------------------------------------------------------------------------------------------------------


class Listed(msgspec.Struct):
    """A template of the list."""

    name: str
    language: str
    status: str
    category: str | None = None
    parameter_format: str | None = None
    components: list[dict[str, Any]] | None = None
    id: str | int | None = None


class Cursors(msgspec.Struct):
    after: str | None = None


class Paging(msgspec.Struct):
    cursors: Cursors | None = None
    next: str | None = None


class Page(msgspec.Struct):
    """A page of the list."""

    data: list[msgspec.Raw]
    paging: Paging | None = None


LISTED, PAGE = msgspec.json.Decoder(Listed), msgspec.json.Decoder(Page)


def listing_query(cursor: str | None) -> str:
    """Templates of every status: one that is paused must be known to be so."""
    return f"fields={FIELDS}&limit=100" + (f"&after={quote(cursor, safe='', errors='replace')}" if cursor else "")


def parse_listing(response: Response) -> tuple[list[VendorTemplate], str | None] | None:
    """The templates of one page and the cursor of the next; one we cannot read is left out, and so not offered."""
    page = read(PAGE, response.body) if response.code == 200 else None
    if page is None:
        return None
    following = _next(page.paging)
    if following is None and page.paging and page.paging.next:
        return None  # there are more, and we cannot tell where
    listed = [one for raw in page.data if (one := read(LISTED, bytes(raw)))]
    return [_template(one) for one in listed], following


def _template(one: Listed) -> VendorTemplate:
    form = one.parameter_format or "POSITIONAL"
    vendor_id = "" if one.id is None else str(one.id)
    return VendorTemplate(one.name, one.language, one.status, one.category or "", form, tuple(one.components or ()), vendor_id)


def _next(paging: Paging | None) -> str | None:
    """The last page has a cursor too: only `next` says that there is more."""
    if paging is None or not paging.next:
        return None
    if paging.cursors and paging.cursors.after:
        return paging.cursors.after
    try:
        return parse_qs(urlsplit(paging.next).query).get("after", [None])[0]
    except ValueError:
        return None


# --- filling ----------------------------------------------------------------------------------------------------------------


class Button(msgspec.Struct):
    type: str
    text: str | None = None
    url: str | None = None


class Part(msgspec.Struct):
    """One component of a template as it was approved."""

    type: str
    format: str | None = None
    text: str | None = None
    buttons: list[Button] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where one value goes. `key` names it among the step's values, `bare` is its short name."""

    key: str
    bare: str
    component: tuple[tuple[str, str], ...]  # the head of the component that holds it
    parameter: Callable[[str], dict[str, Any]]
    needed: bool = True
    limit: int = 32_768
    link: bool = False
    part: TemplatePart = "text"
    number: int = 0  # of a button, from 1


def template_fields(template: VendorTemplate) -> list[TemplateField]:
    """The values that the template takes, in the order they are sent."""
    label = f"The template {template.name} ({template.language})"
    places = _places(label, _parts(label, template), template.parameter_format == "NAMED")
    return [TemplateField(place.key, place.needed, place.link, place.part, str(place.number or place.bare)) for place in places]


class NamedExample(msgspec.Struct):
    param_name: str
    example: str


class Examples(msgspec.Struct):
    """The values a template was sent in with, for its reviewer."""

    header_text: list[str] | None = None
    header_text_named_params: list[NamedExample] | None = None
    header_handle: list[str] | None = None
    body_text: list[list[str]] | None = None
    body_text_named_params: list[NamedExample] | None = None


class Exemplified(msgspec.Struct):
    """A component or a button that may hold examples."""

    type: str
    format: str | None = None
    example: Examples | list[str] | None = None
    url: str | None = None
    buttons: list[msgspec.Raw] | None = None


EXEMPLIFIED = msgspec.json.Decoder(Exemplified)


def template_examples(template: VendorTemplate) -> dict[str, str]:
    """The values the template was approved with, by the keys of its fields; what cannot be read has none."""
    found: dict[str, str] = {}
    for component in template.components:
        part = read(EXEMPLIFIED, msgspec.json.encode(component))
        told = part.example if part else None
        if part and isinstance(told, Examples):
            prefix = "header." if part.type.upper() == "HEADER" else ""
            named = told.header_text_named_params or told.body_text_named_params or []
            plain = told.header_text or (told.body_text or [[]])[0]
            found |= {prefix + one.param_name: one.example for one in named}
            found |= {f"{prefix}{number}": value for number, value in enumerate(plain, 1)}
            kind = MEDIA.get((part.format or "").upper())
            if kind and told.header_handle and LINK.fullmatch(told.header_handle[0]):  # else it is the name of an upload
                found[f"header.{kind}"] = told.header_handle[0]
        for number, raw in enumerate((part.buttons if part else None) or ()):
            button = read(EXEMPLIFIED, bytes(raw))
            if button and isinstance(button.example, list) and button.example:
                fixed = VARIABLE.split(button.url or "")[0]
                found[f"button.{number}"] = button.example[0].removeprefix(fixed)  # told as the whole address
    return found


def button_words(template: VendorTemplate) -> list[str]:
    """What the person reads on the buttons."""
    part = _parts("The template", template).get("BUTTONS")
    return [button.text for button in (part.buttons if part else None) or () if button.text]


def closed_to(template: VendorTemplate) -> tuple[str, ...]:
    """WhatsApp delivers no authentication templates to users in India (contract 129)."""
    return ("+91",) if template.category.upper() == "AUTHENTICATION" else ()


def compile_template(content: Content, template: VendorTemplate | None) -> Render:
    """What fills a template for one person; all that can be known before is found out here."""
    if template is None:
        raise UnfitContent(
            f"WhatsApp has no template {content.template!r} in {content.language!r}. Choose another, or read the templates again."
        )
    label = f"The template {template.name} ({template.language})"
    if template.status != "APPROVED":
        raise UnfitContent(
            f"{label} is {template.status}. Only approved templates are sent: wait for WhatsApp, or choose another."
        )
    parts = _parts(label, template)
    places = _places(label, parts, template.parameter_format == "NAMED")
    filled = _assign(label, places, content.values)
    return _renderer(template, [(place, filled[place.key]) for place in places if place.key in filled], _Readable(parts, filled))


def _parts(label: str, template: VendorTemplate) -> dict[str, Part]:
    try:
        parts = msgspec.convert(template.components, list[Part])
    except UNREADABLE as error:
        raise UnfitContent(f"{label} has a form that Campana cannot read. Choose another.", code="template_form") from error
    found = {part.type.upper(): part for part in parts}
    if strange := sorted(found.keys() - {"HEADER", "BODY", "FOOTER", "BUTTONS"}):
        raise UnfitContent(
            f"{label} has a part {strange[0]}, which Campana cannot fill. Choose another.", code="template_part", part=strange[0]
        )
    return found


def _variables(text: str | None) -> list[str]:
    """The names in a text, once each; numbers in their order, as WhatsApp counts them."""
    names = list(dict.fromkeys(VARIABLE.findall(text or "")))
    return sorted(names, key=int) if all(name.isdigit() for name in names) else names


def _text_parameter(name: str | None) -> Callable[[str], dict[str, Any]]:
    if name is None:
        return lambda value: {"type": "text", "text": value}
    return lambda value: {"type": "text", "parameter_name": name, "text": value}


def _media_parameter(kind: str) -> Callable[[str], dict[str, Any]]:
    return lambda value: {"type": kind, kind: {"link": value}}


def _payload(value: str) -> dict[str, Any]:
    return {"type": "payload", "payload": value}


def _coupon(value: str) -> dict[str, Any]:
    return {"type": "coupon_code", "coupon_code": value}


def _places(label: str, parts: Mapping[str, Part], named: bool) -> list[Place]:
    """Every value the template takes, in the order it is sent."""
    return [
        *_header_places(label, parts.get("HEADER"), named),
        *_text_places("body", "", parts.get("BODY"), named),
        *_button_places(label, parts.get("BUTTONS")),
    ]


def _header_places(label: str, header: Part | None, named: bool) -> list[Place]:
    kind = (header.format or "TEXT").upper() if header else "TEXT"
    if kind == "TEXT":
        return _text_places("header", "header.", header, named)
    if kind not in MEDIA:
        raise UnfitContent(
            f"{label} has a header of the kind {kind}, which Campana cannot fill. Choose another.",
            code="template_part",
            part=kind,
        )
    word = MEDIA[kind]
    return [Place(f"header.{word}", word, (("type", "header"),), _media_parameter(word), limit=2000, link=True, part="media")]


def _text_places(kind: str, prefix: str, part: Part | None, named: bool) -> list[Place]:
    names = _variables(part.text) if part else []
    fills: TemplatePart = "header" if prefix else "text"
    return [Place(prefix + name, name, (("type", kind),), _text_parameter(name if named else None), part=fills) for name in names]


def _button_places(label: str, part: Part | None) -> list[Place]:
    places = []
    for index, button in enumerate((part.buttons if part else None) or ()):
        kind = button.type.upper()
        head = (("type", "button"), ("sub_type", kind.lower()), ("index", str(index)))
        key = f"button.{index}"
        if kind == "URL":
            ends = _variables(button.url)[:1]
            places += [
                Place(key, name, head, _text_parameter(None), limit=2000, part="link_end", number=index + 1) for name in ends
            ]
        elif kind == "QUICK_REPLY":
            places.append(Place(key, key, head, _payload, needed=False, limit=256, part="reply", number=index + 1))
        elif kind == "COPY_CODE":
            places.append(Place(key, key, head, _coupon, limit=20, part="code", number=index + 1))
        elif kind not in NEEDS_NOTHING:
            raise UnfitContent(
                f"{label} has a button of the kind {kind}, which Campana cannot fill. Choose another.",
                code="template_part",
                part=kind,
            )
    return places


def _assign(label: str, places: Sequence[Place], values: Mapping[str, str]) -> dict[str, TextTemplate]:
    """The text of each place by its key; a value without a place, and a place without a value, are refused."""
    filled: dict[str, TextTemplate] = {}
    for name, text in values.items():
        place = _place_of(label, places, name)
        if place.key in filled:
            raise UnfitContent(f"{label} gets two values for {place.key!r}. Leave one of them away.")
        filled[place.key] = _value(label, place, text)
    if missing := [place.key for place in places if place.needed and place.key not in filled]:
        raise UnfitContent(f"{label} needs a value for {_list(missing)}. Add it to the values of this step.")
    return filled


def _place_of(label: str, places: Sequence[Place], name: str) -> Place:
    exact = [place for place in places if place.key == name]
    fits = exact or [place for place in places if place.bare == name]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UnfitContent(f"{label} has {name!r} in several places. Write {_list(place.key for place in fits)}.")
    known = _list(place.key for place in places)
    raise UnfitContent(f"{label} has no field {name!r}. " + (f"Its fields are {known}." if known else "It takes no values."))


def _value(label: str, place: Place, text: str) -> TextTemplate:
    compiled = compile_text(text)
    if not compiled.fields and (problem := _problem(place, _clean(text))):
        raise UnfitContent(f"{label} cannot be filled: {problem}", **_why(place, _clean(text)))
    return compiled


def _list(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _clean(value: str) -> str:
    if value.isprintable() and "     " not in value:
        return value.strip()
    value = SURROGATES.sub("\ufffd", BREAKS.sub(" ", value))
    return re.sub(" {5,}", "    ", value).strip()


def _problem(place: Place, value: str) -> str | None:
    if not value or value.isspace():
        return f"The template's field {place.key!r} is empty."
    if len(value) > place.limit:
        return f"The value of the template's field {place.key!r} has {len(value)} characters; {place.limit} are allowed."
    if place.link and not LINK.fullmatch(value):
        return f"The template's field {place.key!r} takes a link that begins with https://, not {value[:60]!r}."
    return None


def _why(place: Place, value: str) -> dict[str, Any]:
    """The same problem as pages say it."""
    field = {"part": place.part, "name": str(place.number or place.bare)}
    if not value or value.isspace():
        return {"code": "value_empty", **field}
    if len(value) > place.limit:
        return {"code": "value_long", **field, "characters": len(value), "most": place.limit}
    return {"code": "value_no_link", **field}


class _Readable:
    """The template's text as the person reads it, with gaps for the values."""

    def __init__(self, parts: Mapping[str, Part], filled: Mapping[str, TextTemplate]) -> None:
        self.pieces: list[str] = []
        self.gaps: list[tuple[int, str]] = []
        for kind, prefix in (("HEADER", "header."), ("BODY", ""), ("FOOTER", "footer.")):
            text = parts[kind].text if kind in parts else None
            if not text:
                continue
            if self.pieces:
                self.pieces.append("\n")
            self._add(text, prefix, filled)

    def _add(self, text: str, prefix: str, filled: Mapping[str, TextTemplate]) -> None:
        end = 0
        for variable in VARIABLE.finditer(text):
            if (key := prefix + variable[1]) in filled:
                self.pieces += [text[end : variable.start()], ""]
                self.gaps.append((len(self.pieces) - 1, key))
                end = variable.end()
        self.pieces.append(text[end:])


def _renderer(template: VendorTemplate, filled: Sequence[tuple[Place, TextTemplate]], readable: _Readable) -> Render:
    places = [(place, text.render) for place, text in filled]
    position = {place.key: number for number, (place, _) in enumerate(filled)}
    heads = {place.component: dict(place.component) for place, _ in filled}
    groups = [
        (head, [(position[place.key], place.parameter) for place, _ in filled if place.component == component])
        for component, head in heads.items()
    ]
    gaps = [(piece, position[key]) for piece, key in readable.gaps]
    fixed = {"name": template.name, "language": {"code": template.language}}
    pieces_of = readable.pieces.copy

    def render(values: Mapping[str, str]) -> Rendered:
        cleaned = []
        for place, text_of in places:
            value = _clean(text_of(values))
            if (not value or len(value) > place.limit or place.link) and (problem := _problem(place, value)):
                return Rendered(problem=problem, why=_why(place, value))
            cleaned.append(value)
        pieces = pieces_of()
        for piece, number in gaps:
            pieces[piece] = cleaned[number]
        if not groups:
            return Rendered("".join(pieces), fixed)
        components = [
            {**head, "parameters": [parameter(cleaned[number]) for number, parameter in parameters]}
            for head, parameters in groups
        ]
        return Rendered("".join(pieces), {**fixed, "components": components})

    return render
