"""One person's number in its many spellings: as people write it, and as WhatsApp calls it."""

from __future__ import annotations

import re

MEXICO_OLD = re.compile(r"521(\d{10})")
ARGENTINA_MOBILE = re.compile(r"549(\d{10})")
BRAZIL_SHORT = re.compile(r"55(\d\d)([6-9]\d{7})")
BRAZIL_LONG = re.compile(r"55(\d\d)9(\d{8})")
MEXICO = re.compile(r"52(\d{10})")
ARGENTINA = re.compile(r"54(\d{10})")


def person_of(number: str) -> str:
    """The one `+digits` that all spellings of a person's number share."""
    digits = number.removeprefix("+")
    if not digits.startswith("5"):
        return "+" + digits  # most of the world spells it in one way only
    if found := MEXICO_OLD.fullmatch(digits):
        return "+52" + found[1]
    if found := ARGENTINA_MOBILE.fullmatch(digits):
        return "+54" + found[1]
    if found := BRAZIL_SHORT.fullmatch(digits):
        return f"+55{found[1]}9{found[2]}"
    return "+" + digits


def wa_id_of(number: str) -> str:
    """How WhatsApp calls the person: with an extra digit in Mexico and Argentina, without the ninth in Brazil."""
    digits = person_of(number)[1:]
    if found := MEXICO.fullmatch(digits):
        return "521" + found[1]
    if found := ARGENTINA.fullmatch(digits):
        return "549" + found[1]
    if found := BRAZIL_LONG.fullmatch(digits):
        return "55" + found[1] + found[2]
    return digits
