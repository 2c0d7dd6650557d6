"""What a look-up answers is read with care: what it does not say clearly is never taken for *not accepted*."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

import pytest

from campana.channels import twilio_sms
from campana.core.exchange import Request, Response
from campana.engine import launch
from campana.engine.vendors import VendorRefuses, sync_templates
from campana.standin.config import Receipts
from campana.standin.faults import Fault, Faults, ReceiptOdds, Rule
from campana.standin.messages import Reply
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, HOUR, SECOND, World, sms, whatsapp

CUT_AFTER = Faults(rules=(Rule(fault=Fault.CUT_AFTER, times=1),), receipts=ReceiptOdds(missing=1))
NEVER = Receipts(sent=(86_400, 86_400), delivered_share=0)  # what was accepted says nothing for a day
PROXY = Response(200, {"content-type": "text/html"}, b"<html>Sign in to the network</html>")


@contextmanager
def answering(world: World, change: Callable[[Response], Response], path: str = "/2010-04-01/") -> Iterator[None]:
    """Until the end of the block, what the vendor answers when it is asked there comes to us changed."""
    handle = world.vendors.handle

    def changed(request: Request, now: int) -> Reply:
        reply = handle(request, now)
        if request.method == "GET" and path in urlsplit(request.url).path:
            return replace(reply, response=change(reply.response))
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.vendors, "handle", changed)
        yield


@pytest.mark.parametrize("unreadable", [PROXY, Response(200, {}, b'{"messages": [{"sid": 1}]}'), Response(200, {}, b"")])
async def test_a_list_we_cannot_read_does_not_say_that_the_vendor_has_nothing(worlds: Worlds, unreadable: Response) -> None:
    world = await worlds(faults=CUT_AFTER)
    with answering(world, lambda _: unreadable):
        await world.launch(sms())
        await world.play(hours=1)
    assert await world.statuses_of(ANA) == ["uncertain"]
    await world.play(minutes=1)
    assert (await world.attempts_of(ANA))[0].vendor_id == world.accepted(ANA)[0].id
    assert (await world.balance()).twice == 0
    assert len(world.accepted(ANA)) == 1


@pytest.mark.parametrize(("reach", "statuses"), [(HOUR, ["failed", "queued"]), (0, ["unknown"])])
async def test_of_what_is_older_than_the_vendors_memory_its_silence_says_nothing(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, reach: int, statuses: list[str]
) -> None:
    assert twilio_sms.CHANNEL.look_up is not None
    monkeypatch.setitem(vars(twilio_sms.CHANNEL), "look_up", replace(twilio_sms.CHANNEL.look_up, reach=reach))
    world = await worlds(faults=Faults(rules=(Rule(fault=Fault.CUT_BEFORE, times=1),)), receipts=NEVER)
    await world.launch(sms())
    await world.play(minutes=30)
    assert await world.statuses_of(ANA) == statuses


def vendor_clock(world: World, off: int, tells: bool) -> None:
    """The vendor's clock differs from ours by so much, and its answers have a date or have none."""
    handle = world.vendors.handle

    def other_clock(request: Request, now: int) -> Reply:
        reply = handle(request, now + off)
        date = {"date": format_datetime(datetime.fromtimestamp((now + off) / SECOND, UTC), usegmt=True)} if tells else {}
        return replace(reply, response=replace(reply.response, headers={**reply.response.headers, **date}))

    world.vendors.handle = other_clock  # type: ignore[method-assign]


@pytest.mark.parametrize("off", [-90 * SECOND, 90 * SECOND, -2 * HOUR, 2 * HOUR])
async def test_a_clock_that_is_wrong_makes_no_second_message(worlds: Worlds, off: int) -> None:
    world = await worlds(faults=CUT_AFTER, receipts=NEVER)
    vendor_clock(world, off, tells=True)
    await world.launch(sms())
    await world.play(hours=1)
    assert [row.vendor_id for row in await world.attempts_of(ANA)] == [line.id for line in world.accepted(ANA)]
    assert len(world.accepted(ANA)) == 1


async def test_two_messages_far_apart_by_a_wrong_clock_are_still_told_apart(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(receipts=ReceiptOdds(missing=1)))
    vendor_clock(world, 2 * HOUR, tells=True)
    await world.launch(sms())
    await world.play(hours=1)
    world.vendors.change_faults(Faults(rules=(Rule(fault=Fault.CUT_BEFORE, times=2),)), world.clock.now())
    second = await world.launch(sms())
    await world.play(hours=1)
    assert [row.vendor_id for row in await world.attempts_of(ANA, second)] == [None, world.accepted(ANA)[1].id]


async def unknown_and_one(world: World) -> None:
    await world.launch(sms())
    await world.play(hours=1)
    assert await world.statuses_of(ANA) == ["unknown"]
    assert "may be it" in (await world.attempts_of(ANA))[0].words
    assert len(world.accepted(ANA)) == 1
    assert (await world.balance()).twice == 0


