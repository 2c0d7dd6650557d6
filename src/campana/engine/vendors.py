"""Asking vendors, before anything is sent, whether our credentials are good and which templates they have."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from campana.channels.contract import Templates, VendorTemplate
from campana.core.exchange import Response
from campana.core.ids import Id
from campana.engine.house import CALL_TIMEOUT, Account, House
from campana.store import accounts

PAGES = 100  # of a vendor's list of templates
BUSY = 429  # an answer all the same: the credentials are known


class VendorRefuses(RuntimeError):
    """A vendor cannot be reached, or does not know our credentials; the sentence says what to check."""


async def check_accounts(house: House, kinds: Collection[str]) -> None:
    """Asks the vendors of these channels whether our credentials are good. Nothing is sent to anybody."""
    for account in house.accounts.values():
        if account.channel.kind in kinds:
            await _check(house, account)


async def _check(house: House, account: Account) -> None:
    request = account.channel.check(account.settings)
    answer = await house.exchange(request, house.boottime() + CALL_TIMEOUT)
    if not isinstance(answer, Response):
        raise VendorRefuses(
            f"{account.channel.label} cannot be reached at {urlsplit(request.url).netloc}: {answer.reason}. Check the connection "
            f"and the address of the integration {account.name!r}, then start again. Nothing was sent."
        )
    if 400 <= answer.code < 500 and answer.code != BUSY:
        raise VendorRefuses(
            f"{account.channel.label} does not accept the credentials of the integration {account.name!r} (HTTP {answer.code}). "
            "Correct them in campana.toml or the environment, then start again. Nothing was sent."
        )


async def sync_templates(house: House, workspace_id: Id) -> None:
    """Reads every vendor's list of templates anew."""
    for account in house.accounts.values():
        if account.channel.templates is not None:
            found = await _all_templates(house, account, account.channel.templates)
            await house.db.run(accounts.put_templates, workspace_id, account.id, found, house.clock.now())


async def _all_templates(house: House, account: Account, listing: Templates) -> list[VendorTemplate]:
    """Page by page, until there is no next one. A list that cannot be read whole is refused: it would replace what we know."""
    found: list[VendorTemplate] = []
    cursor: str | None = None
    for _ in range(PAGES):
        answer = await house.exchange(listing.request(account.settings, cursor), house.boottime() + CALL_TIMEOUT)
        if not isinstance(answer, Response) or answer.code != 200:
            raise _unread(account, f"HTTP {answer.code}" if isinstance(answer, Response) else answer.reason)
        page = listing.parse(answer)
        if page is None:
            raise _unread(account, f"the answer is not a list of {account.channel.label}'s templates")
        found += page[0]
        cursor = page[1]
        if cursor is None:
            return found
    raise _unread(account, "the list does not end")


def _unread(account: Account, why: str) -> VendorRefuses:
    return VendorRefuses(
        f"The templates of the integration {account.name!r} could not be read: {why}. Start again in a moment. Nothing was sent."
    )
