"""What is wrong with a file or a form, in words for whoever wrote it."""

from __future__ import annotations

from pydantic import ValidationError

# The library's kind of flaw -> our words; the others keep the library's.
WORDS = {
    "extra_forbidden": "is not known here; check its spelling",
    "missing": "is missing",
    "string_type": "must be text",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "dict_type": "must hold names and values",
    "list_type": "must be a list",
    "model_type": "must hold names and values",
}


def flaws(error: ValidationError, top: str = "") -> list[str]:
    """One line for each flaw: where it is, and what it is. `top` names the whole."""
    found = []
    for one in error.errors():
        place = ".".join(str(part) for part in (top, *one["loc"]) if str(part))
        words = WORDS.get(one["type"]) or one["msg"].removeprefix("Value error, ")
        found.append(f"{place} {words}" if one["type"] in WORDS else f"{place}: {words}" if place else words)
    return found
