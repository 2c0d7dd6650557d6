"""Rehearsing: the very wheels that send, on a virtual clock, with vendors in the same process. A week takes no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from campana.clock import VirtualClock
from campana.core.exchange import Hook, HookRow, Request, Response
from campana.core.ids import new_id
from campana.core.message import Lost, Unsent
from campana.engine.house import House
from campana.engine.worker import next_moment, turn
from campana.store import inbox


class Vendors(Protocol):
    """Vendors that need no sockets: they answer requests, and have webhooks to tell when their time has come."""

    def handle(self, request: Request, now: int) -> Any: ...

    def due(self, now: int) -> Sequence[Any]: ...

    def next_due(self) -> int | None: ...

    def done(self, webhook: Any, answer: int | None, now: int) -> None: ...


class Rehearsal:
    """One rehearsal: `exchange` is the wire of its house, `play` turns the wheels until nothing is left to happen."""

    def __init__(self, vendors: Vendors, clock: VirtualClock) -> None:
        self.vendors = vendors
        self.clock = clock
        self.requests = 0

    async def exchange(
        self, request: Request, deadline: int, before: Callable[[], None] | None = None
    ) -> Response | Lost | Unsent:
        """Hands one request to the vendors. Whatever cuts the connection leaves us without an answer, as a wire would."""
        if before:
            before()
        self.requests += 1
        reply = self.vendors.handle(request, self.clock.now())
        if reply.cut or reply.hang:
            return Lost("the connection was cut before the answer came")
        answer: Response = reply.response
        return answer

    async def play(self, house: House, until: int) -> int:
        """Turns the wheels through virtual time, up to `until` or until only people can move things. Returns the last moment."""
        while True:
            while await self._tell(house) + await turn(house):
                pass
            moments = [await house.db.read(next_moment, self.clock.now()), self.vendors.next_due()]
            following = min((one for one in moments if one is not None), default=None)
            if following is None or following > until:
                return self.clock.now()
            self.clock.advance_to(max(following, self.clock.now() + 1))

    async def _tell(self, house: House) -> int:
        """Delivers the webhooks whose time has come, signature and all."""
        told = self.vendors.due(self.clock.now())
        for webhook in told:
            answer = await self._deliver(house, webhook.request)
            self.vendors.done(webhook, answer, self.clock.now())
        return len(told)

    async def _deliver(self, house: House, request: Request) -> int:
        now = self.clock.now()
        name = urlsplit(request.url).path.rpartition("/")[2]
        account = house.by_hook(name)
        if account is None:
            return 404
        headers = {key.lower(): value for key, value in request.headers}
        hook = Hook(request.method, request.url, headers, request.body, now)
        if not account.channel.verify(account.settings, hook):
            return 403
        row = HookRow(new_id(now), name, request.method, request.url, headers, request.body, now)
        await house.db.run(inbox.put, [row])
        return account.channel.parse_webhook(account.settings, hook)[1].code
