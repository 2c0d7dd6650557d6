"""Whole journeys through real parts: primary, fallbacks, follow-ups, and what ends them."""

from __future__ import annotations

from typing import Any

import pytest

from campana.core.campaign import CampaignFile
from campana.engine import wake
from campana.engine.launch import Refused
from campana.engine.worker import pump
from campana.standin.faults import Fault, Faults, ReceiptOdds, Rule
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, BRUNO, DAY, HOUR, NINE, REMINDER, SECOND, World, sms, whatsapp

NOT_ON_WHATSAPP = Rule(vendor="whatsapp", code=131026)


async def test_the_primary_reaches_a_person_and_the_campaign_is_sent(world: World) -> None:
    await world.launch(whatsapp())
    await world.play(hours=1)
    assert world.sent_to(ANA) == [("whatsapp", REMINDER.format(name="Ana"))]
    assert await world.outcome_of(ANA) == "delivered"
    assert await world.status() == "sent"


@pytest.mark.both_databases
async def test_fallbacks_take_their_turn_in_order_until_one_arrives(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(NOT_ON_WHATSAPP,)))
    steps = [whatsapp("recordatorio_cita", language="es_MX"), sms("first"), sms("second")]
    await world.launch(whatsapp(), fallbacks=steps)
    await world.play(hours=1)
    assert world.vendors_of(ANA) == ["whatsapp", "whatsapp", "twilio"]
    assert world.sent_to(ANA)[-1] == ("twilio", "first")
    assert await world.outcome_of(ANA) == "delivered"
    kinds = [(kind, step) for kind, step, _ in await world.decisions_of(ANA)]
    assert kinds == [("fallback", 1), ("fallback", 2)]


async def test_everybody_unreached_when_no_step_arrives(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(NOT_ON_WHATSAPP, Rule(vendor="twilio", code=30005))))
    await world.launch(whatsapp(), fallbacks=[sms("first"), sms("second")], follow_ups=[sms("are you there?")])
    await world.play(days=9)
    assert [text for vendor, text in world.sent_to(ANA) if vendor == "twilio"] == ["first", "second"]
    assert await world.outcome_of(ANA) == "unreached"
    assert await world.status() == "sent"


# What the vendor says of the WhatsApp message, and whether the SMS is sent, how long after acceptance.
NOT_DELIVERED: list[tuple[str, dict[str, Any], bool, int]] = [
    ("refused in the answer", {"rules": (Rule(vendor="whatsapp", code=131009),)}, True, 0),
    ("failed by a receipt", {"rules": (NOT_ON_WHATSAPP,)}, True, 3 * SECOND),
    ("no receipt by the deadline", {"receipts": ReceiptOdds(missing=1)}, True, 6 * HOUR),
    ("opted out, in a receipt", {"rules": (Rule(vendor="whatsapp", code=131050, told="receipt"),)}, False, 0),
    ("opted out, in the answer", {"rules": (Rule(vendor="whatsapp", code=131050, told="answer"),)}, False, 0),
]


@pytest.mark.parametrize(("label", "faults", "falls_back", "after"), NOT_DELIVERED, ids=[row[0] for row in NOT_DELIVERED])
async def test_the_fallback_fires_when_the_message_is_not_delivered(
    worlds: Worlds, label: str, faults: dict[str, Any], falls_back: bool, after: int
) -> None:
    world = await worlds(faults=Faults(**{"receipts": ReceiptOdds(), **faults}))
    await world.launch(whatsapp(not_delivered_after="6h"), fallbacks=[sms("by SMS", not_delivered_after="6h")])
    began = world.clock.now()
    await world.play(days=2)
    by_sms = [line for line in world.accepted(ANA) if line.vendor == "twilio"]
    if falls_back:
        assert [line.text for line in by_sms] == ["by SMS"]
        assert began + after <= by_sms[0].at <= began + after + SECOND
    else:
        assert by_sms == []
        assert await world.outcome_of(ANA) == "opted_out"


async def test_a_vendor_that_can_be_asked_is_asked_before_a_deadline_fires(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(receipts=ReceiptOdds(missing=1)))
    await world.launch(sms(not_delivered_after="6h"), fallbacks=[whatsapp()])
    await world.play(days=2)
    assert world.vendors_of(ANA) == ["twilio"]
    assert await world.outcome_of(ANA) == "delivered"


async def test_channels_that_lack_the_data_are_skipped_with_the_reason(world: World) -> None:
    people = [{"name": "", "phone": ANA, "code": "A1"}]
    await world.launch(whatsapp(), fallbacks=[sms("{{name}}"), sms("Your code: {{code}}")], people=people)
    await world.play(hours=1)
    assert world.sent_to(ANA) == [("twilio", "Your code: A1")]
    skipped = [(step, reason) for kind, step, reason in await world.decisions_of(ANA) if kind == "skip"]
    assert [step for step, _ in skipped] == [0, 1]
    assert all(reason for _, reason in skipped)
    assert [step.skipped for step in (await world.progress()).steps] == [1, 1, 0]


