"""What holds people back: pause, Finish, hours, budget, pace, templates, senders in trouble. Nobody is dropped."""

from __future__ import annotations

import pytest

from campana.core.exchange import Request
from campana.engine import cut, launch, wake
from campana.engine.launch import Refused
from campana.standin.faults import Fault, Faults, ReceiptOdds, Rule
from campana.store import reports
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, BRUNO, CARLA, DAY, HOUR, MINUTE, NINE, SECOND, World, numbers, sms, whatsapp

MIDNIGHT = NINE + 15 * HOUR


@pytest.mark.both_databases
async def test_nothing_is_handed_over_after_a_pause_and_all_of_it_after_a_resume(worlds: Worlds) -> None:
    world = await worlds(pace=8)
    people = numbers(20)
    await world.launch(sms(), people=people)
    await world.play(seconds=1)
    before = len(world.accepted())
    assert 0 < before < 20
    assert await world.act(launch.pause)
    await world.play(days=1)
    assert len(world.accepted()) == before
    assert await world.status() == "paused"
    assert await world.act(launch.resume)
    await world.play(hours=1)
    assert sorted(line.to for line in world.accepted()) == people
    assert await world.status() == "sent"


async def test_a_pause_takes_effect_between_two_chunks(worlds: Worlds) -> None:
    world = await worlds(pace=40)  # ten in a chunk

    async def pause_meanwhile(request: Request) -> None:
        await world.act(launch.pause)

    world.answering = pause_meanwhile
    await world.launch(sms(), people=numbers(60))
    await world.play(seconds=30)
    assert len(world.accepted()) == 10
    assert await world.units() == 0


async def test_a_pause_does_not_stop_receipts_and_replies(world: World) -> None:
    await world.launch(sms(), follow_ups=[sms("again")], people=[ANA, BRUNO])
    await world.play(seconds=1)
    await world.act(launch.pause)
    await world.play(hours=1)
    world.reply(ANA, "yes")
    await world.play()
    assert await world.statuses_of(ANA) == ["delivered"]
    assert await world.outcomes() == {"replied": 1, "waiting": 1}
    await world.play(days=2)
    await world.act(launch.resume)
    await world.play(hours=1)
    assert [text for _, text in world.sent_to(BRUNO)] == ["Hi Ana", "again"]


async def test_a_paused_campaign_whose_people_are_all_done_is_sent(world: World) -> None:
    await world.launch(sms(), people=[ANA, BRUNO])
    await world.play(seconds=1)
    assert await world.act(launch.pause)
    await world.play(minutes=1)
    assert await world.outcomes() == {"delivered": 2}
    assert await world.status() == "sent"


async def test_a_campaign_not_yet_started_can_be_ended(world: World) -> None:
    await world.launch(sms(), people=[ANA, BRUNO], start=NINE + HOUR)
    assert await world.act(launch.finish)
    await world.play(days=1)
    assert world.accepted() == []
    assert await world.outcomes() == {"ended": 2}
    assert await world.status() == "ended"


async def test_a_campaign_not_yet_started_can_be_paused_and_waits_for_its_start_again(world: World) -> None:
    start = NINE + HOUR
    await world.launch(sms(), people=[ANA], start=start)
    assert await world.act(launch.pause)
    await world.play(minutes=30)
    assert await world.act(launch.resume)
    assert await world.status() == "scheduled"
    assert await world.act(launch.pause)
    await world.play(hours=1)
    assert world.accepted() == []
    assert await world.act(launch.resume)  # its start is past: it begins at once
    await world.play()
    assert [line.at for line in world.accepted()] == [world.clock.now()]


async def test_finish_is_final_and_gives_everybody_an_outcome(worlds: Worlds) -> None:
    world = await worlds(pace=8)
    await world.launch(sms(), fallbacks=[whatsapp()], follow_ups=[sms("again")], people=numbers(40))
    await world.play(seconds=1)
    handed = len(world.accepted())
    assert await world.act(launch.finish)
    await world.play(days=3)
    assert len(world.accepted()) == handed
    outcomes = await world.outcomes()
    assert sum(outcomes.values()) == 40
    assert set(outcomes) == {"delivered", "ended"}
    assert await world.status() == "ended"
    for again in (launch.resume, launch.pause, launch.finish):
        assert not await world.act(again)
    await world.play(days=1)
    assert len(world.accepted()) == handed


