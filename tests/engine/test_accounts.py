"""Vendor accounts as processes know them: written down at the start, seen by all after a change, sealed with one key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from campana.channels.contract import Content
from campana.core.exchange import Response
from campana.core.message import Status
from campana.engine.accounts import refresh
from campana.engine.house import Account, vendor_template
from campana.engine.vendors import VendorRefuses, check, check_address, note_verdict, sync_account, try_out
from campana.settings import BadSettings
from campana.store import accounts, integrations, senders, suppressions, templates
from campana.store.senders import Facts
from campana.vault import KEY_FILE, Vault, WrongKey, open_vault
from campana.wiring import Installation, open_installation
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, NINE, World, sms, whatsapp

OLD, NEW = "an old key of more than 32 characters", "a new key of more than 32 characters"
TEMPLATE = Content(template="visit_reminder", language="en_US", values={"first_name": "Ana", "appointment_date": "Monday"})


def account_of(world: World, hook: str) -> Account:
    found = world.house.by_hook(hook)
    assert found is not None
    return found


async def until(reached: Callable[[], bool]) -> None:
    """Returns when it is so. Another process looks by itself, so there is nothing to wait for but that."""
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def connect(installation: Installation, vault: Vault, like: Account, name: str = "shop") -> bytes:
    """Somebody connects the same account under another name in the console of this process."""
    sealed, house = vault.seal(like.settings.with_secrets()), installation.house
    facts = (installation.workspace_id, name, like.channel.kind, sealed, house.clock.now())
    return await house.db.run(integrations.add, *facts)


# --- the start, and the key -------------------------------------------------------------------------------------------------


@pytest.mark.both_databases
async def test_accounts_of_the_settings_are_written_down_sealed(world: World) -> None:
    rows = await world.house.db.read(integrations.accounts)
    assert sorted(row.hook for row in rows) == ["sms", "wa"]
    secret = world.config.whatsapp.token.encode()
    assert all(secret not in row.credentials for row in rows)
    vault = open_vault(None, world.folder)
    assert secret in b"".join(vault.open(row.credentials) for row in rows)
    before = await world.house.db.read(integrations.version)
    await world.restart()
    assert await world.house.db.read(integrations.version) == before  # the same settings change nothing


@pytest.mark.both_databases
async def test_a_process_with_another_key_refuses_to_start(world: World) -> None:
    named = world.settings
    world.settings = named.model_copy(update={"secret_key": OLD})
    with pytest.raises(WrongKey, match="CAMPANA_SECRET_KEY"):
        await world.restart()
    world.settings = named
    await world.restart()
    assert account_of(world, "wa").channel.kind == "whatsapp"


async def test_after_a_lost_key_the_settings_are_sealed_anew(world: World) -> None:
    (world.folder / KEY_FILE).unlink()
    with pytest.raises(WrongKey, match="forget-credentials"):
        await world.restart()
    world.settings = world.settings.model_copy(update={"secret_key": NEW})
    engine = world.house.db.engine
    with engine.begin() as c:
        assert integrations.forget_sealed(c, NINE) == (2, 0)
    await world.restart()
    await world.launch(sms())
    await world.play(minutes=1)
    assert len(world.accepted(ANA)) == 1


@pytest.mark.both_databases
async def test_a_key_is_changed_while_accounts_stay_connected(worlds: Worlds) -> None:
    world = await worlds()
    old = (world.folder / KEY_FILE).read_text().strip()
    await connect(world.installation, open_vault(None, world.folder), account_of(world, "sms"))
    world.settings = world.settings.model_copy(update={"secret_key": f"{NEW},{old}"})
    await world.restart()
    assert sorted(one.name for one in world.house.accounts.values()) == ["shop", "sms", "wa"]
    world.settings = world.settings.model_copy(update={"secret_key": NEW})
    await world.restart()
    assert sorted(one.name for one in world.house.accounts.values()) == ["shop", "sms", "wa"]
    world.settings = world.settings.model_copy(update={"secret_key": old})
    with pytest.raises(WrongKey):
        await world.restart()
    world.settings = world.settings.model_copy(update={"secret_key": NEW})
    await world.restart()


async def test_names_of_the_settings_that_the_console_has_taken_are_refused_in_words(world: World) -> None:
    vault = open_vault(None, world.folder)
    made = await connect(world.installation, vault, account_of(world, "sms"))
    facts = Facts("clinic", "+15017122661", 1, None)
    await world.house.db.run(senders.add, world.installation.workspace_id, made, facts, NINE)
    named = world.settings
    for change in (
        {"integrations": {**named.integrations, "shop": named.integrations["sms"]}},
        {"senders": {**named.senders, "clinic": named.senders["sms"]}},
    ):
        world.settings = named.model_copy(update=change)
        with pytest.raises(BadSettings, match=r"already an? (integration|sender) named (shop|clinic)"):
            await world.restart()
    world.settings = named
    await world.restart()
    assert {one.name for one in world.house.accounts.values()} == {"shop", "sms", "wa"}


# --- changes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql_only
async def test_every_process_sees_a_change_that_another_made(worlds: Worlds) -> None:
    world = await worlds()
    async with AsyncExitStack() as stack:
        settings = world.settings.model_copy(update={"secret_key": None})
        other = await stack.enter_async_context(open_installation(settings, exchange=world.exchange))
        vault = open_vault(None, world.folder)
        made = await connect(world.installation, vault, account_of(world, "sms"))
        await until(lambda: made in other.house.accounts and made in world.house.accounts)
        theirs = other.house.accounts[made]
        assert other.house.by_hook(theirs.hook) is theirs
        changed = with_settings(theirs, auth_token="another-token")
        values = {"credentials": vault.seal(changed.with_secrets())}
        await other.house.db.run(integrations.change, theirs.workspace_id, made, NINE, **values)
        await until(lambda: world.house.accounts[made].settings == changed)
        await other.house.db.run(integrations.change, theirs.workspace_id, made, NINE, active=False)
        await until(lambda: not world.house.accounts[made].active)


async def test_a_change_in_this_process_is_seen_when_it_is_woken(world: World) -> None:
    made = await connect(world.installation, open_vault(None, world.folder), account_of(world, "sms"))
    world.house.wake("accounts")
    await until(lambda: made in world.house.accounts)


@pytest.mark.both_databases
async def test_an_account_that_is_off_sends_nothing_but_still_hears_receipts(worlds: Worlds) -> None:
    world = await worlds()
    house, workspace_id = world.house, world.installation.workspace_id
    vault = open_vault(None, world.folder)
    made = await connect(world.installation, vault, account_of(world, "sms"))
    number = world.config.twilio.numbers[0]
    await house.db.run(senders.add, workspace_id, made, Facts("shop-sms", number, 1000, None), NINE)
    await refresh(house, vault)
    await world.launch(sms(**{"from": "shop-sms"}))
    await world.play(seconds=1)  # accepted, and not yet delivered
    assert len(world.accepted(ANA)) == 1
    second = await world.launch(sms(**{"from": "shop-sms"}), people=["+12125550109"], start=world.clock.now() + 60_000_000)
    await house.db.run(integrations.change, workspace_id, made, NINE, active=False)
    await refresh(house, vault)
    await world.play(minutes=2)
    assert await world.statuses_of(ANA, world.runs[0]) == [Status.DELIVERED.word]
    assert world.accepted("+12125550109") == []
    assert ["was turned off" in words for words in map(str, (await world.progress(second)).held)] == [True]
    await house.db.run(integrations.change, workspace_id, made, NINE, active=True)
    await refresh(house, vault)
    await world.play(minutes=2)
    assert len(world.accepted("+12125550109")) == 1


async def test_an_account_that_cannot_be_read_hurts_no_other(world: World) -> None:
    house, workspace_id = world.house, world.installation.workspace_id
    vault = open_vault(None, world.folder)
    await house.db.run(integrations.add, workspace_id, "odd", "twilio_sms", vault.seal(b'{"nothing": "of ours"}'), NINE)
    await house.db.run(integrations.add, workspace_id, "gone", "telegraph", vault.seal(b"{}"), NINE)
    await house.db.run(integrations.add, workspace_id, "theirs", "twilio_sms", Vault([NEW]).seal(b"{}"), NINE)
    await refresh(house, vault)
    assert sorted(one.name for one in house.accounts.values()) == ["sms", "wa"]


# --- asking vendors ---------------------------------------------------------------------------------------------------------


def with_settings(account: Account, **changed: Any) -> Any:
    facts = {**json.loads(account.settings.with_secrets()), **changed}
    return account.channel.settings.model_validate(facts)  # a copy would keep the header that signs us in


@pytest.mark.parametrize(("hook", "secret"), [("wa", "token"), ("sms", "auth_token")])
async def test_the_vendor_says_whether_credentials_are_good(world: World, hook: str, secret: str) -> None:
    account = account_of(world, hook)
    assert (await check(world.house, account.channel, account.settings)).good
    wrong = await check(world.house, account.channel, with_settings(account, **{secret: "wrong"}))
    assert not wrong.good
    assert wrong.reached
    assert wrong.words.endswith(")")  # the vendor's code beside the words
    await note_verdict(world.house, account, wrong)
    assert (await card(world, account)).trouble == ("refused", wrong.words)
    world.unreachable.add("vendors.test")
    away = await check(world.house, account.channel, account.settings)
    assert (away.good, away.reached) == (False, False)
    world.unreachable.clear()
    await note_verdict(world.house, account, await check(world.house, account.channel, account.settings))
    mended = await card(world, account)
    assert (mended.last_error, mended.checked_at) == (None, world.clock.now())


async def card(world: World, account: Account) -> Any:
    [found] = await world.house.db.read(integrations.cards, account.workspace_id, account.id)
    return found


@pytest.mark.parametrize(
    ("code", "good", "reached"), [(200, True, True), (429, True, True), (302, False, True), (503, False, False)]
)
async def test_only_what_the_vendor_refuses_speaks_against_credentials(
    world: World, code: int, good: bool, reached: bool
) -> None:
    async def answers(*_: Any) -> Response:
        return Response(code, {}, b"<html>")

    world.house.exchange = answers
    account = account_of(world, "sms")
    verdict = await check(world.house, account.channel, account.settings)
    assert (verdict.good, verdict.reached) == (good, reached)
    assert bool(verdict.words) is not good


@pytest.mark.parametrize(
    ("hook", "address", "good"),
    [
        ("wa", "106540352242922", True),
        ("wa", "106540352242923", False),
        ("wa", "+15550783881", False),
        ("sms", "+15017122661", True),
        ("sms", "+15017122662", False),
        ("sms", "MG0123456789abcdef0123456789abcdef", True),
        ("sms", "no number", True),  # a name; whether it may be used is told when something is sent
        ("sms", "5017122661x!", False),
    ],
)
async def test_an_address_to_send_from_belongs_to_the_account(world: World, hook: str, address: str, good: bool) -> None:
    verdict = await check_address(world.house, account_of(world, hook), address)
    assert verdict.good is good
    assert bool(verdict.words) is not good
    world.unreachable.add("vendors.test")
    away = await check_address(world.house, account_of(world, hook), address)
    assert away.good or not good  # a vendor that is away refuses nobody


async def test_all_pages_of_templates_are_read(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await worlds()
    one = world.config.whatsapp.templates[0]
    for number in range(250):
        world.vendors.whatsapp.templates[f"t{number}", "en"] = {**one, "name": f"t{number}", "language": "en", "id": str(number)}
    account = account_of(world, "wa")
    count = len(world.vendors.whatsapp.templates)
    assert await sync_account(world.house, account) == count
    approved = await world.house.db.read(templates.approved_templates, account.workspace_id, account.id)
    assert len(approved) == count
    assert await sync_account(world.house, account_of(world, "sms")) == 0


async def test_a_list_of_templates_that_is_refused_says_why(world: World) -> None:
    account = account_of(world, "wa")
    wrong = Account(*(getattr(account, name) for name in ("id", "workspace_id", "name", "hook", "channel")),
                    with_settings(account, token="wrong"))  # fmt: skip
    with pytest.raises(VendorRefuses, match=r"\(190\)"):
        await sync_account(world.house, wrong)


async def test_a_test_message_goes_out_by_the_real_channel_and_is_no_campaigns(world: World) -> None:
    house, account = world.house, account_of(world, "sms")
    verdict = await try_out(house, account, world.config.twilio.numbers[0], ANA, Content(text="A test"), None)
    assert verdict.good
    assert [line.id for line in world.accepted(ANA)] == [verdict.words]
    assert world.sent_to(ANA) == [("twilio", "A test")]
    await world.play(minutes=1)  # its receipts disturb nobody


async def test_a_test_message_by_template(world: World) -> None:
    account = account_of(world, "wa")
    row = await world.house.db.read(templates.find_template, account.id, "visit_reminder", "en_US")
    number = next(iter(world.config.whatsapp.phone_numbers))
    verdict = await try_out(world.house, account, number, ANA, TEMPLATE, vendor_template(row))
    assert verdict.good
    assert world.sent_to(ANA) == [("whatsapp", "Hi Ana, we expect you on Monday. Reply YES to confirm, or STOP.")]
    unfit = await try_out(world.house, account, number, ANA, Content(template="visit_reminder", language="en_US"), None)
    assert not unfit.good
    assert "visit_reminder" in unfit.words


async def test_a_test_message_respects_who_wants_none_and_tells_what_the_vendor_says(world: World) -> None:
    house, account = world.house, account_of(world, "sms")
    number, content = world.config.twilio.numbers[0], Content(text="A test")
    await house.db.run(suppressions.suppress, account.workspace_id, [ANA], "sms", NINE, "rule", "proof")
    assert not (await try_out(house, account, number, ANA, content, None)).good
    assert world.accepted() == []
    refused = await try_out(house, account, "+15017122662", "+12125550109", content, None)
    assert (refused.good, refused.reached) == (False, True)
    assert refused.words
    world.unreachable.add("vendors.test")
    away = await try_out(house, account, number, "+12125550109", content, None)
    assert (away.good, away.reached) == (False, False)
    assert world.accepted() == []


async def test_a_template_is_whole_again_after_it_was_kept(world: World) -> None:
    account = account_of(world, "wa")
    await world.launch(whatsapp())
    row = await world.house.db.read(templates.find_template, account.id, "visit_reminder", "en_US")
    assert vendor_template(row).components
    assert await world.house.db.read(accounts.any_workspace) == account.workspace_id
