"""Templates: what fills them, and what is refused before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from campana.channels import whatsapp
from campana.channels.contract import Content, UnfitContent, VendorTemplate
from campana.channels.whatsapp_templates import parse_listing, template_examples, template_fields
from campana.core.exchange import Response
from campana.core.message import Outgoing

SCHEMA = Path(__file__).parents[1] / "data" / "whatsapp" / "send-message.schema.json"
SAMPLES = SCHEMA.parent / "samples"
SEND_SCHEMA = Draft202012Validator(json.loads(SCHEMA.read_text()))
SETTINGS = whatsapp.Settings(token="t", app_secret="s", verify_token="v", waba_id="1")

BODY = {"type": "BODY", "text": "Hola {{1}}, su cita es el {{2}}. Gracias {{1}}."}
HEADER = {"type": "HEADER", "format": "TEXT", "text": "Cita en {{1}}"}
FOOTER = {"type": "FOOTER", "text": "Responda BAJA"}
LINK = {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "https://example.com/{{1}}"}]}


def template(*components: Mapping[str, Any], named: bool = False, status: str = "APPROVED") -> VendorTemplate:
    return VendorTemplate("cita", "es_MX", status, "UTILITY", "NAMED" if named else "POSITIONAL", components)


def content(**values: str) -> Content:
    return Content(template="cita", language="es_MX", values={name.replace("_", "."): text for name, text in values.items()})


def filled(of: VendorTemplate, values: Mapping[str, str], cells: Mapping[str, str]) -> tuple[str, Sequence[Any]]:
    rendered = whatsapp.compile_content(Content(template="cita", language="es_MX", values=values), of)(cells)
    assert rendered.problem is None
    request = whatsapp.build_request(SETTINGS, [Outgoing(bytes(16), "1065", "+525511223344", rendered.content)])
    SEND_SCHEMA.validate(json.loads(request.body))
    assert (rendered.content["name"], rendered.content["language"]) == ("cita", {"code": "es_MX"})
    return rendered.text, rendered.content.get("components", [])


def text(value: str, **more: str) -> dict[str, str]:
    return {"type": "text", "text": value, **more}


def test_positional_values_go_in_the_order_of_their_numbers() -> None:
    of = template({"type": "BODY", "text": "{{2}} y {{1}}"})
    said, components = filled(of, {"2": "b", "1": "a"}, {})
    assert said == "b y a"
    assert components == [{"type": "body", "parameters": [text("a"), text("b")]}]


def test_header_body_and_button_are_filled_by_their_own_keys() -> None:
    values = {"header.1": "{{clinic}}", "1": "{{name}}", "2": "{{day}}", "button.0": "c/{{name}}"}
    said, components = filled(template(HEADER, BODY, FOOTER, LINK), values, {"clinic": "Centro", "name": "Ana", "day": "lunes"})
    assert said == "Cita en Centro\nHola Ana, su cita es el lunes. Gracias Ana.\nResponda BAJA"
    assert components == [
        {"type": "header", "parameters": [text("Centro")]},
        {"type": "body", "parameters": [text("Ana"), text("lunes")]},
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [text("c/Ana")]},
    ]


def test_named_values_carry_their_names_and_the_bare_name_will_do() -> None:
    of = template(
        {"type": "HEADER", "format": "TEXT", "text": "Cita en {{clinic}}"},
        {"type": "BODY", "text": "Hola {{first_name}}"},
        named=True,
    )
    _, components = filled(of, {"clinic": "Centro", "first_name": "{{Name}}"}, {"name": "Ana"})
    assert components == [
        {"type": "header", "parameters": [text("Centro", parameter_name="clinic")]},
        {"type": "body", "parameters": [text("Ana", parameter_name="first_name")]},
    ]


def test_a_template_without_fields_has_no_components() -> None:
    assert filled(template({"type": "BODY", "text": "Hola"}, FOOTER), {}, {}) == ("Hola\nResponda BAJA", [])


@pytest.mark.parametrize("kind", ["IMAGE", "VIDEO", "DOCUMENT"])
def test_a_media_header_takes_a_link(kind: str) -> None:
    word = kind.lower()
    of = template({"type": "HEADER", "format": kind}, {"type": "BODY", "text": "Hola"})
    _, components = filled(of, {f"header.{word}": "https://cdn.example.com/a"}, {})
    parameter = {"type": word, word: {"link": "https://cdn.example.com/a"}}
    assert components == [{"type": "header", "parameters": [parameter]}]


def test_buttons_that_need_a_value_get_one_and_the_others_none() -> None:
    buttons = [
        {"type": "PHONE_NUMBER", "text": "Call"},
        {"type": "URL", "text": "Fixed", "url": "https://example.com"},
        {"type": "QUICK_REPLY", "text": "No"},
        {"type": "QUICK_REPLY", "text": "Stop"},
        {"type": "COPY_CODE", "text": "Copy"},
    ]
    of = template({"type": "BODY", "text": "Hola"}, {"type": "BUTTONS", "buttons": buttons})
    _, components = filled(of, {"button.3": "STOP", "button.4": "FALL25"}, {})
    assert components == [
        {"type": "button", "sub_type": "quick_reply", "index": "3", "parameters": [{"type": "payload", "payload": "STOP"}]},
        {
            "type": "button",
            "sub_type": "copy_code",
            "index": "4",
            "parameters": [{"type": "coupon_code", "coupon_code": "FALL25"}],
        },
    ]


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (" Ana ", "Ana"),
        ("Ana\r\n\tMaría", "Ana María"),
        ("a      b", "a    b"),
        ("a\u2028b", "a b"),
        ("\ud83dx", "\ufffdx"),
        ("👩‍👩‍👧 José", "👩‍👩‍👧 José"),
        ("{{1}} ${name}", "{{1}} ${name}"),
    ],
    ids=[
        "blanks around",
        "line breaks",
        "blanks running",
        "line separator",
        "half a character",
        "joined emoji",
        "fields as data",
    ],
)
def test_values_are_cleaned_and_never_expanded_again(raw: str, sent: str) -> None:
    said, components = filled(template({"type": "BODY", "text": "[{{1}}]"}), {"1": "{{name}}"}, {"name": raw})
    assert said == f"[{sent}]"
    assert components[0]["parameters"] == [text(sent)]


@given(st.text())
def test_whatever_stands_in_a_cell_is_sent_as_whatsapp_takes_it_or_not_at_all(value: str) -> None:
    of = template({"type": "BODY", "text": "[{{1}}]"})
    rendered = whatsapp.compile_content(content(**{"1": "{{name}}"}), of)({"name": value})
    if rendered.problem is None:
        (parameter,) = rendered.content["components"][0]["parameters"]
        sent = parameter["text"]
        assert sent.strip()
        assert not any(sign in sent for sign in "\n\r\t")
        assert "     " not in sent
        SEND_SCHEMA.validate(json.loads(whatsapp.build_request(SETTINGS, [outgoing(rendered.content)]).body))


def outgoing(what: Mapping[str, Any]) -> Outgoing:
    return Outgoing(bytes(16), "1065", "+525511223344", what)


@pytest.mark.parametrize(
    ("values", "cells", "problem"),
    [
        ({"1": "{{name}}", "2": "x"}, {"name": " "}, "The template's field '1' is empty."),
        ({"1": "{{name}}", "2": "x"}, {}, "The template's field '1' is empty."),
        (
            {"1": "a", "2": "x", "header.image": "{{link}}"},
            {"link": "javascript:alert(1)"},
            "The template's field 'header.image' takes a link that begins with https://, not 'javascript:alert(1)'.",
        ),
        (
            {"1": "a", "2": "x", "header.image": "https://a.b/c", "button.0": "{{long}}"},
            {"long": "x" * 2001},
            "The value of the template's field 'button.0' has 2001 characters; 2000 are allowed.",
        ),
    ],
)
def test_a_value_that_whatsapp_would_refuse_is_the_persons_problem(
    values: dict[str, str], cells: dict[str, str], problem: str
) -> None:
    of = template({"type": "HEADER", "format": "IMAGE"}, BODY, LINK)
    whole = {"header.image": "https://a.b/c", "button.0": "x", **values}
    rendered = whatsapp.compile_content(Content(template="cita", language="es_MX", values=whole), of)(cells)
    assert rendered.problem == problem
    assert rendered.content == {}


UNFIT = [
    ("not listed", None, {}, "WhatsApp has no template 'cita' in 'es_MX'"),
    ("no value", template(BODY), {"1": "a"}, "needs a value for '2'"),
    ("no header value", template(HEADER, BODY), {"1": "a", "2": "b"}, "needs a value for 'header.1'"),
    ("no button value", template(BODY, LINK), {"1": "a", "2": "b"}, "needs a value for 'button.0'"),
    ("no such field", template(BODY), {"1": "a", "2": "b", "3": "c"}, "has no field '3'. Its fields are '1', '2'"),
    ("no fields at all", template({"type": "BODY", "text": "Hola"}), {"1": "a"}, "It takes no values"),
    ("no such button", template(BODY, LINK), {"1": "a", "2": "b", "button.0": "c", "button.1": "d"}, "has no field 'button.1'"),
    (
        "in several places",
        template(HEADER, {"type": "BODY", "text": "Hola"}, LINK),
        {"1": "a"},
        "has '1' in several places. Write 'header.1', 'button.0'",
    ),
    (
        "two values",
        template({"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hola"}),
        {"header.image": "https://a.b/c", "image": "https://a.b/d"},
        "gets two values for 'header.image'",
    ),
    (
        "no link",
        template({"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hola"}),
        {"header.image": "promo.png"},
        "takes a link that begins with https://",
    ),
    ("empty for all", template({"type": "BODY", "text": "{{1}}"}), {"1": " "}, "field '1' is empty"),
    ("a location", template({"type": "HEADER", "format": "LOCATION"}), {}, "a header of the kind LOCATION"),
    ("a carousel", template({"type": "CAROUSEL"}), {}, "a part CAROUSEL"),
    ("a flow", template({"type": "BUTTONS", "buttons": [{"type": "FLOW", "text": "x"}]}), {}, "a button of the kind FLOW"),
    ("garbage", template({"type": 7}), {}, "a form that Campana cannot read"),
]


@pytest.mark.parametrize(("of", "values", "words"), [case[1:] for case in UNFIT], ids=[case[0] for case in UNFIT])
def test_a_template_is_refused_until_every_placeholder_is_mapped(
    of: VendorTemplate | None, values: dict[str, str], words: str
) -> None:
    with pytest.raises(UnfitContent) as error:
        whatsapp.compile_content(Content(template="cita", language="es_MX", values=values), of)
    assert words in str(error.value)


@pytest.mark.parametrize("status", ["PENDING", "REJECTED", "PAUSED", "DISABLED", "FLAGGED", "", "approved"])
def test_only_approved_templates_are_sent(status: str) -> None:
    of = template({"type": "BODY", "text": "Hola"})
    whatsapp.compile_content(content(), of)
    with pytest.raises(UnfitContent, match="Only approved templates are sent"):
        whatsapp.compile_content(content(), replace(of, status=status))


def test_a_page_can_ask_what_a_template_takes_and_what_its_buttons_say() -> None:
    of = template(HEADER, BODY, LINK)
    told = whatsapp.CHANNEL.templates
    assert [(field.key, field.needed) for field in told.fields(of)] == [
        ("header.1", True),
        ("1", True),
        ("2", True),
        ("button.0", True),
    ]
    assert told.buttons(of) == ["Ver"]
    image = template(
        {"type": "HEADER", "format": "IMAGE"}, {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "OK"}]}
    )
    assert [(field.key, field.needed, field.link) for field in told.fields(image)] == [
        ("header.image", True, True),
        ("button.0", False, False),
    ]
    assert [(field.part, field.name) for field in (*told.fields(of), *told.fields(image))] == [
        ("header", "1"), ("text", "1"), ("text", "2"), ("link_end", "1"), ("media", "image"), ("reply", "1")
    ]  # fmt: skip
    with pytest.raises(UnfitContent, match="kind LOCATION"):
        told.fields(template({"type": "HEADER", "format": "LOCATION"}))


@pytest.mark.parametrize("page", ["templates-page1.response.json", "templates-page2.response.json"])
def test_every_field_of_the_samples_has_the_example_it_was_approved_with(page: str) -> None:
    listed = parse_listing(Response(200, {}, (SAMPLES / page).read_bytes()))
    assert listed is not None
    for one in listed[0]:
        needed = {field.key for field in template_fields(one) if field.needed and not field.link}
        assert needed <= template_examples(one).keys() or not any("example" in part for part in one.components), one.name


def test_the_example_of_a_link_is_what_completes_it() -> None:
    button = {"type": "URL", "text": "Ver", "url": "https://example.com/{{1}}", "example": ["https://example.com/promo"]}
    header = {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["https://example.com/a.png"]}}
    parts = [header, {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Sair"}, button]}]
    found = template_examples(VendorTemplate("hi", "en", "APPROVED", "UTILITY", components=parts))
    assert found == {"header.image": "https://example.com/a.png", "button.1": "promo"}


@pytest.mark.parametrize("example", [None, 1, "x", [1], {"body_text": "x"}, {"body_text": []}, {"body_text_named_params": [{}]}])
def test_an_example_that_cannot_be_read_is_none(example: object) -> None:
    body = {"type": "BODY", "text": "Hi {{1}}", "example": example}
    assert template_examples(VendorTemplate("hi", "en", "APPROVED", "UTILITY", components=[body])) == {}


def test_authentication_templates_are_closed_to_india() -> None:
    told = whatsapp.CHANNEL.templates
    assert told.closed_to(template(BODY)) == ()
    assert told.closed_to(replace(template(BODY), category="AUTHENTICATION")) == ("+91",)
