"""Phone numbers as people write them, read as E.164. Fast path: the numbering plan's own patterns, one regex a calling code;
what they refuse goes to the library, which knows trunk prefixes and gives the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import phonenumbers
from phonenumbers.data import _COUNTRY_CODE_TO_REGION_CODE as REGIONS
from phonenumbers.phonemetadata import PhoneMetadata

DROPPED = str.maketrans("", "", " -().\u00a0\u2011\u2013")
E164 = re.compile(r"\+[1-9][0-9]{7,14}")
DAMAGED = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
FLOAT = re.compile(r"(\+?\d{7,15})\.0+")
EXTENSION = re.compile(r"[\s,;]*(?:ext(?:ension)?\.?|x|#)\s*:?\s*(\d{1,7})\s*#?$", re.IGNORECASE)
CHANNEL = re.compile(r"(?:whatsapp:|tel:|sms:)\s*", re.IGNORECASE)
BETWEEN = re.compile(r"\s*(?:[;/,|&\r\n]|\b(?:or|and|y|o|e|ou)\b)\s*", re.IGNORECASE)
PUNCTUATION = "+＋-‐‑–—.()[]/ \u00a0"
LONGEST = 80
SHORT = 11  # characters of +1234567890: as long as a national number may be
TYPES = (
    "mobile",
    "fixed_line",
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


class Phone(NamedTuple):
    """A number that can be written to. `code` and `warning` tell what a person should look at."""

    e164: str
    warning: str | None = None
    code: str | None = None


class PhoneProblem(NamedTuple):
    """Why a cell is no number, as a code and as a sentence."""

    code: str
    words: str


def parse_phone(raw: str, country: str | None = None) -> Phone | PhoneProblem:
    """The number in a cell; `country` (as MX) is where numbers without a country code belong."""
    digits = raw if E164.fullmatch(raw) else raw.translate(DROPPED)
    if digits[:1] == "+":
        if E164.fullmatch(digits) and in_plan(digits):
            return Phone(digits)
    elif country and digits.isascii() and digits.isdecimal() and (valid := _national(digits, country)):
        return Phone(valid)
    return _read(raw, country)


def in_plan(e164: str) -> bool:
    """Whether a numbering plan knows the number."""
    for end in (2, 3, 4):
        if (code := e164[1:end]) in CODES:
            return _plan(code)(e164[end:]) is not None
    return False


CODES = frozenset(str(code) for code in REGIONS)


@cache
def _plan(code: str) -> Callable[[str], Any]:
    """Full match of the national part of a calling code: a region's general form and one of its types."""
    forms = []
    for region in REGIONS[int(code)]:
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(int(code), region)
        if metadata is None or metadata.general_desc is None:
            continue
        kinds = [getattr(metadata, kind) for kind in TYPES]
        patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern not in (None, "NA")]
        lead = f"(?={metadata.leading_digits})" if metadata.leading_digits else ""
        either = "|".join(f"(?:{pattern})" for pattern in patterns)
        forms.append(f"(?:{lead}(?=(?:{metadata.general_desc.national_number_pattern})$)(?:{either}))")
    return re.compile("|".join(forms)).fullmatch


@cache
def _region(country: str) -> tuple[str, Callable[[str], Any] | None] | None:
    """Calling code of a country, and what its national trunk prefix looks like."""
    metadata = PhoneMetadata.metadata_for_region(country, None)
    if metadata is None:
        return None
    trunk = metadata.national_prefix_for_parsing
    return str(metadata.country_code), re.compile(trunk).match if trunk else None


def is_country(country: str) -> bool:
    """Whether numbers of a country with these two letters are known."""
    return _region(country) is not None


def _national(digits: str, country: str) -> str | None:
    """A number written without its country code, where neither trunk prefix nor country code can be meant."""
    region = _region(country)
    if region is None or digits.startswith(region[0]) or (region[1] and region[1](digits)):
        return None
    return f"+{region[0]}{digits}" if _plan(region[0])(digits) else None


