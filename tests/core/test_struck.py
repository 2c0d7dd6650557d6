"""However a secret is written in what a vendor was told or answered, it is not kept."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, urlencode

import pytest

from campana.core.struck import STRUCK, strike

SECRET = 'p/ä+ss>?"w"=of=ana/0123456789'


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps({"token": SECRET}),
        json.dumps({"token": SECRET}, ensure_ascii=False),
        json.dumps({"token": SECRET}).replace("/", "\\/"),
        f"https://vendor.example/{quote(SECRET)}/send",
        f"https://vendor.example/?token={quote(SECRET, safe='')}",
        re.sub("%..", lambda one: one[0].lower(), quote(SECRET, safe="")),
        urlencode({"Token": SECRET, "To": "+1"}),
        b64encode(SECRET.encode()).decode(),
        *(b64encode(f"{user}:{SECRET}".encode()).decode() for user in ("a", "ab", "abc")),
        *(urlsafe_b64encode(f"{user}:{SECRET}:x".encode()).decode() for user in ("a", "ab", "abc")),
    ],
)
def test_a_secret_is_struck_however_it_is_written(written: str) -> None:
    found = strike(f"before {written} after", ["other", SECRET])
    assert found.startswith("before ")
    assert found.endswith(" after")
    assert len(found) <= len(f"before {STRUCK} after") + len(written) - len(SECRET), found


def test_what_holds_no_secret_stays_as_it_is() -> None:
    assert strike("To=%2B1212 Body=hi", ["", "secret"]) == "To=%2B1212 Body=hi"
    assert strike("abc", []) == "abc"
    assert strike("a longsecret and longsecretmore", ["longsecret", "longsecretmore"]) == f"a {STRUCK} and {STRUCK}"