async def test_an_opted_out_channel_is_skipped_and_the_next_one_used(world: World) -> None:
    world.reply(ANA, "STOP", over="whatsapp")
    await world.play()
    await world.launch(whatsapp(), fallbacks=[sms()])
    await world.play(hours=1)
    assert world.vendors_of(ANA) == ["twilio"]
    assert ("skip", 0, "opted out of whatsapp") in await world.decisions_of(ANA)


async def test_a_person_opted_out_of_every_channel_is_suppressed(world: World) -> None:
    world.reply(ANA, "STOP", over="whatsapp")
    world.reply(ANA, "STOP", over="sms")
    await world.play()
    await world.launch(whatsapp(), fallbacks=[sms()])
    await world.play(hours=1)
    assert world.sent_to(ANA) == []
    assert await world.outcome_of(ANA) == "suppressed"


async def test_without_a_phone_the_step_is_passed_over_at_once(world: World) -> None:
    people = [{"name": "Ana", "phone": "", "email": "ana@example.com"}, {"name": "Bruno", "phone": BRUNO, "email": ""}]
    await world.launch(whatsapp(), fallbacks=[sms()], follow_ups=[sms("are you there?")], people=people)
    await world.play(seconds=1)
    assert await world.outcome_of("ana@example.com") == "skipped"
    assert [kind for kind, _, _ in await world.decisions_of("ana@example.com")] == ["skip", "fallback", "skip"]
    assert world.vendors_of(BRUNO) == ["whatsapp"]


@pytest.mark.parametrize("days", [1, 2, 7])
async def test_a_follow_up_comes_so_many_days_after_the_delivery(world: World, days: int) -> None:
    await world.launch(whatsapp(), follow_ups=[sms("are you there?", after=f"{days} days")])
    await world.play(days=days + 1)
    first, follow_up = world.accepted(ANA)
    delivered_at = first.at + 3 * SECOND
    assert (follow_up.vendor, follow_up.text) == ("twilio", "are you there?")
    assert follow_up.at == delivered_at + days * DAY
    assert await world.outcome_of(ANA) == "delivered"


@pytest.mark.parametrize("after", ["0 days", "8 days", "36h", "-1 days", "a week"])
def test_a_follow_up_after_anything_but_1_to_7_days_is_refused(after: str) -> None:
    with pytest.raises(ValueError, match=r"1 to 7 whole days|not a length"):
        CampaignFile.model_validate({"name": "A", "primary": sms(), "follow_ups": [sms(after=after)]})


async def test_the_second_follow_up_is_counted_from_the_first(world: World) -> None:
    await world.launch(whatsapp(), follow_ups=[sms("one", after="2 days"), sms("two", after="3 days")])
    await world.play(days=9)
    first, one, two = world.accepted(ANA)
    assert one.at == first.at + 3 * SECOND + 2 * DAY
    assert two.at == one.at + 3 * SECOND + 3 * DAY


async def test_the_follow_up_is_counted_from_the_fallback_when_only_that_arrived(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(receipts=ReceiptOdds(), rules=(NOT_ON_WHATSAPP,)))
    await world.launch(whatsapp(), fallbacks=[sms("fallback")], follow_ups=[sms("follow-up", after="1 day")])
    await world.play(days=2)
    fallback, follow_up = (line for line in world.accepted(ANA) if line.vendor == "twilio")
    assert follow_up.at == fallback.at + 3 * SECOND + DAY


async def test_a_follow_up_that_fails_ends_the_journey_as_delivered(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(vendor="twilio", code=30005),)))
    await world.launch(whatsapp(), follow_ups=[sms("one"), sms("two")])
    await world.play(days=9)
    assert [text for vendor, text in world.sent_to(ANA) if vendor == "twilio"] == ["one"]
    assert await world.outcome_of(ANA) == "delivered"


