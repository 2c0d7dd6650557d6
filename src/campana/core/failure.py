"""Why a message was not taken or did not arrive, and what follows from it: a table row's words become one verdict."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

MAX_TRIES = 6
SECOND = 1_000_000


class Class(StrEnum):
    """Whose trouble a failure is (the `class` column of the error tables)."""

    PERMANENT = "permanent"  # this person cannot be reached on this channel
    TRANSIENT = "transient"  # trying again may help
    CONFIG = "config"  # our account, sender or template is wrong
    OPTOUT = "optout"  # the person wants nothing more
    UNKNOWN = "unknown"  # the outcome is not known: ask before anything else


class Retry(StrEnum):
    """Whether the same channel may be tried again (the `retry_same_channel` column)."""

    NO = "no"
    YES = "yes"
    ONCE = "once"
    LATER = "later"
    NEXT_DAY = "next day"
    RECONCILE = "reconcile"


@dataclass(frozen=True, slots=True)
class Failure:
    """One refusal or failed receipt. `code` is the vendor's own; `words` is a sentence for people."""

    code: str
    words: str
    cls: Class
    fallback: bool
    retry: Retry = Retry.NO
    retry_after: int | None = None  # microseconds, as the vendor asked
    bad_address: bool = False  # status Error: the address itself is not usable
    of_step: bool = False  # our trouble is with this step's content or template, not with the sender
    throttled: bool = False  # the sender goes too fast: it was not processed, and is nobody's failure

    @property
    def unanswered(self) -> bool:
        """True when this answer says nothing about acceptance, so the attempt is uncertain."""
        return self.retry is Retry.RECONCILE or self.cls is Class.UNKNOWN


class Table:
    """A vendor's error table: code (or `low-high` range of codes) -> Failure."""

    def __init__(self, rows: Iterable[Failure], ranges: Iterable[tuple[int, int, Failure]] = ()) -> None:
        self.rows = {row.code: row for row in rows}
        self.ranges = tuple(ranges)
        self.codes = (*self.rows, *(row.code for _, _, row in self.ranges))

    @classmethod
    def read(cls, text: str, bad_address: frozenset[str] = frozenset()) -> Table:
        """Reads a table as CSV with the columns code, meaning, class, fire_fallback, retry_same_channel."""
        rows: list[Failure] = []
        ranges: list[tuple[int, int, Failure]] = []
        for line in csv.DictReader(text.splitlines()):
            row = Failure(
                line["code"],
                line["meaning"],
                Class(line["class"]),
                line["fire_fallback"] == "yes",
                _retry(line["retry_same_channel"]),
                bad_address=line["code"] in bad_address,
                of_step=line.get("area") in {"template", "request", "media"},
            )
            low, dash, high = line["code"].partition("-")
            if dash and low.isdigit():
                ranges.append((int(low), int(high), row))
            else:
                rows.append(row)
        return cls(rows, ranges)

    def row(self, code: str) -> Failure | None:
        """The row that code stands in, under its own code or `low-high`; a range is found by its own name too."""
        if row := self.rows.get(code):
            return row
        number = int(code) if code.isascii() and code.isdigit() and len(code) < 10 else -1
        return next((row for low, high, row in self.ranges if low <= number <= high or row.code == code), None)

    def get(self, code: str) -> Failure | None:
        """The failure of that code, or None when the table does not know it."""
        row = self.row(code)
        return row if row is None or row.code == code else replace(row, code=code)


def _retry(words: str) -> Retry:
    """Their column says some things in sentences: 'not before 24 h' forbids it here, the person is held by other means."""
    return Retry.NO if words.startswith("not before") else Retry(words)


class Verdict(StrEnum):
    """What becomes of the step after one failed attempt."""

    RETRY = "retry"  # the same step again, at a later time
    NEXT = "next"  # not delivered: the next fallback takes its turn
    END = "end"  # not delivered, and no fallback may follow
    HOLD = "hold"  # our own trouble: the sender pauses, the step waits, nobody is burnt
    OPTED_OUT = "opted_out"
    ASK = "ask"  # uncertain: the vendor is asked first


@dataclass(frozen=True, slots=True)
class Follows:
    """What the journey does with a failure: at once, and when the attempts that its row allows are used up."""

    first: Verdict
    last: Verdict
    retry: Retry
    of_step: bool  # with HOLD: the step is closed for everybody, else the sender pauses


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a step waits before it tries again, in microseconds (already divided by the time scale)."""

    first: int = SECOND
    cap: int = 300 * SECOND
    later: int = 3600 * SECOND
    next_day: int = 86_400 * SECOND


def verdict(failure: Failure, tries: int) -> Verdict:
    """What follows from a failure at its `tries`-th attempt (1 is the first). The row beats the class."""
    if failure.unanswered:
        return Verdict.ASK
    if failure.cls is Class.OPTOUT:
        return Verdict.OPTED_OUT
    if may_try_again(failure.retry, tries):
        return Verdict.RETRY
    if failure.cls is Class.CONFIG and not failure.fallback:
        return Verdict.HOLD
    if failure.cls is Class.TRANSIENT or failure.fallback:
        return Verdict.NEXT  # a transient failure used up counts as not delivered
    return Verdict.END


def follows(failure: Failure) -> Follows:
    """All that follows from a failure, so that people can be told."""
    return Follows(verdict(failure, 1), verdict(failure, MAX_TRIES), failure.retry, failure.of_step)


def may_try_again(retry: Retry, tries: int) -> bool:
    """Whether the row still allows another attempt after `tries` of them."""
    allowed = {Retry.YES: MAX_TRIES, Retry.ONCE: 2, Retry.LATER: 2, Retry.NEXT_DAY: 3}
    return tries < allowed.get(retry, 1)


def backoff(failure_retry: Retry, tries: int, waits: Waits, jitter: float, asked: int | None = None) -> int:
    """Microseconds until the next attempt: doubling with full jitter (`jitter` in 0..1), never less than the vendor asked."""
    if failure_retry is Retry.LATER:
        wait = waits.later
    elif failure_retry is Retry.NEXT_DAY:
        wait = waits.next_day
    else:
        wait = int(min(waits.cap, waits.first * 2 ** (tries - 1)) * jitter)
    return max(wait, asked or 0)
