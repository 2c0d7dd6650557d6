"""What a request must look like to be sent at all."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from campana.core.exchange import Request

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def unfit(request: Request) -> str | None:
    """Why this request may not be sent at all, in a sentence; None when it may."""
    return _unfit_target(request.method, request.url) or _unfit_headers(request.headers)


@lru_cache(512)
def _unfit_target(method: str, url: str) -> str | None:
    if method not in METHODS:
        return f"the method {method!r} is not one of {', '.join(sorted(METHODS))}"
    if not URL.fullmatch(url):
        return f"{host_of(url)} is not part of an http or https address"
    return None


@lru_cache(512)
def _unfit_headers(headers: tuple[tuple[str, str], ...]) -> str | None:
    for name, value in headers:
        if not HEADER_NAME.fullmatch(name):
            return f"{name!r} is not the name of a header"
        if not HEADER_VALUE.fullmatch(value):
            return f"the value of the header {name} has a line break or another sign that no header may have"
    return None


def host_of(url: str) -> str:
    """Whom a URL talks to, without what may be secret in it."""
    try:
        return urlsplit(url).hostname or "the given address"
    except ValueError:
        return "the given address"