@pytest.mark.both_databases
async def test_finish_in_the_midst_of_enrolment_accounts_for_everybody(worlds: Worlds) -> None:
    world = await worlds(pace=4)
    await world.launch(sms(), people=numbers(2500))
    await world.house.db.run(launch.finish, world.runs[0], world.clock.now())
    await world.play(hours=1)
    assert world.accepted() == []
    assert await world.outcomes() == {"ended": 2500}


async def test_finish_closes_the_campaigns_conversations_and_no_others(world: World) -> None:
    first = await world.launch(whatsapp(), people=[ANA])
    second = await world.launch(whatsapp(), people=[BRUNO])
    await world.play(hours=1)
    for phone in (ANA, BRUNO):
        world.reply(phone, "yes", over="whatsapp")
    await world.play()
    third = await world.launch(whatsapp(), people=[ANA, CARLA], follow_ups=[sms()])
    await world.play(hours=1)
    world.reply(ANA, "yes", over="whatsapp")
    await world.play()
    assert await world.act(launch.finish, third)
    await world.play()
    assert {run: status for status, run in await world.conversations()} == {first: "open", second: "open", third: "closed"}


async def test_hours_hold_until_they_open_and_say_so(world: World) -> None:
    hours = {"from": "08:00", "to": "21:00", "zone": "-05:00"}
    await world.launch(sms(), follow_ups=[sms("again")], people=[ANA, BRUNO], hours=hours)
    await world.play(hours=1)
    opens = NINE + 4 * HOUR  # 13:00 UTC
    assert world.accepted() == []
    assert await world.held() == [(opens, "active hours")]
    assert list(map(str, (await world.progress()).held)) == ["sms: held until 2026-12-01 13:00 UTC: active hours"]
    await world.play(hours=3.5)
    assert await world.status() == "sending"
    assert (await world.progress()).held == []  # they are open
    await world.play(hours=1.5)
    assert [line.at for line in world.accepted()] == [opens, opens]


