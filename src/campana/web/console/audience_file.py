"""Everybody of a campaign as a file: the columns they came with, then what became of each and why, in the reader's language."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

from jinja2 import Environment
from litestar import get
from litestar.params import FromPath
from litestar.response import Stream

from campana.core.access import Permission
from campana.core.audience import REASONS
from campana.core.campaign import tag_of
from campana.core.journey import OUTCOMES
from campana.engine.exporting import BrokenExport, Busy
from campana.engine.report import Words
from campana.web.access import noting
from campana.web.console.csv_files import sent
from campana.web.console.page import AnyRequest, Refused
from campana.web.console.progress import known
from campana.web.console.report_words import plain


@lru_cache(64)
def words_of(templates: Environment) -> Words:
    """What is said of people in a file, in the language of these templates."""
    texts = plain(templates)
    say: Any = texts.get_template("_audience_words.html").module
    return Words(
        {str(outcome): str(say.outcome(str(outcome))).strip() for outcome in OUTCOMES},
        str(say.left_out()).strip(),
        {code: str(say.kind(code)).strip() for code in REASONS},
        lambda reason: str(say.reason(reason)).strip(),
    )


@get(
    "/campaigns/{campaign:str}/audience.csv", needs=Permission.VIEW, include_in_schema=False, uncompressed=True, file=True
)  # to press a million rows together would keep everybody else waiting
async def audience(request: AnyRequest, campaign: FromPath[str]) -> Stream:
    """Everybody of the campaign with their outcome; with `outcome` in the address, only people who have one of those."""
    desk, campaign_id, found = await known(request, campaign)
    asked = frozenset(request.query_params.getall("outcome", []))
    outcomes = {number: str(outcome) for number, outcome in enumerate(OUTCOMES) if outcome in asked}
    details = {"outcomes": list(outcomes.values())} if outcomes else None
    pieces = desk.console.audience(campaign_id, words_of(desk.templates(request)), frozenset(outcomes))
    try:
        first = await anext(pieces, b"")  # before the answer begins: afterwards no sentence can be shown
    except (Busy, BrokenExport) as error:
        raise Refused(str(error)) from error
    await desk.console.write(noting(request, "campaign.exported", found.line.name, campaign_id, details))
    name = "-".join((tag_of(found.line.name), "audience", *outcomes.values()))
    return sent(f"{name}.csv", _from(first, pieces))


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
