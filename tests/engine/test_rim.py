"""What comes in at the rim: other names of a person, late opt-outs, hooks that cannot be understood, vendors that are busy."""

from __future__ import annotations

from typing import Any

import structlog

from campana.core.exchange import Hook, HookRow, Request
from campana.core.ids import new_id
from campana.engine import launch
from campana.engine.worker import turn
from campana.standin.faults import Faults, Rule
from campana.store import contacts, inbox
from tests.engine.conftest import Worlds
from tests.engine.test_receipts import tell_whatsapp
from tests.engine.world import ANA, BRUNO, World, numbers, sms, whatsapp


async def tell_words(world: World, **message: Any) -> None:
    """WhatsApp tells a message of a person, of our making, signed and all."""
    vendor, number = world.vendors.whatsapp, next(iter(world.config.whatsapp.phone_numbers))
    shown = {"id": f"wamid.in{len(world.ledger.lines)}", "timestamp": "1750030500", "type": "text", **message}
    request = vendor._signed(vendor._entry("messages", {**vendor._head(number), "messages": [shown]}))
    assert request is not None
    assert await world.rehearsal._deliver(world.house, request) == 200
    while await turn(world.house):
        pass


async def test_who_quotes_our_message_is_known_under_any_name(world: World) -> None:
    await world.launch(whatsapp(), follow_ups=[sms("follow-up")])
    await world.play(minutes=1)
    wamid = world.accepted(ANA)[0].id
    await tell_words(world, from_user_id="US.13491208655302741918", text={"body": "STOP"}, context={"id": wamid})
    await world.play(days=2)
    assert await world.outcome_of(ANA) == "opted_out"
    assert await world.suppressed() == [(ANA, "whatsapp")]
    assert [text for _, text in world.sent_to(ANA)].count("follow-up") == 0


async def test_a_quote_of_an_ended_campaign_ends_no_other_journey(world: World) -> None:
    await world.launch(whatsapp(), follow_ups=[sms("first")], name="first")
    await world.play(minutes=1)
    wamid = world.accepted(ANA)[0].id
    await world.act(launch.finish)
    await world.launch(sms("second"), follow_ups=[sms("follow-up")], name="second")
    await world.play(minutes=1)
    await tell_words(world, **{"from": ANA[1:], "text": {"body": "what was that?"}, "context": {"id": wamid}})
    await world.play(days=2)
    assert "follow-up" in [text for _, text in world.sent_to(ANA)]


async def test_an_opt_out_told_after_a_delivery_is_kept(world: World) -> None:
    await world.launch(whatsapp())
    await world.play(minutes=1)
    row = (await world.attempts_of(ANA))[0]
    await tell_whatsapp(world, row.vendor_id, row.id, "failed", 131050)
    while await turn(world.house):
        pass
    assert await world.suppressed() == [(ANA, "whatsapp")]


async def test_the_vendors_name_of_a_person_is_learned_from_a_receipt(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(fault="cut_after"),)))
    await world.launch(whatsapp(), people=["+525511223344"])
    await world.play(hours=1)

    def names(c: Any) -> set[str]:
        contact_id = contacts.find(c, world.installation.workspace_id, ["phone:+525511223344"])
        assert contact_id is not None
        return {kind for kind, _ in contacts.addresses_of(c, contact_id)}

    assert "wa_id" in await world.house.db.read(names)


async def test_a_vendor_that_throttles_everything_burns_nobody(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(retry_after=0, rules=(Rule(fault="throttled", times=12),)))
    await world.launch(sms(), people=numbers(20))
    await world.play(days=1)
    assert (await world.outcomes())["delivered"] == 20
    assert len(world.accepted()) == 20


async def test_stop_does_not_rewrite_what_was_over_long_ago(world: World) -> None:
    await world.launch(sms(), people=[ANA, BRUNO], name="long ago")
    await world.play(minutes=1)
    world.reply(ANA)
    await world.play(days=1)
    long_ago = world.runs[-1]
    await world.launch(sms("again"), name="today")
    await world.play(minutes=1)
    world.reply(ANA, "STOP")
    await world.play(days=1)
    assert await world.outcome_of(ANA) == "opted_out"
    world.runs.append(long_ago)
    assert await world.outcome_of(ANA) == "replied"


def hook_of(world: World, integration: str, body: bytes) -> HookRow:
    now = world.clock.now()
    url = f"http://127.0.0.1/hooks/{integration}"
    return HookRow(new_id(now), integration, "POST", url, {}, body, now)


async def strays(world: World) -> list[str]:
    return await world.house.db.read(lambda c: list(c.exec_driver_sql("SELECT words FROM stray ORDER BY id").scalars()))


async def test_a_hook_that_breaks_the_reader_is_set_aside_and_the_others_are_heard(world: World, monkeypatch: Any) -> None:
    await world.launch(sms(), follow_ups=[sms("follow-up")])
    await world.play(minutes=1)
    account = world.house.by_hook("sms")
    assert account is not None
    understand = account.channel.parse_webhook

    def stumbling(settings: Any, hook: Hook) -> Any:
        if hook.body == b"poison":
            raise RuntimeError("no reader expected this")
        return understand(settings, hook)

    object.__setattr__(account.channel, "parse_webhook", stumbling)
    try:
        await world.house.db.run(inbox.put, [hook_of(world, "sms", b"poison")])
        world.reply(ANA)
        await world.play(days=2)
    finally:
        object.__setattr__(account.channel, "parse_webhook", understand)
    assert await world.outcome_of(ANA) == "replied"
    assert ["poison" in words for words in await strays(world)] == [True]
    assert await world.house.db.read(inbox.size) == 0


async def test_a_hook_for_an_integration_that_is_gone_is_kept_for_people(world: World) -> None:
    await world.launch(sms())
    await world.house.db.run(inbox.put, [hook_of(world, "gone", b"MessageSid=SM1&MessageStatus=delivered")])
    await world.play(minutes=1)
    assert ["MessageSid=SM1" in words and "not in the settings" in words for words in await strays(world)] == [True]


def test_credentials_stay_out_of_what_is_logged(capsys: Any) -> None:
    from campana.cli.words import logs_to_stderr

    before = structlog.get_config()
    logs_to_stderr()
    try:
        request = Request("POST", "http://vendors.test", (("Authorization", "Bearer very-secret"),), b"text")
        try:
            raise RuntimeError("something broke")
        except RuntimeError:
            structlog.get_logger("test").exception("stumbled", request=request)
    finally:
        structlog.configure(**before)
    said = capsys.readouterr().err
    assert "something broke" in said
    assert "very-secret" not in said