async def test_hours_that_close_in_the_midst_hold_the_rest_until_the_next_day(worlds: Worlds) -> None:
    world = await worlds(pace=0.25, faults=Faults(receipts=ReceiptOdds(missing=1)))
    hours = {"from": "09:00", "to": "09:01", "zone": "UTC"}
    await world.launch(sms(), people=numbers(25), hours=hours)
    await world.play(days=1.5)
    at = [line.at - NINE for line in world.accepted()]
    assert len(at) == 25
    assert all(moment % DAY < MINUTE for moment in at)
    assert {moment // DAY for moment in at} == {0, 1}


async def test_a_follow_up_due_in_the_night_waits_for_the_morning(world: World) -> None:
    hours = {"from": "08:00", "to": "21:00", "zone": "UTC"}
    world.clock.advance_to(NINE + 11 * HOUR + 59 * MINUTE + 59 * SECOND)  # 20:59:59: delivered at 21:00:02
    await world.launch(sms(), follow_ups=[sms("again")], hours=hours)
    await world.play(days=3)
    assert [line.at for line in world.accepted(ANA)][1] == NINE + 47 * HOUR  # not at 21:00:02, but at 8:00 of the day after


@pytest.mark.both_databases
async def test_the_daily_limit_holds_the_rest_to_the_next_utc_day(worlds: Worlds) -> None:
    world = await worlds(daily_limit=7)
    await world.launch(sms(), people=numbers(20))
    await world.play(hours=1)
    assert len(world.accepted()) == 7
    assert list(map(str, (await world.progress()).held)) == [
        "sms: held until 2026-12-02 00:00 UTC: today's limit of the sender is used up"
    ]
    assert await world.held() == [(MIDNIGHT, "today's limit of the sender is used up")]
    await world.play(days=4)
    days = [(line.at - MIDNIGHT) // DAY for line in world.accepted()]
    assert days == [-1] * 7 + [0] * 7 + [1] * 6
    assert await world.status() == "sent"
    assert not (await world.progress()).held


async def test_the_daily_limit_counts_segments(worlds: Worlds) -> None:
    world = await worlds(daily_limit=7)
    await world.launch(sms("x" * 161), people=numbers(5))  # two segments each
    await world.play(hours=1)
    assert len(world.accepted()) == 3
    await world.play(days=1)
    assert len(world.accepted()) == 5


@pytest.mark.both_databases
async def test_a_sender_whose_weight_is_messages_counts_a_long_text_once(worlds: Worlds) -> None:
    sender = {"integration": "sms", "address": "+15017122661", "daily_limit": 7, "weight": "messages", "pace": 10}
    world = await worlds(senders={"sms": sender})
    await world.launch(sms("x" * 161), people=numbers(9))  # two segments each
    await world.play(hours=1)
    assert len(world.accepted()) == 7
    await world.play(days=1)
    assert len(world.accepted()) == 9


async def test_who_is_heavier_than_a_day_holds_up_nobody_else(worlds: Worlds) -> None:
    world = await worlds(daily_limit=1)
    heavy = {"name": "x" * 161, "phone": ANA}
    await world.launch(sms("{{name}}"), people=[heavy, {"name": "Bruno", "phone": BRUNO}])
    await world.play(hours=1)
    assert [line.to for line in world.accepted()] == [BRUNO]
    why = "it counts as 2 messages, and the sender may send 1 a day"
    assert await world.decisions_of(ANA) == [("skip", 0, why)]
    assert await world.outcomes() == {"delivered": 1, "skipped": 1}


PACES = [(8, "Hi", 1), (8, "x" * 161, 2), (1, "x" * 400, 3), (0.5, "Hi", 1), (16, "Hi", 1)]


@pytest.mark.parametrize(("pace", "text", "segments"), PACES)
async def test_the_pace_of_a_sender_is_never_exceeded(worlds: Worlds, pace: float, text: str, segments: int) -> None:
    world = await worlds(pace=pace, faults=Faults(receipts=ReceiptOdds(missing=1)))
    count = int(pace * 1.5) + 10
    await world.launch(sms(text), people=numbers(count))
    await world.play(hours=1)
    at = [line.at for line in world.accepted()]
    assert len(at) == count
    burst = max(segments, int(pace / 4), 1)
    for first in range(count):
        for last in range(first + 1, count):
            weight, seconds = (last - first + 1) * segments, (at[last] - at[first]) / SECOND
            assert weight <= burst + pace * seconds + 0.001
    ideal = (count * segments - burst) / pace
    assert (at[-1] - at[0]) / SECOND <= ideal * 1.1 + 1  # and it is used


@pytest.mark.both_databases
async def test_two_campaigns_share_a_sender_fairly_and_no_more_is_cut_than_it_sends_soon(worlds: Worlds) -> None:
    world = await worlds(pace=8)
    for first in (2_000_000, 3_000_000):
        await world.launch(sms(), people=numbers(60, first))
    db, house = world.house.db, world.house
    await db.run(wake.start_runs, house, world.clock.now())
    await db.run(wake.enrol, house, world.clock.now())
    assert await db.run(cut.cut, world.clock.now()) == 8 * cut.AHEAD_SECONDS
    assert await db.run(cut.cut, world.clock.now()) == 0
    sizes = await db.read(lambda c: c.exec_driver_sql("SELECT sum(size) FROM unit GROUP BY flow_id").scalars().all())
    assert sizes == [20, 20]


async def test_a_template_paused_by_webhook_holds_the_step_until_it_is_approved(world: World) -> None:
    await world.launch(whatsapp(), people=[ANA, BRUNO], start=NINE + HOUR)
    world.vendors.whatsapp.set_template("visit_reminder", "en_US", "PAUSED", world.clock.now())
    await world.play(hours=2)
    assert [line.kind for line in world.ledger.lines if line.kind in {"accepted", "refused"}] == []
    assert await world.outcomes() == {"waiting": 2}
    assert any("PAUSED" in why or "paused" in why for why in map(str, (await world.progress()).held))
    world.vendors.whatsapp.set_template("visit_reminder", "en_US", "APPROVED", world.clock.now())
    await world.play(hours=1)
    assert len(world.accepted()) == 2
    assert await world.outcomes() == {"delivered": 2}


async def test_a_template_that_is_not_approved_is_refused_at_launch(world: World) -> None:
    world.vendors.whatsapp.set_template("visit_reminder", "en_US", "REJECTED", world.clock.now())
    await world.play()
    with pytest.raises(Refused, match="visit_reminder"):
        await world.launch(whatsapp())
    assert world.runs == []


async def test_our_own_trouble_without_a_fallback_pauses_the_sender_and_burns_nobody(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(vendor="whatsapp", code=190, told="answer"),)), pace=40)
    people = numbers(30)
    await world.launch(whatsapp(), fallbacks=[sms()], people=people)
    await world.play(days=2)
    assert (await world.sender("wa")).paused_at is not None
    assert await world.outcomes() == {"waiting": 30}
    assert world.accepted() == []
    assert any("190" in why for why in map(str, (await world.progress()).held))
    world.vendors.change_faults(Faults(), world.clock.now())
    assert await world.act(launch.resume)
    await world.play(hours=1)
    assert sorted(line.to for line in world.accepted()) == people
    assert await world.outcomes() == {"delivered": 30}


