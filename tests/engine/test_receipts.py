"""What vendors tell of a message: late, twice, out of order, before its answer, and for one whose answer was lost."""

from __future__ import annotations

import pytest

from campana.core.exchange import Request
from campana.standin.config import Receipts
from campana.standin.faults import Fault, Faults, ReceiptOdds, Rule
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, BRUNO, HOUR, SECOND, World, sms, whatsapp


async def test_sent_is_shown_until_newer_information_replaces_it(world: World) -> None:
    await world.launch(sms())
    seen = []
    for seconds in (0, 1, 1, 1):
        await world.play(seconds=seconds)
        seen += await world.statuses_of(ANA)
    assert seen == ["queued", "sent", "sent", "delivered"]


async def test_sent_becomes_undelivered_when_the_carrier_says_so(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(code=30005),)))
    await world.launch(sms())
    await world.play(seconds=2)
    assert await world.statuses_of(ANA) == ["sent"]
    await world.play(seconds=2)
    assert await world.statuses_of(ANA) == ["undelivered"]
    assert (await world.attempts_of(ANA))[0].code == "30005"


async def test_a_receipt_after_80_hours_is_still_recorded(worlds: Worlds) -> None:
    world = await worlds(receipts=Receipts(sent=(1, 1), delivered=(80 * 3600, 80 * 3600), read_share=0))
    await world.launch(sms())
    await world.play(hours=79)
    assert await world.statuses_of(ANA) == ["sent"]
    assert await world.outcome_of(ANA) == "unreached"  # no receipt within the step's 24 hours
    await world.play(hours=2)
    row = (await world.attempts_of(ANA))[0]
    assert row.delivered_at == row.queued_at + 80 * HOUR + SECOND
    assert await world.statuses_of(ANA) == ["delivered"]
    assert await world.outcome_of(ANA) == "delivered"


async def test_sent_for_good_is_no_failure_of_the_message(worlds: Worlds) -> None:
    world = await worlds(receipts=Receipts(sent=(1, 1), delivered_share=0))
    await world.launch(sms())
    await world.play(days=4)
    assert await world.statuses_of(ANA) == ["sent"]
    progress = await world.progress()
    assert progress.steps[0].failed == 0
    assert progress.failures == []


async def test_a_number_that_is_not_valid_is_an_error(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(code=21211),)))
    await world.launch(sms())
    await world.play(hours=1)
    assert await world.statuses_of(ANA) == ["error"]
    assert await world.outcome_of(ANA) == "unreached"


async def test_no_request_is_made_for_a_number_that_is_malformed(world: World) -> None:
    await world.launch(sms(), people=[ANA, "+12"])
    await world.play(hours=1)
    assert {line.to for line in world.ledger.lines if line.kind in {"accepted", "refused"}} == {ANA}
    assert (await world.progress()).left_out == {"too few digits": 1}


STRANGE = [
    ("doubled", ReceiptOdds(doubled=1)),
    ("reordered", ReceiptOdds(reordered=1)),
    ("late by a day and a half", ReceiptOdds(late=1, late_by=(129_600, 129_600))),
    ("all of it", ReceiptOdds(doubled=1, reordered=1, late=1)),
]


@pytest.mark.parametrize(("label", "odd"), STRANGE, ids=[row[0] for row in STRANGE])
@pytest.mark.parametrize("code", [None, 131026])
async def test_receipts_that_come_strangely_change_nothing_in_the_end(
    worlds: Worlds, label: str, odd: ReceiptOdds, code: int | None
) -> None:
    rules = (Rule(vendor="whatsapp", code=code, told="receipt"),) if code else ()
    receipts = Receipts(sent=(1, 1), delivered=(2, 2), read=(5, 5), read_share=1)
    world = await worlds(faults=Faults(receipts=odd, rules=rules), receipts=receipts)
    await world.launch(whatsapp(not_delivered_after="3 days"), fallbacks=[sms(not_delivered_after="3 days")])
    await world.play(days=7)
    assert world.vendors_of(ANA) == ["whatsapp", "twilio"] if code else ["whatsapp"]
    assert await world.outcome_of(ANA) == "delivered"
    progress = await world.progress()
    assert [(step.sent, step.delivered, step.read, step.failed) for step in progress.steps] == (
        [(1, 0, 0, 1), (1, 1, 1, 0)] if code else [(1, 1, 1, 0), (0, 0, 0, 0)]
    )
    assert progress.funnel == {"audience": 1, "sent": 1, "delivered": 1, "read": 1, "replied": 0}


