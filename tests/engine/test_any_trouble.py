"""Whatever goes wrong, in any order: nobody is lost, nobody is written to twice, and everybody has an outcome."""

from __future__ import annotations

import random

import pytest

from campana.core.journey import OUTCOMES
from campana.engine import launch
from campana.standin.faults import Fault, Faults, Odds, ReceiptOdds, Reply, Rule
from campana.standin.numbers import person_of
from tests.engine.conftest import Worlds
from tests.engine.world import Killed, World, numbers, sms, whatsapp

PEOPLE = [*numbers(24), *(f"+5255{11223300 + at}" for at in range(4)), *(f"+5511{987654300 + at}" for at in range(4))]


def trouble(chance: random.Random) -> Faults:
    """Faults of every sort, in amounts of the day."""

    def some(most: float) -> float:
        return round(chance.uniform(0, most), 3)

    return Faults(
        odds=Odds(**{fault.value: some(0.1) for fault in Fault}),
        receipts=ReceiptOdds(doubled=some(0.4), reordered=some(0.4), late=some(0.2), missing=some(0.2), late_by=(60, 90_000)),
        rules=(
            Rule(vendor="whatsapp", share=some(0.3), code=131026),
            Rule(vendor="whatsapp", share=0.05, code=131050),
            Rule(vendor="twilio", share=0.05, code=30005),
            Rule(vendor="twilio", share=0.05, code=21211),
            Rule(vendor="twilio", share=0.03, code=21610),
        ),
        people=(
            Reply(share=0.2, text="yes please", after=(1, 90_000)),
            Reply(share=0.1, text="STOP", after=(1, 90_000)),
        ),
        retry_after=chance.randint(1, 60),
    )


async def live(world: World, chance: random.Random, spans: int = 5) -> None:
    """Days pass, with kills, pauses, and vendors that cannot be reached."""
    for _ in range(spans):
        world.unreachable = set() if chance.random() < 0.7 else {chance.choice(["2010-04-01", "/v23.0/"])}
        if chance.random() < 0.2:
            await world.act(chance.choice([launch.pause, launch.resume]))
        if chance.random() < 0.6:
            world.kill_after, world.kill_before = chance.randint(1, 25), chance.random() < 0.5
        try:
            await world.play(hours=chance.choice([0.02, 0.2, 1]))
        except Killed:
            await world.restart(keep_journal=chance.random() < 0.8)
        world.kill_after = None
    world.unreachable = set()
    await world.act(launch.resume)
    await world.play(days=12)


@pytest.mark.parametrize("seed", [1, 2])
async def test_in_any_trouble_nobody_is_lost_and_nobody_is_told_twice(worlds: Worlds, seed: int) -> None:
    chance = random.Random(seed)
    world = await worlds(faults=trouble(chance), seed=seed, pace=chance.choice([20, 100, 1000]))
    follow_ups = [sms("Are you there?", after="1 day"), whatsapp("recordatorio_cita", language="es_MX", after="2 days")]
    run = await world.launch(whatsapp(), fallbacks=[sms()], follow_ups=follow_ups, people=PEOPLE)
    await live(world, chance)
    outcomes = (await world.progress(run)).outcomes
    assert sum(outcomes.values()) == len(PEOPLE)
    assert outcomes["waiting"] == outcomes["sending"] == 0
    assert set(outcomes) == set(OUTCOMES)
    assert await world.status() == "sent"
    balance = await world.balance()
    assert (balance.lost, balance.twice) == (0, 0), balance.examples
    await nothing_after_the_last_word(world, run)


async def nothing_after_the_last_word(world: World, run: bytes) -> None:
    """Nobody is written to once a reply or an opt-out of theirs has been understood."""
    told = {line.id: line for line in world.ledger.lines if line.kind == "inbound"}
    assert told
    heard = [told[line.id] for line in world.ledger.lines if line.kind == "hook" and line.settled and line.id in told]
    for words in heard:
        answered = next(line.at for line in world.ledger.lines if line.kind == "hook" and line.settled and line.id == words.id)
        person = person_of(words.sender)
        later = [line for line in world.accepted() if line.to == person and line.at > answered]
        assert later == [], f"{words.text} of {person} was heard, and then {later[0].text!r} was sent"


async def test_an_ended_campaign_in_any_trouble_accounts_for_everybody(worlds: Worlds) -> None:
    chance = random.Random(99)
    world = await worlds(faults=trouble(chance), pace=20)
    run = await world.launch(whatsapp(), fallbacks=[sms()], follow_ups=[sms("Are you there?")], people=PEOPLE)
    await world.play(seconds=1)
    await world.act(launch.finish)
    handed = len(world.accepted())
    await world.play(days=3)
    assert len(world.accepted()) == handed
    outcomes = (await world.progress(run)).outcomes
    assert sum(outcomes.values()) == len(PEOPLE)
    assert outcomes["waiting"] == outcomes["sending"] == 0
    assert (await world.balance()).twice == 0
