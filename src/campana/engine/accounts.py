"""Vendor accounts: written down sealed, and known to every process within a second of a change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection

from campana.channels.contract import Channel, Settings
from campana.core.ids import Id
from campana.engine.house import Account, House
from campana.settings import BadSettings, SenderSettings
from campana.store import accounts, integrations, senders
from campana.store.database import StoreAway, StoreTrouble
from campana.store.integrations import AccountRow, Heard, NameTaken
from campana.vault import Vault, WrongKey

TOPIC = "accounts"
LOOK_SECONDS = 1.0  # whoever was not woken looks this often
PROOF = b"campana"

Configured = tuple[str, Channel, Settings]  # an account of the settings: its name, its channel, its credentials

log = structlog.get_logger("campana.accounts")


def prove_key(c: Connection, vault: Vault, now: int) -> None:
    """This process has the key of this installation; raises WrongKey. What another of its keys sealed is sealed anew."""
    proof = integrations.proof(c)
    if proof is not None:
        vault.open(proof)
        if vault.is_newest(proof):
            return
        integrations.reseal(c, vault, now)
    integrations.put_proof(c, vault.seal(PROOF))


def put_configured(
    c: Connection,
    vault: Vault,
    workspace: str,
    configured: Sequence[Configured],
    named: Mapping[str, SenderSettings],
    now: int,
) -> Id:
    """Brings the store to what the settings say. Returns their workspace. Accounts of the console are left alone.

    A sender that was paused stays so. What the settings name no more is out of use: people wait until it is named again.
    """
    workspace_id = accounts.ensure_workspace(c, workspace, now)
    try:
        by_name = {
            name: integrations.put_from_file(c, workspace_id, name, channel.kind, settings.with_secrets(), vault, now)
            for name, channel, settings in configured
        }
        paces = {name: channel.pace for name, channel, _ in configured}
        sender_ids = []
        for name, sender in named.items():
            senders.require_free(c, workspace_id, name, accounts.sender_id(workspace_id, name))
            facts = (name, sender.address, sender.pace or paces[sender.integration], sender.daily_limit)
            sender_ids.append(accounts.put_sender(c, workspace_id, by_name[sender.integration], *facts, now, sender.weight))
    except NameTaken as error:
        raise BadSettings(f"The settings cannot be used: {error} The one that is there was made in the console.") from error
    integrations.keep_from_file(c, workspace_id, list(by_name.values()), now)
    senders.keep_from_file(c, workspace_id, sender_ids)
    return workspace_id


def read(c: Connection, vault: Vault, channels: Mapping[str, Channel]) -> tuple[tuple[int, int], dict[Id, Account]]:
    """All accounts that can be used, and their version."""
    version = integrations.version(c)
    found = (_account(row, vault, channels) for row in integrations.accounts(c))
    return version, {account.id: account for account in found if account}


def _account(row: AccountRow, vault: Vault, channels: Mapping[str, Channel]) -> Account | None:
    channel = channels.get(row.kind)
    if channel is None:
        log.error("an integration's channel is not installed", integration=row.name, kind=row.kind)
        return None
    try:
        settings = channel.settings.model_validate_json(vault.open(row.credentials))
    except (ValidationError, WrongKey) as error:
        log.error("an integration's credentials cannot be read", integration=row.name, error=type(error).__name__)
        return None
    return Account(row.id, row.workspace_id, row.name, row.hook, channel, settings, row.active)


async def refresh(house: House, vault: Vault) -> None:
    """This process knows the accounts as they stand now."""
    house.accounts_seen, found = await house.db.read(read, vault, house.channels)
    house.know(found)


async def hear(house: House, told: Sequence[Heard]) -> None:
    """The accounts' cards tell which webhooks were refused, and that good ones come; that they still do is written rarely."""
    now = house.clock.now()
    listening = await house.db.read(integrations.listening, now)
    if news := [one for one in told if one.refused or one.hook in listening]:
        await house.db.run(integrations.heard, news, now)


async def follow(house: House, vault: Vault, woken: Callable[[str, float], Awaitable[object]]) -> None:
    """Keeps the accounts of this process up to date for as long as it lives."""
    while True:
        await woken(TOPIC, LOOK_SECONDS)
        try:
            if await house.db.read(integrations.version) != house.accounts_seen:
                await refresh(house, vault)
        except (StoreAway, StoreTrouble) as error:  # it comes back; until then the accounts of before are good
            log.warning("store_away", wheel="accounts", error=str(error))
        except Exception as error:
            log.exception("accounts_stumbled", error=type(error).__name__)
