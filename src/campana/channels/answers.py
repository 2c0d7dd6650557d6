"""What the channels have in common in reading a vendor's answer: Retry-After, bodies that may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from campana.core.durations import DAY, SECOND
from campana.core.exchange import Response
from campana.core.failure import Class, Failure, Retry, Table
from campana.core.ids import Id, id_of
from campana.core.message import Lost

T = TypeVar("T")

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)  # all that a body from outside can make a decoder raise
NOT_PROCESSED = frozenset({425, 429})
THROTTLES = frozenset({"4", "80007", "130429", "20429", "21611"})  # rates of an account or a number, whatever the HTTP code
OUR_ACCOUNT = frozenset({401, 402, 403, 404, 405, 407})
LONGEST_WAIT = DAY


@dataclass(frozen=True, slots=True)
class Said:
    """What the vendor says of a refusal, in its own code and words."""

    code: str
    words: str
    transient: bool = False


def read(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    """What the body says, or None when it is not of that shape."""
    try:
        return decoder.decode(body)
    except UNREADABLE:
        return None


def code_of(value: object) -> str:
    """A vendor's error code as the tables write it; empty when it is none."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return str(value) if 0 <= value < 10**9 else ""
    return value if isinstance(value, str) and len(value) < 10 and value.isascii() and value.isdigit() else ""


def reference(text: object) -> Id | None:
    """Our own id as a vendor echoes it."""
    found = id_of(text) if isinstance(text, str) else None
    return found if found is not None and len(found) == 16 else None


def refusal(response: Response, table: Table, said: Said | None) -> Failure | Lost:
    """What an answer that is no acceptance means for the attempt.

    Codes that the table does not know: 425 and 429 were not processed; another 5xx may have been; 401 to 407 and what names
    no code at all is our own trouble; the rest (a 400, mostly) refuses this person only, so the fallback takes its turn.
    """
    failure = (table.get(said.code) if said else None) or _unlisted(response.code, said)
    if failure is None:
        return Lost(f"the vendor answered HTTP {response.code}, which does not say whether it took the message")
    if said and said.transient and failure.cls is not Class.OPTOUT:
        retry = Retry.YES if failure.retry is Retry.NO else failure.retry
        failure = replace(failure, cls=Class.TRANSIENT, retry=retry)
    if response.code in NOT_PROCESSED and failure.unanswered:
        failure = replace(failure, retry=Retry.YES)
    throttled = response.code in NOT_PROCESSED or failure.code in THROTTLES
    return replace(failure, retry_after=retry_after(response.headers), throttled=throttled and failure.retry is Retry.YES)


def _unlisted(status: int, said: Said | None) -> Failure | None:
    code = said.code if said else f"http-{status}"
    words = said.words if said and said.words else f"The vendor answered HTTP {status}"
    if status in NOT_PROCESSED:
        return Failure(code, words, Class.TRANSIENT, fallback=True, retry=Retry.YES)
    if status >= 500 or status == 408:
        return None
    if status in OUR_ACCOUNT or said is None:
        return Failure(code, words, Class.CONFIG, fallback=False)
    return Failure(code, words, Class.PERMANENT, fallback=True)


def told_failure(table: Table, code: str, words: str) -> Failure:
    """The failure a receipt tells. It is an answer: what the table would look up after a lost one may simply be tried again."""
    known = table.get(code) if code else None
    if known is None:
        return Failure(code, words, Class.PERMANENT, fallback=True)
    return replace(known, retry=Retry.YES) if known.unanswered else known


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Microseconds the vendor asks us to wait: seconds, or a date that is compared with the answer's own."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(int(asked[:9]) * SECOND, LONGEST_WAIT)
    until, since = _date(asked), _date(headers.get("date", ""))
    if until is None or since is None:
        return None
    return min(max(0, until - since), LONGEST_WAIT)


def _date(text: str) -> int | None:
    """A date of HTTP or of a mail, as UTC microseconds."""
    try:
        moment = parsedate_to_datetime(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * SECOND
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def mail_date(text: object) -> int | None:
    """A vendor's RFC 2822 date as UTC microseconds."""
    return _date(text) if isinstance(text, str) and text else None


def short(text: str, most: int = 300) -> str:
    """A vendor's words on one line, of a length fit to be kept."""
    return " ".join(text[: most * 2].split())[:most]