async def test_our_own_trouble_with_a_step_holds_that_step_and_not_the_sender(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(vendor="whatsapp", number=ANA, code=132012, told="answer"),)))
    held = await world.launch(whatsapp(), people=[ANA])
    await world.play(hours=1)
    await world.launch(whatsapp("recordatorio_cita", language="es_MX"), people=[BRUNO])
    await world.play(hours=1)
    assert await world.outcomes(held) == {"waiting": 1}
    assert (await world.sender("wa")).paused_at is None
    assert world.vendors_of(BRUNO) == ["whatsapp"]


async def test_our_own_trouble_that_lets_fall_back_falls_back(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(vendor="whatsapp", code=131042, told="answer"),)))
    await world.launch(whatsapp(), fallbacks=[sms()])
    await world.play(hours=1)
    assert world.vendors_of(ANA) == ["twilio"]
    assert (await world.sender("wa")).paused_at is None
    assert (await world.sender("wa")).trouble


async def test_a_vendor_that_asks_for_patience_gets_it(worlds: Worlds) -> None:
    rule = Rule(vendor="twilio", number=ANA, fault=Fault.THROTTLED, times=1)
    world = await worlds(faults=Faults(rules=(rule,), retry_after=90), pace=4)
    people = [ANA, *numbers(10)]
    await world.launch(sms(), people=people)
    await world.play(hours=1)
    throttled = next(line.at for line in world.ledger.lines if line.kind == "fault")
    after = [line.at for line in world.accepted() if line.at > throttled]
    assert min(after) >= throttled + 90 * SECOND
    assert sorted(line.to for line in world.accepted()) == sorted(people)


async def test_an_unreachable_vendor_burns_nobody_and_sending_goes_on_later(world: World) -> None:
    world.unreachable = {"2010-04-01"}
    people = numbers(12)
    await world.launch(sms(not_delivered_after="30 min"), fallbacks=[whatsapp()], people=people)
    await world.play(hours=1)  # longer than the step's deadline
    assert world.accepted() == []
    assert await world.outcomes() == {"waiting": 12}
    assert any("no way to the vendor" in why for why in map(str, (await world.progress()).held))
    world.unreachable = set()
    await world.play(hours=1)
    assert sorted(line.to for line in world.accepted()) == people
    assert {line.vendor for line in world.accepted()} == {"twilio"}
    assert (await world.sender("sms")).trouble is None
    assert (await world.progress()).steps[0].failed == 0


async def test_a_sender_that_is_in_the_settings_no_more_holds_its_people_and_says_so(world: World) -> None:
    await world.launch(sms(), people=[ANA, BRUNO], start=NINE + HOUR)
    named = world.settings
    world.settings = named.model_copy(
        update={"senders": {"wa": named.senders["wa"]}, "integrations": {"wa": named.integrations["wa"]}}
    )
    await world.restart()
    await world.play(hours=2)
    assert world.accepted() == []
    assert await world.units() == 0  # nobody works in vain
    assert list(map(str, (await world.progress()).held)) == ["the sender sms is not in the settings any more"]
    assert await world.house.db.read(reports.waits_for_people, world.runs[-1])
    world.settings = named
    await world.restart()
    await world.play(hours=1)
    assert sorted(line.to for line in world.accepted()) == [ANA, BRUNO]
    assert await world.status() == "sent"
