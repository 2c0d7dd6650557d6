"""Secrets struck out of what is kept or shown, however they are written there."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

STRUCK = "***"
SHORTEST = 8  # letters of base64 by which a secret is known: fewer are in anything
ESCAPED = re.compile("%[0-9A-F]{2}")


def strike(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets: as they are, in JSON, in an address or a form, and in base64."""
    for form in sorted({form for one in secrets if one for form in _forms(one)}, key=len, reverse=True):
        text = text.replace(form, STRUCK)
    return text


@lru_cache(256)
def _forms(secret: str) -> frozenset[str]:
    inside = json.dumps(secret)[1:-1]
    encoded = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    encoded |= {ESCAPED.sub(lambda found: found[0].lower(), one) for one in encoded}
    plain = {secret, inside, inside.replace("/", "\\/"), json.dumps(secret, ensure_ascii=False)[1:-1]}
    return frozenset(plain | encoded | {form for at in range(3) for form in _in_base64(secret.encode(), at)})


def _in_base64(secret: bytes, at: int) -> set[str]:
    """What of a longer text's base64 is the secret's alone, when it begins `at` bytes after a group of three: `user:secret` is
    how passwords travel."""
    letters = b64encode(bytes(at) + secret).decode()[-(-at * 8 // 6) : (at + len(secret)) * 8 // 6]
    return {letters, letters.translate({ord("+"): "-", ord("/"): "_"})} if len(letters) >= SHORTEST else set()
