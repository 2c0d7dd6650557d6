"""People typed or pasted, one a line: a number or an e-mail address, with a name or without."""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 2000  # people at once; more are a file
ADDRESS = re.compile(r"<\s*([^<>\s]+@[^<>\s]+)\s*>")
BETWEEN = re.compile(r"[,;\t|]")
NUMBER = re.compile(r"\+?\(?\d[\d\s().\-/+]{4,}\d")


class Typed(NamedTuple):
    """A line as it is understood; nothing is checked yet."""

    name: str
    phone: str
    email: str


def read_lines(text: str) -> list[Typed]:
    """The people of a text; blank lines are nobody. What is no address is taken for a name."""
    return [read_line(line) for line in text.splitlines() if line.strip(" \t,;|")]


def read_line(line: str) -> Typed:
    """One person. Two numbers or two addresses stay together in one cell, so that the check can say so."""
    names: list[str] = []
    phones: list[str] = []
    emails: list[str] = []
    for part in BETWEEN.split(ADDRESS.sub(r", \1", line)):
        text = part.strip().strip("\"'").strip()
        if "@" in text:
            words = text.split()
            emails += [word for word in words if "@" in word]
            names += [" ".join(word for word in words if "@" not in word)]
        elif found := NUMBER.search(text):
            phones.append(found[0].strip())
            names.append((text[: found.start()] + text[found.end() :]).strip())
        elif any(sign.isdigit() for sign in text) and not any(sign.isalpha() for sign in text):
            phones.append(text)  # too few digits, as the check will say
        elif text:
            names.append(text)
    return Typed(" ".join(name for name in names if name), "; ".join(phones), "; ".join(emails))
