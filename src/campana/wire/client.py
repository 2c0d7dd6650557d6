"""The only HTTP that leaves the house: libcurl on the running event loop, with one careful answer to "was it sent?".

*Surely not sent* means that libcurl never asked for the body; all else is *perhaps sent*. Bodies go by a read function
without a seek function, for else libcurl sends a POST again by itself when a reused connection closes before the answer.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pycurl

from campana.clock import boottime
from campana.core.exchange import Request, Response
from campana.core.message import Lost, Unsent
from campana.wire.fitness import unfit
from campana.wire.handle import MAX_ANSWER, STOPPED, Handle
from campana.wire.slots import Slots
from campana.wire.sockets import Sockets

LATE = "the lease was used up before the request could start"


class Wire:
    """HTTP to vendors over at most `connections` connections. Redirects are not followed and proxies only used when given."""

    def __init__(
        self, connections: int = 64, *, max_answer: int = MAX_ANSWER, proxy: str = "", ca_file: str | None = None
    ) -> None:
        self._sockets = Sockets()
        self._options: dict[int, Any] = {
            pycurl.SOCKOPTFUNCTION: self._sockets.opened,
            pycurl.MAXFILESIZE_LARGE: max_answer,
            pycurl.PROXY: proxy,  # the empty one keeps libcurl from reading http_proxy in the environment
        }
        if trusted := ca_file or trusted_certificates():
            self._options[pycurl.CAINFO] = trusted
        else:
            self._options[pycurl.SSL_OPTIONS] = pycurl.SSLOPT_NATIVE_CA
        self._multi = pycurl.AsyncCurlMulti()
        for limit in (pycurl.M_MAX_TOTAL_CONNECTIONS, pycurl.M_MAX_HOST_CONNECTIONS, pycurl.M_MAXCONNECTS):
            self._multi.setopt(limit, connections)
        # More transfers than connections would wait inside libcurl, where no lease is looked at; so they wait here.
        self._slots = Slots(connections)
        self._idle: list[Handle] = []

    async def exchange(
        self, request: Request, deadline: int, before: Callable[[], None] | None = None
    ) -> Response | Lost | Unsent:
        """What came of one request. `deadline` is in boot time; `before` runs right before it goes out, or never.

        When `before` raises, nothing is sent and its error is passed on.
        """
        if problem := unfit(request):
            return Unsent(problem)
        if not await self._slots.take(deadline):
            return Unsent(STOPPED if self._multi.closed else LATE)
        try:
            return await self._exchange(request, deadline, before)
        finally:
            self._slots.give_back()

    async def _exchange(self, request: Request, deadline: int, before: Callable[[], None] | None) -> Response | Lost | Unsent:
        # From the look at the clock to the hand-over nothing is awaited, so nothing can come between.
        left = (deadline - boottime()) // 1000
        if left <= 0 or self._multi.closed:
            return Unsent(STOPPED if self._multi.closed else LATE)
        handle = self._idle.pop() if self._idle else Handle(self._options)
        handle.load(request, left, fresh=self._sockets.any_closed(), deadline=deadline)
        if before:
            before()
        try:
            await self._multi.add_handle(handle.curl)
        except pycurl.error as error:
            result: Response | Lost | Unsent = handle.trouble(error, request.url)
        except asyncio.CancelledError:
            handle.curl.close()
            if self._multi.closed and not _being_cancelled():
                return handle.gave_up()
            raise
        else:
            result = handle.answer()
        handle.empty()
        self._idle.append(handle)
        return result

    async def close(self) -> None:
        """Gives up what is under way, and closes all connections."""
        await self._multi.aclose()
        self._slots.close()
        for handle in self._idle:
            handle.curl.close()
        self._idle.clear()
        self._sockets.close()


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return bool(task and task.cancelling())


def trusted_certificates() -> str | None:
    """The file of trusted certificates: as the environment says, else the system's."""
    places = [os.environ.get("CURL_CA_BUNDLE"), os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile]
    places += ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
    return next((place for place in places if place and Path(place).is_file()), None)
