"""Fields in texts: both forms, every spelling, never expanded twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campana.core.template import compile_text, duplicate_columns, suspicious, unknown_fields

ANA = {"NOMBRE": "Ana", "Monto": "1350", "Full Name": "Ana Pérez", "año": "2026"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hola {{NOMBRE}}", "Hola Ana"),
        ("Hello ${Full Name},", "Hello Ana Pérez,"),
        ("{{ nombre }} {{nombre}} ${ NOMBRE }", "Ana Ana Ana"),
        ("{{ full name }}", "Ana Pérez"),
        ("{{an\u0303o}} {{AÑO}}", "2026 2026"),  # composed or not, any case
        ("cuesta ${{monto}}", "cuesta $1350"),
        ("no fields", "no fields"),
        ("", ""),
        ("{{nombre", "{{nombre"),
        ("${nombre", "${nombre"),
        ("{nombre} }} {{}} ${}", "{nombre} }} {{}} ${}"),
        ("{{{nombre}}}", "{Ana}"),
        ("{{nobody}}|", "|"),
    ],
)
def test_both_forms_of_a_field_take_the_column_in_any_case(text: str, said: str) -> None:
    assert compile_text(text).render(ANA) == said


@pytest.mark.parametrize("value", ["{{NOMBRE}}", "${NOMBRE}", "{{Monto}} ${Monto}", "{{", "}}", "$", r"\1 \g<0>"])
def test_a_value_with_a_field_in_it_is_not_expanded_again(value: str) -> None:
    people = {"NOMBRE": value, "Monto": "SECRET"}
    assert compile_text("Hello {{nombre}}, ${NOMBRE}.").render(people) == f"Hello {value}, {value}."


WORDS = st.text(alphabet="{}$ ab", max_size=12)


@given(WORDS, WORDS, WORDS, WORDS)
def test_whatever_stands_in_a_value_arrives_as_it_is(a: str, b: str, left: str, right: str) -> None:
    values = {"one": a, "two": b}
    text = compile_text("<{{one}}{{two}}${one}>")
    assert text.render(values) == f"<{a}{b}{a}>"
    plain = compile_text(left + "\n" + right)
    if not plain.fields:
        assert plain.render(values) == left + "\n" + right


def test_a_column_may_be_spelled_otherwise_in_the_next_audience() -> None:
    text = compile_text("{{name}}")
    assert [text.render(row) for row in ({"NAME": "a"}, {"name": "b"}, {" Name ": "c"}, {"NAME": "d"})] == ["a", "b", "c", "d"]


def test_an_empty_value_is_empty_text_and_is_told() -> None:
    text = compile_text("Hello ${FullName}, {{plan}} {{gone}} {{Name}}!")
    person = {"fullname": None, "PLAN": "  ", "name": "Ana"}
    assert text.render(person) == "Hello ,     Ana!"
    assert text.empty_fields(person) == ("FullName", "plan", "gone")
    assert text.empty_fields({"fullname": "x", "plan": "y", "gone": "z", "name": "Ana"}) == ()


def test_a_field_without_a_column_is_unknown() -> None:
    text = compile_text("{{Name}} {{apointment}} ${NAME} ${city}")
    assert text.fields == ("NAME", "apointment", "city")
    assert unknown_fields(text, ["name", "appointment", " City "]) == ["apointment"]


def test_columns_a_field_could_not_tell_apart_are_told() -> None:
    assert duplicate_columns(["name", "phone", "Name ", "PHONE", "city"]) == ["Name ", "PHONE"]


@pytest.mark.parametrize(
    ("text", "hints"),
    [
        ("Hello {{name}}, it costs $5 {today}", ["{today}"]),
        ("Hello {{name}", ["{{name"]),
        ("Hello {{name", ["{{name"]),
        ("Hello ${name", ["${name"]),
        ("Hello {name}", ["{name}"]),
        ("Hello name}}", ["name}}"]),
        ("Hello {{ }} and ${}", ["{{ }}", "${}"]),
        ("Hello {{name}} ${Name} ${{name}} :-} { } $", []),
        ('{"a": 1}', []),
    ],
)
def test_braces_that_are_no_field_are_told(text: str, hints: list[str]) -> None:
    told = suspicious(text)
    assert len(told) == len(hints)
    assert all(hint in one.found for hint, one in zip(hints, told, strict=True))
