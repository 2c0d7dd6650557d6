"""Answers that were lost: the vendor is asked, or its receipt awaited. Nothing is sent again on a guess."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest

from campana.core.exchange import Request, Response
from campana.engine.settle import LONGEST_KEPT, kept_of
from campana.standin.config import Receipts
from campana.standin.faults import Fault, Faults, ReceiptOdds, Rule
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, DAY, HOUR, MINUTE, World, numbers, sms, whatsapp

SILENT = ReceiptOdds(missing=1)
NEVER = Receipts(sent=(86_400, 86_400), delivered_share=0)  # what was accepted says nothing for a day


def struck(fault: Fault, times: int | None = 1, receipts: ReceiptOdds = SILENT, vendor: str | None = None) -> Faults:
    """The first calls for everybody are struck so, and receipts are as said."""
    return Faults(rules=(Rule.model_validate({"fault": fault, "times": times, "vendor": vendor}),), receipts=receipts)


TAKEN = [Fault.CUT_AFTER, Fault.SILENT, Fault.BROKEN_AFTER]


@pytest.mark.parametrize("fault", TAKEN)
async def test_twilio_is_asked_and_what_it_took_is_not_sent_again(worlds: Worlds, fault: Fault) -> None:
    world = await worlds(faults=struck(fault))
    await world.launch(sms(), people=numbers(3))
    await world.play(minutes=1)
    for phone in numbers(3):
        assert len(world.accepted(phone)) == 1
        row = (await world.attempts_of(phone))[0]
        assert row.vendor_id == world.accepted(phone)[0].id
    await world.play(days=2)
    assert len(world.accepted()) == 3
    assert await world.outcomes() == {"delivered": 3}


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.BROKEN])
async def test_what_twilio_does_not_have_twice_is_sent_again_once(worlds: Worlds, fault: Fault) -> None:
    world = await worlds(faults=struck(fault, receipts=ReceiptOdds()))
    await world.launch(sms())
    began = world.clock.now()
    await world.play(minutes=1)
    assert world.accepted(ANA) == []  # it is not there, but it may still come
    assert await world.statuses_of(ANA) == ["uncertain"]
    await world.play(hours=1)
    assert [line.at >= began + 2 * MINUTE for line in world.accepted(ANA)] == [True]
    assert await world.statuses_of(ANA) == ["failed", "delivered"]
    assert await world.outcome_of(ANA) == "delivered"
    assert (await world.progress()).steps[0].failed == 0
    assert "retry" in [kind for kind, _, _ in await world.decisions_of(ANA)]


async def test_an_earlier_message_of_the_same_words_is_not_taken_for_the_lost_one(worlds: Worlds) -> None:
    rule = Rule(vendor="twilio", fault=Fault.CUT_BEFORE, times=2)
    world = await worlds(faults=Faults(receipts=SILENT))
    await world.launch(sms())
    await world.play(seconds=10)
    world.vendors.change_faults(Faults(rules=(rule,)), world.clock.now())
    second = await world.launch(sms())
    await world.play(hours=1)
    ours = await world.attempts_of(ANA, second)
    assert [row.vendor_id for row in ours] == [None, world.accepted(ANA)[1].id]


@pytest.mark.both_databases
async def test_two_lost_answers_of_the_same_words_claim_a_message_each(worlds: Worlds) -> None:
    world = await worlds(faults=struck(Fault.CUT_AFTER, times=None))
    runs = [await world.launch(sms()) for _ in range(2)]
    await world.play(hours=1)
    found = [(await world.attempts_of(ANA, run))[0].vendor_id for run in runs]
    assert sorted(found) == sorted(line.id for line in world.accepted(ANA))


async def test_asking_goes_on_while_the_vendor_cannot_be_reached(worlds: Worlds) -> None:
    world = await worlds(faults=struck(Fault.CUT_AFTER))
    await world.launch(sms())
    world.unreachable = {"PageSize"}  # the list
    await world.play(minutes=5)
    assert await world.statuses_of(ANA) == ["uncertain"]
    world.unreachable = set()
    await world.play(minutes=5)
    assert (await world.attempts_of(ANA))[0].vendor_id == world.accepted(ANA)[0].id
    assert len(world.accepted(ANA)) == 1


@pytest.mark.parametrize("fault", TAKEN)
async def test_a_receipt_settles_what_whatsapp_took(worlds: Worlds, fault: Fault) -> None:
    world = await worlds(faults=struck(fault, receipts=ReceiptOdds()))
    await world.launch(whatsapp(), fallbacks=[sms()])
    await world.play(hours=1)
    assert world.vendors_of(ANA) == ["whatsapp"]
    assert await world.statuses_of(ANA) == ["delivered"]
    assert await world.outcome_of(ANA) == "delivered"


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_AFTER])
async def test_without_a_receipt_it_is_unknown_after_ten_minutes_and_never_sent_again(worlds: Worlds, fault: Fault) -> None:
    world = await worlds(faults=struck(fault))
    await world.launch(whatsapp())
    await world.play(minutes=9.9)
    assert await world.statuses_of(ANA) == ["uncertain"]
    await world.play(minutes=0.2)
    assert await world.statuses_of(ANA) == ["unknown"]
    await world.play(days=2)
    assert len([line for line in world.ledger.lines if line.kind in {"accepted", "fault"}]) == 1 + (fault is Fault.CUT_AFTER)
    assert await world.outcome_of(ANA) == "unknown"
    assert await world.status() == "sent"
    balance = await world.balance()
    assert (balance.lost, balance.twice, balance.unknown) == (0, 0, 1)


async def test_the_fallback_of_an_unknown_message_takes_its_turn_at_the_deadline(worlds: Worlds) -> None:
    world = await worlds(faults=struck(Fault.CUT_BEFORE, vendor="whatsapp", receipts=ReceiptOdds()))
    await world.launch(whatsapp(not_delivered_after="6h"), fallbacks=[sms()], follow_ups=[sms("again")])
    began = world.clock.now()
    await world.play(days=3)
    fallback, follow_up = world.accepted(ANA)
    assert began + 6 * HOUR <= fallback.at <= began + 6 * HOUR + MINUTE
    assert follow_up.at > fallback.at + DAY
    assert await world.statuses_of(ANA) == ["unknown", "delivered", "delivered"]
    assert await world.outcome_of(ANA) == "delivered"


async def test_a_receipt_after_it_was_called_unknown_still_tells(worlds: Worlds) -> None:
    receipts = ReceiptOdds(late=1, late_by=(1800, 1800))
    world = await worlds(faults=struck(Fault.CUT_AFTER, receipts=receipts))
    await world.launch(whatsapp())
    await world.play(minutes=20)
    assert await world.statuses_of(ANA) == ["unknown"]
    await world.play(minutes=20)
    assert await world.statuses_of(ANA) == ["delivered"]
    assert await world.outcome_of(ANA) == "delivered"


async def test_what_went_wrong_is_kept_and_secrets_are_not(world: World) -> None:
    world.vendors.change_faults(struck(Fault.CUT_BEFORE), world.clock.now())
    await world.launch(sms())
    await world.play(minutes=1)
    kept = await world.house.db.read(lambda c: c.exec_driver_sql("SELECT request, answer FROM exchange").all())
    assert len(kept) == 1
    assert world.config.twilio.auth_token not in kept[0].request
    assert "Authorization" not in kept[0].request
    assert kept[0].answer


@pytest.mark.parametrize("echoed", [str, quote_plus, lambda secret: b64encode(f"AC0:{secret}".encode()).decode()])
async def test_a_secret_that_a_vendor_echoes_is_not_kept(world: World, echoed: Callable[[str], str]) -> None:
    token, far = world.config.twilio.auth_token, "-" * (LONGEST_KEPT - 60)

    async def answers(request: Request, *_: Any) -> Response:
        body = {
            "code": 20003,
            "message": "Authenticate",
            "far": far,
            "sent": echoed(token),
            "more": echoed(token),
            "end": "x" * 900,
        }
        return Response(401, {}, json.dumps(body).encode())

    world.house.exchange = answers
    await world.launch(sms())
    await world.play(minutes=1)
    ((request, answer),) = await world.house.db.read(lambda c: c.exec_driver_sql("SELECT request, answer FROM exchange").all())
    assert "Authenticate" in answer
    assert not [at for at in range(len(token) - 7) if token[at : at + 8] in request + answer], answer[-80:]
    assert not [at for at in range(0, 60, 4) if len(echoed(token)) > 50 and echoed(token)[at + 6 : at + 14] in answer], answer[
        -80:
    ]


def test_where_a_body_is_cut_no_half_of_a_secret_stays() -> None:
    for before in range(LONGEST_KEPT - 12, LONGEST_KEPT + 2):
        assert "0123" not in kept_of(b"-" * before + b"0123456789" * 300, ["0123456789"])
    assert kept_of(b"x" * 9_000, ["0123456789"]) == "x" * LONGEST_KEPT
    assert kept_of(b"abc", []) == "abc"