async def test_a_clock_that_cannot_be_compared_leaves_it_unknown(worlds: Worlds) -> None:
    world = await worlds(faults=CUT_AFTER, receipts=NEVER)
    vendor_clock(world, -90 * SECOND, tells=False)
    await unknown_and_one(world)


async def test_words_the_vendor_altered_leave_it_unknown(worlds: Worlds) -> None:
    world = await worlds(faults=CUT_AFTER, receipts=NEVER)
    with answering(world, lambda answer: replace(answer, body=answer.body.replace(b'"Hi ', b'"Sent from a trial account - Hi '))):
        await unknown_and_one(world)


BUSY = Response(429, {}, b'{"code": 20429, "message": "Too Many Requests"}')


@pytest.mark.parametrize("nothing", [BUSY, Response(503, {}, b""), PROXY])
async def test_a_vendor_that_does_not_tell_at_the_deadline_is_asked_again_before_the_fallback(
    worlds: Worlds, nothing: Response
) -> None:
    world = await worlds(faults=Faults(receipts=ReceiptOdds(missing=1)))
    said = [nothing]
    with answering(world, lambda answer: said.pop() if said else answer):
        await world.launch(sms(not_delivered_after="6h"), fallbacks=[whatsapp()])
        await world.play(days=1)
    assert said == []
    assert world.vendors_of(ANA) == ["twilio"]
    assert await world.outcome_of(ANA) == "delivered"


async def test_a_message_the_vendor_knows_nothing_of_gives_the_fallback_its_turn(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(receipts=ReceiptOdds(missing=1)))
    said = [Response(404, {}, b'{"code": 20404}')]
    with answering(world, lambda _: said.pop()):
        await world.launch(sms(not_delivered_after="6h"), fallbacks=[whatsapp()])
        await world.play(days=1)
    assert said == []
    assert world.vendors_of(ANA) == ["twilio", "whatsapp"]


async def test_a_message_of_an_ended_campaign_is_not_taken_for_the_lost_one(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(receipts=ReceiptOdds(missing=1)))
    first = await world.launch(sms(), follow_ups=[sms("again")])
    await world.play(seconds=10)
    assert await world.act(launch.finish, first)
    world.vendors.change_faults(Faults(rules=(Rule(fault=Fault.CUT_BEFORE, times=2),)), world.clock.now())
    second = await world.launch(sms())
    await world.play(hours=1)
    assert [row.vendor_id for row in await world.attempts_of(ANA, second)] == [None, world.accepted(ANA)[1].id]


EMPTY = Response(200, {}, b'{"messages": []}')
OTHER_NUMBER = "+15017122662"


def other_address(world: World) -> None:
    world.settings.senders["sms"] = world.settings.senders["sms"].model_copy(update={"address": OTHER_NUMBER})


def other_credentials(world: World) -> None:
    more = {"webhook_key": "name", "webhook_key_secret": "its-secret"}
    world.settings.integrations["sms"].update(more)


@pytest.mark.both_databases
@pytest.mark.parametrize("change", [other_address, other_credentials])
async def test_a_sender_that_was_changed_since_is_no_witness_that_nothing_was_taken(
    worlds: Worlds, change: Callable[[World], None]
) -> None:
    world = await worlds(faults=CUT_AFTER, receipts=NEVER)
    with answering(world, lambda _: EMPTY):
        await world.launch(sms())
        await world.play(seconds=1)
        assert await world.statuses_of(ANA) == ["uncertain"]
        change(world)
        await world.restart()
        await world.play(hours=1)
    assert await world.statuses_of(ANA) == ["unknown"]
    assert "changed since" in (await world.attempts_of(ANA))[0].words
    assert len(world.accepted(ANA)) == 1


async def test_what_went_out_after_the_change_is_asked_for_as_ever(worlds: Worlds) -> None:
    world = await worlds(faults=Faults(rules=(Rule(fault=Fault.CUT_BEFORE, times=1),)))
    other_credentials(world)
    await world.restart()
    await world.play(minutes=2)
    await world.launch(sms())
    await world.play(hours=1)
    assert await world.statuses_of(ANA) == ["failed", "delivered"]


NEXT_FOR_EVER = b'{"data": [], "paging": {"next": "https://graph.test/?after=a"}}'


@pytest.mark.parametrize(("page", "why"), [(PROXY.body, "not a list"), (b"{}", "not a list"), (NEXT_FOR_EVER, "does not end")])
async def test_a_list_of_templates_that_cannot_be_read_wipes_nothing(world: World, page: bytes, why: str) -> None:
    with answering(world, lambda _: Response(200, {}, page), "message_templates"), pytest.raises(VendorRefuses, match=why):
        await sync_templates(world.house, world.installation.workspace_id)
    await world.launch(whatsapp())
    await world.play(hours=1)
    assert await world.outcome_of(ANA) == "delivered"