@pytest.mark.both_databases
async def test_a_delivery_told_after_a_failure_wins_and_the_fallback_stays_sent(world: World) -> None:
    await world.launch(whatsapp(), fallbacks=[sms("fallback")], follow_ups=[sms("follow-up")])
    await world.play()
    message_id = (await world.attempts_of(ANA))[0].id
    wamid = world.accepted(ANA)[0].id
    await tell_whatsapp(world, wamid, message_id, "failed", 131026)
    await world.play()
    assert world.vendors_of(ANA) == ["whatsapp", "twilio"]
    await tell_whatsapp(world, wamid, message_id, "delivered")
    assert await world.statuses_of(ANA) == ["delivered", "queued"]
    await world.play(days=2)
    assert [text for vendor, text in world.sent_to(ANA) if vendor == "twilio"] == ["fallback", "follow-up"]
    assert (await world.progress()).steps[0].failed == 0


async def test_a_failure_told_after_a_delivery_changes_nothing(world: World) -> None:
    await world.launch(whatsapp(), fallbacks=[sms()])
    await world.play(minutes=1)
    row = (await world.attempts_of(ANA))[0]
    await tell_whatsapp(world, row.vendor_id, row.id, "failed", 131026)
    await world.play(hours=1)
    assert world.vendors_of(ANA) == ["whatsapp"]
    assert await world.statuses_of(ANA) == ["delivered"]
    assert (await world.attempts_of(ANA))[0].failed_at is not None  # kept, as an event


async def tell_whatsapp(world: World, wamid: str, message_id: bytes, status: str, code: int = 0) -> None:
    """WhatsApp tells a status of our making, signed and all."""
    shown: dict[str, object] = {
        "id": wamid,
        "status": status,
        "timestamp": str(world.clock.now() // SECOND),
        "recipient_id": ANA[1:],
        "biz_opaque_callback_data": message_id.hex(),
    }
    if code:
        shown["errors"] = [{"code": code, "title": "Message undeliverable"}]
    vendor = world.vendors.whatsapp
    number = next(iter(world.config.whatsapp.phone_numbers))
    value = {**vendor._head(number), "statuses": [shown]}
    request = vendor._signed(vendor._entry("messages", value))
    assert request is not None
    assert await world.rehearsal._deliver(world.house, request) == 200
    await world.hear_now()


@pytest.mark.both_databases
@pytest.mark.parametrize("step", [sms(), whatsapp()], ids=["sms", "whatsapp"])
async def test_a_receipt_before_the_answer_is_settled_counts_once(worlds: Worlds, step: dict[str, object]) -> None:
    world = await worlds(receipts=Receipts(sent=(0, 0), delivered=(0, 0), read_share=0))

    async def receipts_first(request: Request) -> None:
        await world.hear_now()
        assert await world.statuses_of(ANA) == ["delivered"]

    world.answering = receipts_first
    await world.launch(step, follow_ups=[whatsapp()])
    await world.play(seconds=1)
    world.answering = None
    assert await world.statuses_of(ANA) == ["delivered"]
    assert (await world.attempts_of(ANA))[0].vendor_id == world.accepted(ANA)[0].id
    progress = await world.progress()
    assert (progress.steps[0].sent, progress.steps[0].delivered, progress.funnel["sent"]) == (1, 1, 1)
    await world.play(days=2)
    assert len(world.accepted(ANA)) == 2  # the follow-up, once


async def test_a_failure_told_before_the_answer_lets_the_fallback_go_at_once(worlds: Worlds) -> None:
    receipts = Receipts(sent=(0, 0), delivered=(0, 0), read_share=0)
    world = await worlds(receipts=receipts, faults=Faults(rules=(Rule(vendor="whatsapp", code=131026),)))
    world.answering = lambda request: world.hear_now()
    await world.launch(whatsapp(), fallbacks=[sms()])
    await world.play(seconds=1)
    world.answering = None
    await world.play(hours=1)
    assert world.vendors_of(ANA) == ["whatsapp", "twilio"]
    assert await world.statuses_of(ANA) == ["failed", "delivered"]
    assert await world.outcome_of(ANA) == "delivered"


@pytest.mark.parametrize(("step", "vendor"), [(sms(), "twilio"), (whatsapp(), "whatsapp")], ids=["sms", "whatsapp"])
async def test_a_receipt_settles_a_message_whose_answer_was_lost(worlds: Worlds, step: dict[str, object], vendor: str) -> None:
    world = await worlds(faults=Faults(rules=(Rule(fault=Fault.CUT_AFTER),)))
    await world.launch(step)
    await world.play(hours=1)
    assert world.vendors_of(ANA) == [vendor]
    assert await world.statuses_of(ANA) == ["delivered"]
    assert await world.outcome_of(ANA) == "delivered"
    assert (await world.progress()).funnel["sent"] == 1


async def test_a_receipt_for_nothing_of_ours_is_kept_for_people(world: World) -> None:
    await world.launch(whatsapp(), people=[ANA, BRUNO])
    await world.play(hours=1)
    await tell_whatsapp(world, "wamid.unknown", bytes(16), "delivered")
    strays = await world.house.db.read(lambda c: c.exec_driver_sql("SELECT words FROM stray").scalars().all())
    assert ["no message of ours" in words for words in strays] == [True]
