"""The Retry-After header: seconds, or an HTTP date that is read against the answer's own Date."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

MOST = 86_400  # a day; whoever asks for more is asked again


def retry_after(headers: Mapping[str, str]) -> int | None:
    """How long the vendor asks us to wait, in microseconds; None when it does not say, or says it badly."""
    said = headers.get("retry-after", "").strip()
    if said.isdigit():
        return min(int(said), MOST) * 1_000_000
    try:
        until, now = parsedate_to_datetime(said), parsedate_to_datetime(headers.get("date", ""))
        return max(0, min(int((until - now).total_seconds()), MOST)) * 1_000_000
    except (TypeError, ValueError):
        return None
