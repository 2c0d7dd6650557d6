"""E-mail addresses as people write them: one address, lower case, in the syntax browsers accept (WHATWG), no look-up."""

from __future__ import annotations

import re
from typing import NamedTuple

LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ADDRESS = re.compile(rf"[a-z0-9!#$%&'*+/=?^_`{{|}}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@(?:{LABEL}\.)+{LABEL}")
BETWEEN = re.compile(r"[;,|\s]+")
LONGEST, LONGEST_LOCAL = 254, 64


class EmailProblem(NamedTuple):
    """Why a cell is no address, as a code and as a sentence."""

    code: str
    words: str


def parse_email(raw: str) -> str | EmailProblem:
    """The address in a cell, in lower case."""
    text = raw.strip().lower()
    if ADDRESS.fullmatch(text) and len(text) <= LONGEST and text.index("@") <= LONGEST_LOCAL:
        return text
    return _explained(text.removeprefix("mailto:"), raw.strip())


def _explained(text: str, raw: str) -> str | EmailProblem:
    """Second reading of what the pattern refuses: a domain with accents is an address, all else gets its sentence."""
    if not text:
        return EmailProblem("missing", "The cell is empty.")
    if text.count("@") > 1:
        return EmailProblem("two_values", f"'{raw[:80]}' holds more than one address. Keep one in each cell.")
    if "@" not in text:
        return EmailProblem("malformed", f"'{raw[:80]}' is not an e-mail address: it has no @.")
    if len(BETWEEN.split(text)) > 1 or "<" in text:
        return EmailProblem("notes", f"'{raw[:80]}' holds words beside the address. Keep the address alone.")
    local, _, domain = text.partition("@")
    if not domain.isascii():
        domain = _ascii_domain(domain)
    address = f"{local}@{domain}"
    if not local.isascii():
        return EmailProblem("malformed", f"'{raw[:80]}' has letters before the @ that mail servers refuse. Use a to z.")
    if len(address) > LONGEST or len(local) > LONGEST_LOCAL:
        return EmailProblem("too_long", f"'{raw[:40]}...' is longer than an e-mail address can be.")
    if ADDRESS.fullmatch(address):
        return address
    return EmailProblem("malformed", f"'{raw[:80]}' is not an e-mail address. Write it as name@example.com.")


def _ascii_domain(domain: str) -> str:
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain
