"""Numbers and addresses as people write them."""

from __future__ import annotations

import csv
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campana.core.emails import EmailProblem, parse_email
from campana.core.phones import Phone, PhoneProblem, parse_phone

VECTORS = list(csv.DictReader((Path(__file__).parents[1] / "data/sms/e164_vectors.csv").open(encoding="utf-8")))
# Where we read otherwise than the library alone: a number that begins with a country code needs no + (contract 24); what has
# the form of E.164 and no numbering plan has is taken with a warning (contract 101); 8 digits are the least, 15 the most.
OURS = {
    ("12025550101", ""): ("+12025550101", None),
    ("+122233344555", ""): ("+122233344555", "not_in_plan"),
    ("512.555.0101 x12", "US"): ("+15125550101", "extension"),
    ("+1234567890123456", ""): (None, "too_long"),
    ("٠١٢٣", "EG"): (None, "too_short"),
    ("+0123456789", ""): (None, "malformed"),
    ("MTN", ""): (None, "letters"),
    ("", ""): (None, "missing"),
}


def read(raw: str, country: str | None = None) -> tuple[str | None, str | None]:
    found = parse_phone(raw, country)
    return (found.e164, found.code) if isinstance(found, Phone) else (None, found.code)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["input"] or "empty")
def test_vectors(vector: dict[str, str]) -> None:
    told = OURS.get((vector["input"], vector["default_region"]), (vector["e164_or_error"], None))
    assert read(vector["input"], vector["default_region"] or None) == told


@pytest.mark.parametrize(
    ("raw", "e164"),
    [
        ("525511223344", "+525511223344"),
        ("52 55 1122 3344", "+525511223344"),
        ("00525511223344", "+525511223344"),
        ("005511912345678", "+5511912345678"),
        ("16502530000", "+16502530000"),
        ("525511223344.0", "+525511223344"),  # a spreadsheet's whole number
    ],
)
def test_a_number_without_plus_is_taken_when_its_country_code_is_there(raw: str, e164: str) -> None:
    assert read(raw) == (e164, None)


@pytest.mark.parametrize(
    ("raw", "country", "e164", "code"),
    [
        ("5511223344", "MX", "+525511223344", None),
        ("525511223344", "MX", "+525511223344", None),
        ("(55) 1122-3344", "MX", "+525511223344", None),
        ("011525511223344", "US", "+525511223344", None),
        ("030/1234567", "DE", "+49301234567", None),
        ("020 7183 8750", "GB", "+442071838750", None),
        ("+442071838750", "MX", "+442071838750", None),
        ("442071838750", "MX", "+442071838750", "no_plus"),  # taken, and somebody should look
        ("11 15-2345-6789", "AR", "+5491123456789", None),
        ("whatsapp:+525511223344", None, "+525511223344", None),
        ("tel:+525511223344", None, "+525511223344", None),
        ("'+525511223344", None, "+525511223344", None),
        (" +52 (55) 1122–3344 ", None, "+525511223344", None),
        ("+52 55 1122 3344 ext. 12", None, "+525511223344", "extension"),
        ("+٥٢٥٥١١٢٢٣٣٤٤", None, "+525511223344", None),
    ],
)
def test_numbers_are_normalised(raw: str, country: str | None, e164: str, code: str | None) -> None:
    assert read(raw, country) == (e164, code)


def test_a_number_outside_every_numbering_plan_is_taken_with_a_warning() -> None:
    found = parse_phone("+122233344555")
    assert isinstance(found, Phone)
    assert found.e164 == "+122233344555"
    assert found.warning is not None
    assert "numbering plan" in found.warning