def _read(raw: str, country: str | None) -> Phone | PhoneProblem:
    text = raw.strip().removeprefix("'").strip()
    text = text[channel.end() :] if (channel := CHANNEL.match(text)) else text
    if not text:
        return PhoneProblem("missing", "The cell is empty.")
    if len(text) > LONGEST:
        return PhoneProblem("malformed", "The cell is far too long for a phone number. Keep one number in it, nothing else.")
    if damaged := DAMAGED.fullmatch(text):
        return PhoneProblem(
            "spreadsheet",
            f"'{damaged[0]}' is what a spreadsheet made of a long number; the digits are lost. "
            "Format the column as text and enter the number again.",
        )
    if plain := FLOAT.fullmatch(text):
        text = plain[1]
    if sum(len(re.findall(r"\d", part)) >= 7 for part in BETWEEN.split(text)) > 1 or text.count("+") > 1:
        return PhoneProblem("two_values", f"'{text}' holds more than one number. Keep one in each cell.")
    return _one(text, country)


def _one(text: str, country: str | None) -> Phone | PhoneProblem:
    """A cell that holds one number at most."""
    extension = EXTENSION.search(text)
    number = text[: extension.start()] if extension else text
    if any(sign.isalpha() for sign in number):
        return _words(text, number)
    found = _understood(number, country)
    if isinstance(found, Phone) and extension and found.warning is None:
        return Phone(found.e164, f"The extension {extension[1]} is left away: messages go to {found.e164}.", "extension")
    return found


def _words(text: str, number: str) -> PhoneProblem:
    if len(re.findall(r"\d", number)) >= 7:
        return PhoneProblem("notes", f"'{text}' holds words beside the number. Keep the number alone.")
    return PhoneProblem("letters", f"'{text}' is not a phone number: it has letters. Write digits, as +525511223344.")


def _understood(number: str, country: str | None) -> Phone | PhoneProblem:
    """What the library makes of it, read in the country and else as international."""
    bare = number.strip()
    if any(not sign.isdecimal() and sign not in PUNCTUATION for sign in bare) or "+" in bare.lstrip("([")[1:]:
        return _malformed(bare)
    for attempt, region in _readings(bare, country):
        try:
            parsed = phonenumbers.parse(attempt, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
            return _guessed(e164, bare) if region is None and (country or len(e164) <= SHORT) else Phone(e164)
    return _outside_plan(bare, country)


def _readings(bare: str, country: str | None) -> list[tuple[str, str | None]]:
    if _has_plus(bare):
        return [(bare, None)]
    international = (f"+{bare[2:]}" if bare.startswith("00") else f"+{bare}", None)
    return [(bare, country), international] if country else [international]


def _has_plus(bare: str) -> bool:
    return bare.lstrip("([").startswith(("+", "＋"))


def _guessed(e164: str, bare: str) -> Phone:
    """A number whose country code was only inferred may be a national number of elsewhere: people should look."""
    if _has_plus(bare) or bare.startswith("00"):
        return Phone(e164)
    return Phone(e164, f"'{bare}' has no + and is read as {e164}. Write the + when that is right.", "no_plus")


def _malformed(bare: str) -> PhoneProblem:
    return PhoneProblem("malformed", f"'{bare}' is not a phone number. Write it as +525511223344.")


def _outside_plan(bare: str, country: str | None) -> Phone | PhoneProblem:
    """Refuses what has not the form of E.164; what has it is taken, with a warning (contract 101)."""
    digits = "".join(str(int(sign)) for sign in bare if sign.isdecimal())
    international = _has_plus(bare) or digits.startswith("00")
    digits = digits if _has_plus(bare) else digits.removeprefix("00")
    if not digits:
        return _malformed(bare)
    if international and E164.fullmatch(f"+{digits}"):
        return Phone(
            f"+{digits}", f"+{digits} is in no numbering plan: it may have a digit too many, too few or wrong.", "not_in_plan"
        )
    if international and digits.startswith("0"):
        return PhoneProblem("malformed", f"'{bare}' has a 0 where the country code begins. Write it as +525511223344.")
    if len(digits) < 8:
        return PhoneProblem("too_short", f"'{bare}' has too few digits for a phone number.")
    if len(digits) > 15:
        return PhoneProblem("too_long", f"'{bare}' has more than the 15 digits a phone number can have.")
    if country:
        return PhoneProblem("not_in_country", f"'{bare}' is no number of {country}. Write it with + and the country code.")
    return PhoneProblem(
        "no_country", f"'{bare}' does not begin with a country code. Write it with one and +, or give the audience a country."
    )