REPLIES = [
    ("before the delivery, over the same channel", 1, "whatsapp"),
    ("on another channel than it was asked on", HOUR // SECOND, "sms"),
    ("in the same instant in which the follow-up is due", 3 + DAY // SECOND, "whatsapp"),
    ("in that instant, over the other channel", 3 + DAY // SECOND, "sms"),
]


@pytest.mark.parametrize(("label", "at", "over"), REPLIES, ids=[row[0] for row in REPLIES])
async def test_a_reply_at_any_point_cancels_the_follow_up(world: World, label: str, at: int, over: str) -> None:
    await world.launch(whatsapp(), follow_ups=[sms("are you there?")])
    began = world.clock.now()
    await world.play(seconds=min(at, DAY // SECOND))
    world.clock.advance_to(began + at * SECOND)
    world.reply(ANA, "yes", over=over)
    await world.play(days=3)
    assert world.vendors_of(ANA) == ["whatsapp"]
    assert await world.outcome_of(ANA) == "replied"
    assert await world.status() == "sent"


@pytest.mark.both_databases
async def test_a_reply_after_the_cut_and_before_the_start_is_seen_at_the_last_moment(world: World) -> None:
    await world.launch(whatsapp(), follow_ups=[sms("are you there?")])
    await world.play(hours=1)
    world.clock.advance_to(world.clock.now() + DAY)
    await pump(world.house)
    assert (await world.person(ANA)).unit_id is not None  # the follow-up is in a worker's reach
    world.reply(ANA, "yes")
    await world.play(days=1)
    assert world.vendors_of(ANA) == ["whatsapp"]
    assert ("cancel", 1, "the person replied") in await world.decisions_of(ANA)


@pytest.mark.both_databases
async def test_a_follow_up_is_sent_exactly_once_over_restarts_and_doubled_receipts(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(receipts=ReceiptOdds(doubled=1)))
    await world.launch(whatsapp(), follow_ups=[sms("are you there?")])
    for hours in (1, 22, 0.5, 0.5, 0.5, 24):
        await world.play(hours=hours)
        await world.restart()
    assert world.sent_to(ANA) == [("whatsapp", REMINDER.format(name="Ana")), ("twilio", "are you there?")]


async def test_a_scheduled_campaign_waits_for_its_start_over_restarts(world: World) -> None:
    start = NINE + 5 * HOUR
    await world.launch(sms(), start=start)
    await world.play(hours=3)
    await world.restart()
    assert await world.status() == "scheduled"
    assert world.accepted() == []
    assert (await world.outcomes()) == {"waiting": 1}
    await world.play(hours=1)
    await world.restart()
    world.clock.advance_to(start)  # down while the moment passes
    await world.restart()
    await world.play(hours=4)
    assert [line.at for line in world.accepted(ANA)] == [start]
    assert await world.status() == "sent"


async def test_starting_a_run_a_second_time_does_nothing(world: World) -> None:
    await world.launch(sms(), people=[ANA, BRUNO])
    now = world.clock.now()
    assert await world.house.db.run(wake.start_runs, world.house, now) == 1
    assert await world.house.db.run(wake.start_runs, world.house, now) == 0
    await world.play(hours=1)
    await world.house.db.run(wake.start_runs, world.house, world.clock.now())
    await world.play(hours=1)
    assert len(world.accepted()) == 2


async def test_the_progress_follows_the_callbacks(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(vendor="whatsapp", number=BRUNO, code=131026),)))
    await world.launch(whatsapp(), fallbacks=[sms()], follow_ups=[sms("still there?")], people=[ANA, BRUNO])
    funnels = []
    for seconds in (0, 3, 4):
        await world.play(seconds=seconds)
        funnels.append(dict((await world.progress()).funnel))
    world.reply(ANA, "yes", over="whatsapp")
    await world.play()
    funnels.append(dict((await world.progress()).funnel))
    figures = [(one["audience"], one["sent"], one["delivered"], one["replied"]) for one in funnels]
    assert figures == [(2, 2, 0, 0), (2, 2, 1, 0), (2, 2, 2, 0), (2, 2, 2, 1)]
    progress = await world.progress()
    assert [(step.sent, step.delivered, step.failed) for step in progress.steps] == [(2, 1, 1), (1, 1, 0), (0, 0, 0)]
    assert [(one.code, one.count) for one in progress.failures] == [("131026", 1)]


async def test_a_campaign_is_sending_until_the_last_follow_up_is_over(world: World) -> None:
    await world.launch(whatsapp(), follow_ups=[sms("are you there?", after="7 days")], people=[ANA, BRUNO])
    statuses = []
    for days in (1, 5, 1, 1):
        await world.play(days=days)
        statuses.append(await world.status())
    assert statuses == ["sending", "sending", "sending", "sent"]


async def test_a_failed_message_counts_no_further_than_its_own_step(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(vendor="whatsapp", fault=Fault.CUT_AFTER, times=1),)))
    await world.launch(whatsapp())
    await world.play(hours=1)
    assert [step.sent for step in (await world.progress()).steps] == [1]
    assert (await world.progress()).funnel["sent"] == 1


async def test_a_second_campaign_of_the_same_name_is_refused(world: World) -> None:
    await world.launch(sms(), name="Visit reminders")
    with pytest.raises(Refused, match="already a campaign named"):
        await world.launch(sms(), name="  visit  REMINDERS ")
    await world.play(hours=1)
    assert len(world.accepted(ANA)) == 1