@pytest.mark.parametrize(
    ("raw", "country", "code", "word"),
    [
        ("1.25501E+11", None, "spreadsheet", "spreadsheet"),
        ("1,25501e+11", "MX", "spreadsheet", "spreadsheet"),
        ("5.25511E11", None, "spreadsheet", "spreadsheet"),
        ("+525511223344 / +525533445566", None, "two_values", "more than one"),
        ("+525511223344; +525533445566", None, "two_values", "more than one"),
        ("+525511223344\n+525533445566", None, "two_values", "more than one"),
        ("512 555 0101 or 512 555 0102", "US", "two_values", "more than one"),
        ("+52+5511223344", None, "two_values", "more than one"),
        ("+525511223344 (home)", None, "notes", "beside the number"),
        ("call +525511223344 after 5", None, "notes", "beside the number"),
        ("1-800-FLOWERS", "US", "letters", "letters"),
        ("n/a", None, "letters", "letters"),
        ("+525511223344, 5", None, "malformed", "not a phone number"),
        ("+", None, "malformed", "not a phone number"),
        ("=1+1", None, "malformed", "not a phone number"),
        ("²²²²²²²²²²", None, "malformed", "not a phone number"),
        ("12", None, "too_short", "too few"),
        ("+1234567", None, "too_short", "too few"),
        ("123456789012345678", None, "too_long", "15 digits"),
        ("5511223344", None, "no_country", "country code"),
        ("99 4567 890", "GB", "not_in_country", "GB"),
        ("9" * 500, None, "malformed", "too long"),
    ],
)
def test_each_wrong_number_has_its_own_sentence(raw: str, country: str | None, code: str, word: str) -> None:
    found = parse_phone(raw, country)
    assert isinstance(found, PhoneProblem)
    assert found.code == code
    assert word in found.words
    assert found.words.endswith(".")


CODES = st.sampled_from(["+1", "+52", "+55", "+54", "+44", "+49", "+39", "+7", "+599", "+"])


@given(CODES, st.text(alphabet="0123456789", min_size=4, max_size=13))
def test_the_fast_path_says_what_the_library_says(code: str, rest: str) -> None:
    """What we take without a warning is valid for the library, and the other way round."""
    found = parse_phone(code + rest)
    plain = isinstance(found, Phone) and found.warning is None
    try:
        valid = phonenumbers.is_valid_number(phonenumbers.parse(code + rest, None))
    except phonenumbers.NumberParseException:
        valid = False
    assert plain == valid


@given(st.sampled_from(["MX", "US", "BR", "GB", "AR", "DE"]), st.text(alphabet="0123456789", min_size=7, max_size=12))
def test_national_numbers_are_those_of_the_library(country: str, digits: str) -> None:
    try:
        parsed = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:  # it begins as a call abroad does, and goes nowhere
        return
    if phonenumbers.is_valid_number(parsed):
        e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        assert parse_phone(digits, country) == Phone(e164)


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        ("alex@example.com", "alex@example.com"),
        (" Alex.Doe+News@Example.COM ", "alex.doe+news@example.com"),
        ("mailto:a@x.com", "a@x.com"),
        ("o'neil@example.ie", "o'neil@example.ie"),
        ("ana@exámple.com", "ana@xn--exmple-qta.com"),
    ],
)
def test_addresses_are_lower_case_in_both_parts(raw: str, address: str) -> None:
    assert parse_email(raw) == address


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("a@x.com; b@x.com", "two_values"),
        ("a@x.com,b@x.com", "two_values"),
        ("a@b@x.com", "two_values"),
        ("Ana <a@x.com>", "notes"),
        ("a@x.com (work)", "notes"),
        ("a@x", "malformed"),
        ("a..b@x.com", "malformed"),
        (".a@x.com", "malformed"),
        ("a@-x.com", "malformed"),
        ("a@x..com", "malformed"),
        ("@x.com", "malformed"),
        ("josé@x.com", "malformed"),
        ("n/a", "malformed"),
        ("a" * 65 + "@x.com", "too_long"),
        ("a@" + "x" * 60 + ".com" * 60, "too_long"),
        ("a@\r\nx.com", "notes"),
        (" ", "missing"),
    ],
)
def test_each_wrong_address_has_its_own_sentence(raw: str, code: str) -> None:
    found = parse_email(raw)
    assert isinstance(found, EmailProblem)
    assert found.code == code
    assert found.words.endswith(".")
