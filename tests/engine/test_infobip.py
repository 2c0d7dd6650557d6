"""Journeys over Infobip, which takes a hundred people in one request and answers for each of them."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest

from campana.core.exchange import Request
from campana.standin.faults import Faults, Odds, ReceiptOdds, Rule
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, BRUNO, CARLA, World, numbers, sms


def infobip(text: str = "Hi {{name}}", **more: Any) -> dict[str, Any]:
    """A step over Infobip SMS."""
    return {"from": "ib", "text": text, **more}


def requests(world: World) -> Counter[str]:
    """How often something was handed to each vendor, by its path: counted from now on."""
    count: Counter[str] = Counter()

    async def seen(request: Request) -> None:
        count.update([urlsplit(request.url).path] if request.method == "POST" else [])

    world.answering = seen
    return count


@pytest.mark.both_databases
async def test_a_batch_is_answered_and_each_person_goes_on_by_their_own_answer(worlds: Worlds) -> None:
    flood, absent = Rule(vendor="infobip", suffix="001", status=20), Rule(vendor="infobip", suffix="002", code=27)
    world = await worlds(infobip={}, faults=Faults(rules=(flood, absent)))
    people, asked = numbers(250), requests(world)
    await world.launch(infobip(), fallbacks=[sms("fallback")], people=people)
    await world.play(seconds=30)
    assert asked["/sms/3/messages"] < 30
    await world.play(days=2)
    assert await world.outcomes() == {"delivered": 250}
    assert [world.vendors_of(people[at]) for at in (1, 2, 3)] == [["twilio"], ["infobip", "infobip", "twilio"], ["infobip"]]
    await balanced(world)


# What goes wrong with requests and what is told of them; whoever is on the other side of it, the books close.
TROUBLES = [
    ("answers are lost", Faults(odds=Odds(cut_after=0.3))),
    ("requests are lost", Faults(odds=Odds(cut_before=0.3))),
    ("it throttles and breaks", Faults(odds=Odds(throttled=0.2, broken=0.2))),
    ("reports come twice and in disorder", Faults(receipts=ReceiptOdds(doubled=0.3, reordered=0.3))),
]


@pytest.mark.parametrize(("label", "faults"), TROUBLES, ids=[label for label, _ in TROUBLES])
async def test_in_trouble_nobody_is_lost_and_nobody_is_told_twice(worlds: Worlds, label: str, faults: Faults) -> None:
    world = await worlds(infobip={}, faults=faults)
    await world.launch(infobip(), fallbacks=[sms("fallback")], people=numbers(120))
    await world.play(days=2)
    assert await world.status() == "sent"
    await balanced(world)


@pytest.mark.parametrize("security", ["basic", "hmac_timestamp", "hmac_header"])
async def test_a_person_answers_and_another_wants_no_more(worlds: Worlds, security: str) -> None:
    world = await worlds(infobip={"security": security})
    await world.launch(infobip(), follow_ups=[infobip("Still there?")], people=[ANA, BRUNO, CARLA])
    await world.play(minutes=1)
    world.reply(ANA, "yes please", over="infobip")
    world.reply(BRUNO, "STOP", over="infobip")
    await world.play(days=3)
    outcomes = [await world.outcome_of(phone) for phone in (ANA, BRUNO, CARLA)]
    assert outcomes == ["replied", "opted_out", "delivered"]
    assert [text for _, text in world.sent_to(CARLA)] == ["Hi Ana", "Still there?"]
    assert [len(world.sent_to(phone)) for phone in (ANA, BRUNO)] == [1, 1]
    assert (BRUNO, "sms") in await world.suppressed()


async def balanced(world: World) -> None:
    """Nobody was lost, and nobody got a step twice."""
    books = await world.balance()
    assert (books.lost, books.twice) == (0, 0)
