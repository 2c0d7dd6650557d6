"""Asking vendors beside the sending: whether credentials are good, which templates there are, what a test message comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from campana.channels.contract import Channel, Content, Settings, Templates, UnfitContent, VendorTemplate
from campana.core.exchange import Response
from campana.core.failure import Failure
from campana.core.ids import Id, new_id
from campana.core.message import Accepted, Outgoing
from campana.engine.house import CALL_TIMEOUT, Account, House
from campana.store import integrations, suppressions, templates

PAGES = 100  # of a vendor's list of templates
BUSY = 429  # an answer all the same: the credentials are known
NOBODY = Outgoing(bytes(16), "", "", {})
READ_AGAIN_SECONDS = 3600.0  # webhooks tell what changes; this finds what they did not tell

log = structlog.get_logger("campana.vendors")


class VendorRefuses(RuntimeError):
    """A vendor cannot be reached, or does not know our credentials; the sentence says what to check, `why` what it said."""

    why = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a vendor says of something. `reached` is False when it said nothing at all; `words` are for people.

    `ours` names the reason when the vendor was not asked: opted_out, unfit, form, or not_theirs for an address it does not have.
    """

    good: bool
    words: str = ""
    reached: bool = True
    ours: str = ""


def _words(channel: Channel, answer: Response) -> str:
    """Why the vendor refuses, in its words where it has any."""
    (result,) = channel.parse_response(answer, [NOBODY])
    return f"{result.words} ({result.code})" if isinstance(result, Failure) else f"HTTP {answer.code}"


async def check(house: House, channel: Channel, settings: Settings) -> Verdict:
    """Whether the vendor takes these credentials. Nothing is sent to anybody."""
    request = channel.check(settings)
    answer = await house.exchange(request, house.boottime() + CALL_TIMEOUT)
    if not isinstance(answer, Response):
        return Verdict(False, f"{urlsplit(request.url).netloc}: {answer.reason}", reached=False)
    if answer.code >= 500:
        return Verdict(False, f"{urlsplit(request.url).netloc}: HTTP {answer.code}", reached=False)
    if answer.code < 300 or answer.code == BUSY:
        return Verdict(True)
    return Verdict(False, _words(channel, answer))


async def check_address(house: House, account: Account, address: str) -> Verdict:
    """Whether messages can go out from that address: what it looks like, and whether the vendor has it in this account.

    A vendor that does not answer, or may not tell, is no reason to refuse it.
    """
    senders = account.channel.senders
    if problem := senders.problem(address):
        return Verdict(False, problem, ours="form")
    request = senders.request(account.settings, address)
    if request is None:
        return Verdict(True)
    answer = await house.exchange(request, house.boottime() + CALL_TIMEOUT)
    if not isinstance(answer, Response) or answer.code != 200 or senders.knows(answer, address) is not False:
        return Verdict(True, reached=isinstance(answer, Response))
    words = f"{account.channel.label} says that {address} does not belong to this account."
    return Verdict(False, words, ours="not_theirs")


async def check_accounts(house: House, workspace_id: Id, kinds: Collection[str]) -> None:
    """Asks the vendors of these channels whether a workspace's credentials are good. Nothing is sent to anybody."""
    for account in _in_use(house, workspace_id):
        if account.channel.kind not in kinds:
            continue
        verdict = await check(house, account.channel, account.settings)
        if not verdict.good and not verdict.reached:
            raise VendorRefuses(
                f"{account.channel.label} cannot be reached at {verdict.words}. Check the connection and the address of the "
                f"integration {account.name!r}, then start again. Nothing was sent."
            )
        if not verdict.good:
            raise VendorRefuses(
                f"{account.channel.label} does not accept the credentials of the integration {account.name!r}: {verdict.words}. "
                "Correct them where they were entered, then start again. Nothing was sent."
            )


def _in_use(house: House, workspace_id: Id) -> list[Account]:
    return [account for account in house.accounts.values() if account.active and account.workspace_id == workspace_id]


# --- templates --------------------------------------------------------------------------------------------------------------


