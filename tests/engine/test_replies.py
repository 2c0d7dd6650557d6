"""What people write back: whose journey it ends, and what they no longer want."""

from __future__ import annotations

import pytest

from campana.engine import launch
from campana.standin.faults import Fault, Faults, ReceiptOdds, Rule
from campana.standin.numbers import wa_id_of
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, BRUNO, World, sms, whatsapp

UNLIKE = ["+525511223344", "+541123456789", "+5511987654321"]  # MX, AR, BR: their wa_id is not their number


@pytest.mark.parametrize("phone", UNLIKE)
async def test_a_person_whose_wa_id_is_unlike_the_number_is_found_by_a_reply(world: World, phone: str) -> None:
    assert wa_id_of(phone) != phone[1:]
    await world.launch(whatsapp(), follow_ups=[sms("are you there?")], people=[phone])
    await world.play(hours=1)
    world.reply(phone, "yes", over="whatsapp")
    await world.play(days=2)
    assert await world.outcome_of(phone) == "replied"
    assert world.vendors_of(phone) == ["whatsapp"]


@pytest.mark.parametrize("phone", UNLIKE)
async def test_such_a_person_who_stops_over_whatsapp_is_written_to_no_more(world: World, phone: str) -> None:
    await world.launch(whatsapp(), people=[phone])
    await world.play(hours=1)
    world.reply(phone, "stop", over="whatsapp")
    await world.play()
    await world.launch(whatsapp(), people=[phone])
    await world.play(hours=1)
    assert len(world.accepted(phone)) == 1
    assert await world.outcome_of(phone) == "suppressed"


@pytest.mark.parametrize("words", ["yes", "STOP"])
@pytest.mark.parametrize("phone", UNLIKE)
async def test_such_a_person_is_found_even_when_the_answer_that_names_them_was_lost(
    worlds: Worlds, phone: str, words: str
) -> None:
    lost = Faults(rules=(Rule(fault=Fault.CUT_AFTER, vendor="whatsapp"),), receipts=ReceiptOdds(missing=1))
    world = await worlds(faults=lost)
    await world.launch(whatsapp(), fallbacks=[sms()], people=[phone])
    await world.play(hours=1)
    world.reply(phone, words, over="whatsapp")
    await world.play(days=2)
    assert await world.outcome_of(phone) == ("opted_out" if words == "STOP" else "replied")
    assert world.vendors_of(phone) == ["whatsapp"]


async def test_a_reply_belongs_to_the_campaign_that_wrote_last(world: World) -> None:
    first = await world.launch(whatsapp(), follow_ups=[sms("first")])
    await world.play(hours=1)
    second = await world.launch(sms(), follow_ups=[sms("second")])
    await world.play(hours=1)
    world.reply(ANA, "yes")
    await world.play(days=2)
    assert await world.outcome_of(ANA, second) == "replied"
    assert await world.outcome_of(ANA, first) == "delivered"
    assert [text for _, text in world.sent_to(ANA)][2:] == ["first"]


async def test_a_reply_that_quotes_an_older_message_belongs_to_that(world: World) -> None:
    first = await world.launch(whatsapp(), follow_ups=[sms("first")])
    await world.play(hours=1)
    second = await world.launch(whatsapp(), follow_ups=[sms("second")])
    await world.play(hours=1)
    world.reply(ANA, "yes", over="whatsapp", quotes=world.accepted(ANA)[0].id)
    await world.play()
    assert (await world.outcome_of(ANA, first), await world.outcome_of(ANA, second)) == ("replied", "waiting")


async def test_a_campaign_that_was_ended_gets_no_replies(world: World) -> None:
    first = await world.launch(whatsapp(), follow_ups=[sms("first")])
    await world.play(hours=1)
    second = await world.launch(sms(), follow_ups=[sms("second")])
    await world.play(hours=1)
    await world.act(launch.finish, second)
    world.reply(ANA, "yes")
    await world.play(days=2)
    assert await world.outcome_of(ANA, first) == "replied"
    assert await world.outcome_of(ANA, second) == "delivered"


async def test_two_campaigns_in_parallel_receive_their_own_replies(world: World) -> None:
    first = await world.launch(whatsapp(), people=[ANA], follow_ups=[sms()])
    second = await world.launch(whatsapp(), people=[BRUNO], follow_ups=[sms()])
    await world.play(hours=1)
    for phone in (ANA, BRUNO):
        world.reply(phone, "yes", over="whatsapp")
    await world.play()
    assert await world.outcome_of(ANA, first) == "replied"
    assert await world.outcome_of(BRUNO, second) == "replied"
    assert {run for _, run in await world.conversations()} == {first, second}


@pytest.mark.both_databases
async def test_a_reply_told_twice_is_one_reply(world: World) -> None:
    await world.launch(whatsapp(), follow_ups=[sms()])
    await world.play(hours=1)
    world.reply(ANA, "yes", over="whatsapp")
    inbound = world.vendors.whatsapp.due(world.clock.now())[0]
    for _ in range(2):
        assert await world.rehearsal._deliver(world.house, inbound.request) == 200
        await world.play()
    count = await world.house.db.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM inbound").scalar())
    assert count == 1
    assert (await world.progress()).funnel["replied"] == 1


