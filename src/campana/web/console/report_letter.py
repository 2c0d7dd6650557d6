"""A report as a letter: formatted and as plain text, with the figures as CSV, in the language and the zone it is sent in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment
from sqlalchemy import Connection

from campana.channels.advice import NONE, Advice
from campana.core.periods import local_day, over_before
from campana.mail import Letter
from campana.store import campaigns, reporting, workspaces
from campana.store.report_mails import ReportMail
from campana.store.reporting import Report
from campana.web.console import i18n
from campana.web.console.page import Face
from campana.web.console.report_words import csv_pieces, day_words, plain
from campana.web.console.reports import Wanted, compared, ordered, query_of

SHOWN = 20  # campaigns and codes in the letter; all of them are in the file


class Letters:
    """Writes them: the page of the same figures is linked, where people reach the console from outside."""

    def __init__(self, read: Callable[..., Awaitable[Any]], channels: Mapping[str, Face], public_url: Callable[[], str]) -> None:
        self.read, self.public_url = read, public_url

        def advice(kind: str, code: str, language: str) -> Advice:
            face = channels.get(kind)
            return (face.errors if face else NONE).advice(code, language)

        names = {"asset": lambda name: "", "channels": channels, "advice": advice}

        @lru_cache(32)
        def environment(language: str, zone: str) -> Environment:
            return i18n.environment(language, zone, names)

        self.environment = environment

    async def write(self, mail: ReportMail, due: int) -> Letter:
        """The letter of a report for a due time: of the day, week or month that is over then."""
        day = local_day(due, mail.zone)
        period, wanted = over_before(mail.every, day), query_of(mail.query)

        def look(c: Connection) -> tuple[Report, str, str]:
            found = reporting.report(c, mail.workspace_id, period, mail.zone, wanted.chosen)
            chosen = wanted.chosen.campaign_id
            campaign = campaigns.name_of(c, mail.workspace_id, chosen) if chosen else ""
            return found, workspaces.get(c, mail.workspace_id).name, campaign

        found, workspace, campaign = await self.read(look)
        templates = self.environment(mail.language, mail.zone)
        words: dict[str, Any] = {
            "mail": mail,
            "r": found,
            "workspace": workspace,
            "campaign": campaign,
            "wanted": wanted,
            "compared": compared(found.total, found.before),
            "lines": ordered(found.campaigns, Wanted(sort="people"))[:SHOWN],
            "shown": SHOWN,
            "day": day_words(mail.language),
            "url": self._url(found, wanted),
        }
        say: Any = plain(templates).get_template("_report_words.html").module
        subject = str(say.subject(mail.name, words["day"](period.first), words["day"](period.last), period.days))
        return Letter(
            subject,
            plain(templates).get_template("report_mail_text.html").render(words).strip() + "\n",
            templates.get_template("report_mail.html").render(words),
            f"report-{period.first}-{period.last}.csv",
            b"".join(csv_pieces(templates, found, mail.language)),
        )

    def _url(self, found: Report, wanted: Wanted) -> str:
        """The page with the same days and filters; nothing where nobody knows how it is reached."""
        base = self.public_url()
        days = {"period": "own", "first": str(found.period.first), "last": str(found.period.last)}
        return base + wanted.url(**days) if base else ""
