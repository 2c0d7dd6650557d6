"""A report in words: its days, its parts and its figures as a table of texts, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from babel.dates import format_date
from babel.numbers import format_percent
from jinja2 import Environment

from campana.engine.report import guard
from campana.store.reporting import Report, Sums
from campana.web.console import i18n
from campana.web.console.csv_files import lines

Row = Sequence[Any]


def day_words(language: str) -> Callable[[date], str]:
    """How a day is written."""
    return lambda day: format_date(day, "d MMM y", locale=language)


@lru_cache(64)
def plain(templates: Environment) -> Environment:
    """The same templates for what is no HTML, made once."""
    return i18n.plain(templates)


def csv_pieces(templates: Environment, report: Report, language: str) -> Iterator[bytes]:
    """The report as CSV, part by part. What a spreadsheet could take for a formula is none."""
    say: Any = plain(templates).get_template("_report_words.html").module
    first = True
    for part in _parts(say, report, language):
        rows = [[guard(str(cell).strip()) for cell in row] for row in part]
        yield lines([*rows, []], first)
        first = False


def _parts(say: Any, report: Report, language: str) -> Iterator[list[Row]]:
    def share(n: int, whole: int) -> str:
        return format_percent(n / whole, "0.0%", locale=language) if whole else ""

    total, before, period = report.total, report.before, report.period
    yield [
        [say.words("first"), say.words("last")],
        [period.first, period.last],
    ]
    yield [
        [say.words("people"), say.words("now"), say.words("share"), say.words("before"), say.words("share_before")],
        [say.words("audience"), total.people, "", before.people, ""],
        *_reached(say, total, before, share),
        *(
            [say.outcome(name), n, share(n, total.people), before.outcomes[name], share(before.outcomes[name], before.people)]
            for name, n in total.outcomes.items()
        ),
    ]
    yield [
        [say.words(name) for name in ("channel", "sent", "delivered", "read", "failed", "skipped")],
        *([say.channel(c.channel), c.sent, c.delivered, c.read, c.failed, c.skipped] for c in report.channels),
    ]
    yield [
        [say.words(name) for name in ("campaign", "runs", "people", "sent", "delivered", "read", "replied", "failed")],
        *([c.name, c.runs, c.people, c.sent, c.delivered, c.read, c.replied, c.failed] for c in report.campaigns),
    ]
    yield [
        [say.words(name) for name in ("code", "channel", "reason", "messages")],
        *([one.code, say.channel(one.channel), say.reason(one.channel, one.code), one.count] for one in report.failures),
    ]
    yield [[say.words("day"), say.words("messages")], *([day, n] for day, n in report.days)]


def _reached(say: Any, total: Sums, before: Sums, share: Callable[[int, int], str]) -> Iterator[Row]:
    for name, of in (("sent", "people"), ("delivered", "sent"), ("read", "delivered")):
        now, then = getattr(total, name), getattr(before, name)
        yield [say.words(name), now, share(now, getattr(total, of)), then, share(then, getattr(before, of))]