async def test_somebody_nobody_wrote_to_is_heard_and_belongs_to_no_campaign(world: World) -> None:
    await world.launch(whatsapp(), people=[BRUNO])
    await world.play(hours=1)
    world.reply(ANA, "hello?")
    await world.play()
    assert await world.conversations() == [("open", None)]


# Words of a person, and whether they take them out of everything.
WORDS = [
    ("STOP", True),
    ("stop", True),
    ("Stop.", True),
    ("  StopAll! ", True),
    ("UNSUBSCRIBE", True),
    ("Baja", True),
    ("SAIR", True),
    ("please stop by tomorrow", False),
    ("yes", False),
    ("no", False),
]


@pytest.mark.parametrize("over", ["sms", "whatsapp"])
@pytest.mark.parametrize(("words", "stops"), WORDS)
async def test_words_of_opt_out_end_every_journey_of_a_person(world: World, words: str, stops: bool, over: str) -> None:
    first = await world.launch(whatsapp(), follow_ups=[sms("first")])
    await world.play(hours=1)
    second = await world.launch(sms(), follow_ups=[sms("second")])
    await world.play(hours=1)
    world.reply(ANA, words, over=over)
    await world.play(days=2)
    outcomes = [await world.outcome_of(ANA, run) for run in (first, second)]
    assert outcomes == (["opted_out", "opted_out"] if stops else ["delivered", "replied"])
    assert await world.suppressed() == ([(ANA, over)] if stops else [])
    assert len(world.accepted(ANA)) == (2 if stops else 3)


async def test_start_lifts_an_opt_out(world: World) -> None:
    world.reply(ANA, "STOP")
    await world.play()
    await world.launch(sms())
    await world.play(hours=1)
    assert world.sent_to(ANA) == []
    world.reply(ANA, "START")
    await world.play()
    await world.launch(sms())
    await world.play(hours=1)
    assert world.vendors_of(ANA) == ["twilio"]
    assert await world.suppressed() == []


@pytest.mark.both_databases
async def test_start_after_stop_in_one_instant_holds_in_the_order_of_arrival(world: World) -> None:
    for words in ("STOP", "START", "CANCEL", "UNSTOP", "QUIT"):
        world.reply(ANA, words)
        await world.rehearsal._tell(world.house)
    await world.play()
    assert await world.suppressed() == [(ANA, "sms")]


async def test_yes_of_somebody_who_had_not_stopped_is_a_reply(world: World) -> None:
    await world.launch(sms(), follow_ups=[sms("again")])
    await world.play(hours=1)
    world.reply(ANA, "YES")
    await world.play(days=2)
    assert await world.outcome_of(ANA) == "replied"
    assert await world.suppressed() == []


BLOCKS = [(21610, "twilio", sms(), "sms"), (131050, "whatsapp", whatsapp(), "whatsapp")]


@pytest.mark.parametrize(("code", "vendor", "step", "medium"), BLOCKS, ids=["21610", "131050"])
@pytest.mark.parametrize("told", ["answer", "receipt"])
async def test_a_vendors_word_that_a_person_opted_out_is_kept(
    worlds: Worlds, code: int, vendor: str, step: dict[str, object], medium: str, told: str
) -> None:
    rule = Rule.model_validate({"vendor": vendor, "code": code, "told": told})
    world = await worlds(faults=Faults(rules=(rule,)))
    await world.launch(step, fallbacks=[sms("fallback"), whatsapp()], follow_ups=[sms("again")])
    await world.play(days=2)
    assert await world.outcome_of(ANA) == "opted_out"
    assert await world.suppressed() == [(ANA, medium)]
    assert {line.vendor for line in world.ledger.lines if line.kind in {"accepted", "refused"}} == {vendor}


async def test_a_wish_told_by_whatsapp_itself_stops_and_resumes(world: World) -> None:
    number = next(iter(world.config.whatsapp.phone_numbers))
    run = await world.launch(whatsapp(), follow_ups=[whatsapp()])
    await world.play(hours=1)
    world.vendors.whatsapp.prefer(ANA, number, True, world.clock.now())
    await world.play(days=2)
    assert await world.outcome_of(ANA, run) == "opted_out"
    assert await world.suppressed() == [(ANA, "whatsapp")]
    world.vendors.whatsapp.prefer(ANA, number, False, world.clock.now())
    await world.play()
    assert await world.suppressed() == []


async def test_an_opt_out_in_the_instant_of_the_follow_up_is_seen(world: World) -> None:
    await world.launch(whatsapp(), follow_ups=[sms("are you there?")])
    began = world.clock.now()
    await world.play(hours=1)
    world.clock.advance_to(began + 86_403_000_000)
    world.reply(ANA, "STOP")
    await world.play(days=1)
    assert world.vendors_of(ANA) == ["whatsapp"]
    assert await world.outcome_of(ANA) == "opted_out"