async def sync_templates(house: House, workspace_id: Id) -> None:
    """Reads every vendor's list of templates anew, for the accounts of a workspace."""
    for account in _in_use(house, workspace_id):
        if account.channel.templates is not None:
            await sync_account(house, account)


async def sync_account(house: House, account: Account) -> int:
    """Reads one account's templates anew. Returns how many there are; raises VendorRefuses when the list cannot be read whole."""
    if account.channel.templates is None:
        return 0
    asked_at = house.clock.now()
    found = await _all_templates(house, account, account.channel.templates)
    await house.db.run(templates.put_templates, account.workspace_id, account.id, found, asked_at)
    return len(found)


async def keep_templates(house: House) -> None:
    """Reads all templates anew now and then, for as long as the process lives."""
    while True:
        await asyncio.sleep(READ_AGAIN_SECONDS)
        for account in list(house.accounts.values()):
            try:
                await (sync_account(house, account) if account.active else asyncio.sleep(0))
            except Exception as error:  # what was known stays; the console can read again
                log.warning("templates_unread", integration=account.name, error=str(error))


async def _all_templates(house: House, account: Account, listing: Templates) -> list[VendorTemplate]:
    """Page by page, until there is no next one. A list that cannot be read whole is refused: it would replace what we know."""
    found: list[VendorTemplate] = []
    cursor: str | None = None
    for _ in range(PAGES):
        answer = await house.exchange(listing.request(account.settings, cursor), house.boottime() + CALL_TIMEOUT)
        if not isinstance(answer, Response) or answer.code != 200:
            raise _unread(account, _words(account.channel, answer) if isinstance(answer, Response) else answer.reason)
        page = listing.parse(answer)
        if page is None:
            raise _unread(account, f"the answer is not a list of {account.channel.label}'s templates")
        found += page[0]
        cursor = page[1]
        if cursor is None:
            return found
    raise _unread(account, "the list does not end")


def _unread(account: Account, why: str) -> VendorRefuses:
    refusal = VendorRefuses(
        f"The templates of the integration {account.name!r} could not be read: {why}. Try again in a moment. Nothing was sent."
    )
    refusal.why = why
    return refusal


# --- a test message ---------------------------------------------------------------------------------------------------------


async def try_out(
    house: House,
    account: Account,
    sender: str,
    to: str,
    content: Content,
    template: VendorTemplate | None,
    values: Mapping[str, str] | None = None,
) -> Verdict:
    """Sends one real message with these values through the very channel that sends campaigns. The verdict is the vendor's answer.

    Nobody who must not be written to is, and it is no part of any campaign's figures.
    """
    channel = account.channel
    barred = await house.db.read(suppressions.among, account.workspace_id, {to})
    if barred & {(to, channel.suppresses), (to, suppressions.ALL)}:
        return Verdict(False, "This person asked not to be written to; nothing was sent.", ours="opted_out")
    try:
        rendered = channel.compile(content, template)(values or {})
    except UnfitContent as error:
        return Verdict(False, str(error), ours="unfit")
    if rendered.problem:
        return Verdict(False, rendered.problem, ours="unfit")
    now = house.clock.now()
    message = Outgoing(new_id(now), sender, to, rendered.content, house.hook_url(account.hook), now)
    answer = await house.exchange(channel.build_request(account.settings, [message]), house.boottime() + CALL_TIMEOUT)
    if not isinstance(answer, Response):
        return Verdict(False, answer.reason, reached=False)
    (result,) = channel.parse_response(answer, [message])
    if isinstance(result, Accepted):
        return Verdict(True, result.vendor_id)
    return Verdict(False, f"{result.words} ({result.code})" if isinstance(result, Failure) else result.reason)


async def note_verdict(house: House, account: Account, verdict: Verdict) -> None:
    """The account's card tells what the vendor said of the credentials."""
    trouble = integrations.trouble("refused" if verdict.reached else "not_reached", verdict.words)
    await house.db.run(integrations.checked, account.id, house.clock.now(), None if verdict.good else trouble)
