"""What a look-up answers is read with care: what it does not say clearly is never taken for *not accepted*."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from campana.core.exchange import Request, Response
from campana.standin.faults import Fault, Faults, ReceiptOdds, Rule
from campana.standin.messages import Reply
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, World, sms

CUT_AFTER = Faults(rules=(Rule(fault=Fault.CUT_AFTER, times=1),), receipts=ReceiptOdds(missing=1))
PROXY = Response(200, {"content-type": "text/html"}, b"<html>Sign in to the network</html>")


@contextmanager
def answering(world: World, change: Callable[[Response], Response]) -> Iterator[None]:
    """Until the end of the block, what Twilio answers to a look-up comes to us changed."""
    handle = world.vendors.handle

    def changed(request: Request, now: int) -> Reply:
        reply = handle(request, now)
        if request.method == "GET" and urlsplit(request.url).path.startswith("/2010-04-01/"):
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
