"""Where vendors tell us things: a webhook is answered well only once it is verified, understood and durable."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import structlog
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Receive, Scope, Send

from campana.bus.contract import Away, Full
from campana.channels.contract import Channel
from campana.clock import Clock
from campana.core.exchange import Answer, Hook
from campana.core.exchange import HookRow as HookRow  # what `store` is given
from campana.core.ids import new_id
from campana.metrics import Metrics
from campana.store.database import StoreAway, StoreTrouble
from campana.store.integrations import Heard
from campana.web.group_commit import Group
from campana.web.refusals import EVERY, Hearing

PREFIX = "/hooks/"
BODY_SECONDS = 20.0
NOT_KEPT = frozenset({"authorization", "proxy-authorization", "cookie"})

UNKNOWN = Answer(404, b"There is no such integration here.\n")
METHOD = Answer(405, b"Webhooks come by GET or POST.\n")
TOO_SLOW = Answer(408, b"The body did not arrive in time.\n")
TOO_LONG = Answer(413, b"The body is longer than a webhook may be.\n")
REFUSED = Answer(403, b"The signature is not right.\n")
UNREADABLE = Answer(400, b"The body cannot be understood.\n")
BROKEN = Answer(500, b"The webhook could not be kept. Send it again later.\n")
BUSY = Answer(503, b"The webhook cannot be kept just now. Send it again in a few seconds.\n")
MORE_HEADERS: dict[int, list[tuple[bytes, bytes]]] = {
    405: [(b"allow", b"GET, POST")],
    408: [(b"connection", b"close")],
    413: [(b"connection", b"close")],  # the rest of the body is not read
    503: [(b"retry-after", b"5")],
}

# What an answer is counted as; those of 2xx are taken, those that are not here are other ones.
COUNTED = {400: "unreadable", 403: "refused", 404: "unknown", 500: "broken", 503: "busy"}

log = structlog.get_logger(__name__)


Lookup = Callable[[str], tuple[Channel, Any] | None]


async def nobody_hears(told: list[Heard]) -> None:
    """What came to an address is told to nobody."""


class Gateway:
    """The ASGI application of `/hooks/{integration}`. `refused` counts the forged webhooks of each integration."""

    def __init__(
        self,
        lookup: Lookup,
        public_url: Callable[[], str],
        store: Callable[[list[HookRow]], Awaitable[None]],
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
        *,
        body_seconds: float = BODY_SECONDS,
        most_waiting: int = 10_000,
        metrics: Metrics | None = None,
        hear: Callable[[list[Heard]], Awaitable[None]] = nobody_hears,
        hear_seconds: float = EVERY,
    ) -> None:
        self._lookup, self._public_url, self._clock, self._wake = lookup, public_url, clock, wake
        self._body_seconds = body_seconds
        self._group = Group(store, most_waiting=most_waiting, hopeless=(StoreTrouble, StoreAway, OSError, Full, Away))
        self._hearing = Hearing(hear, hear_seconds)
        self.refused: Counter[str] = Counter()
        self._metrics = metrics or Metrics()

    async def close(self) -> None:
        """Takes nothing more, and returns when what was taken is durable."""
        await self._group.close()
        await self._hearing.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            raise RuntimeError(f"The gateway takes http only, not {scope['type']}.")
        answer = await self._answer(scope, receive)
        if answer is not None:
            self._metrics.hooked("taken" if answer.code < 300 else COUNTED.get(answer.code, "other"))
            await say(send, answer)

    async def _answer(self, scope: HTTPScope, receive: Receive) -> Answer | None:
        """What to answer; None when the vendor has gone."""
        name = scope["path"].removeprefix(PREFIX)
        found = self._lookup(name) if name and "/" not in name else None
        if found is None:
            return UNKNOWN
        if scope["method"] not in ("GET", "POST"):
            return METHOD
        headers = headers_of(scope)
        body = await self._read(headers, receive, found[0].max_hook)
        if not isinstance(body, bytes):
            return body
        hook = Hook(scope["method"], self._public_url().rstrip("/") + target_of(scope), headers, body, self._clock.now())
        return self._challenged(name, *found, hook) if hook.method == "GET" else await self._take(name, *found, hook)

    async def _read(self, headers: Mapping[str, str], receive: Receive, longest: int) -> bytes | Answer | None:
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > longest:
            return TOO_LONG
        task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]  # a coroutine always runs in one
        late: list[bool] = []

        def give_up() -> None:
            late.append(True)
            task.cancel()

        # What asyncio.timeout does, for a tenth of its price: a seventh of all that a webhook costs.
        timer = asyncio.get_running_loop().call_later(self._body_seconds, give_up)
        try:
            return await _whole(receive, longest)
        except asyncio.CancelledError:
            if late and task.uncancel() == 0:
                return TOO_SLOW
            raise
        finally:
            timer.cancel()

    def _challenged(self, name: str, channel: Channel, settings: Any, hook: Hook) -> Answer:
        """A vendor's question before it sends webhooks: nothing is stored."""
        try:
            answer = channel.challenge(settings, hook)
        except Exception as error:
            log.warning("a webhook's challenge could not be read", integration=name, error=repr(error))
            answer = None
        return answer or self._refuse(name, hook)

    async def _take(self, name: str, channel: Channel, settings: Any, hook: Hook) -> Answer:
        """What is verified and understood is stored, and answered when it is durable."""
        try:
            genuine = channel.verify(settings, hook)
        except Exception as error:
            log.warning("a webhook's signature could not be read", integration=name, error=repr(error))
            genuine = False
        if genuine is not True:
            self._hearing.refused(name, hook.at)
            return self._refuse(name, hook)
        self._hearing.good(name)
        try:
            answer = channel.parse_webhook(settings, hook)[1]
        except ValueError:
            return UNREADABLE
        except Exception:
            log.exception("a genuine webhook could not be understood", integration=name)
            return BROKEN  # the vendor sends it again, perhaps to a version that understands
        return await self._keep(name, hook) or answer if answer.code < 300 else answer

    async def _keep(self, name: str, hook: Hook) -> Answer | None:
        """None when the hook is durable, else what to answer instead of thanks."""
        kept = {key: value for key, value in hook.headers.items() if key not in NOT_KEPT}
        row = HookRow(new_id(hook.at), name, hook.method, hook.url, kept, hook.body, hook.at)
        try:
            await self._group.add(row, len(hook.body))
        except (Full, Away, StoreTrouble, StoreAway) as trouble:
            log.error("a webhook was not kept", integration=name, error=str(trouble))
            return BUSY
        except Exception as error:
            log.error("a webhook was not kept", integration=name, error=repr(error))
            return BROKEN
        self._wake()
        return None

    def _refuse(self, name: str, hook: Hook) -> Answer:
        self.refused[name] += 1
        if str(self.refused[name]).strip("0") == "1":  # the first, the tenth, the hundredth: forgers must not fill the log
            log.warning(
                "A webhook was refused: its signature is not right. When it is the vendor's own, check the integration's "
                "secret, and that the vendor calls exactly this address; if not, set CAMPANA_PUBLIC_URL.",
                integration=name,
                address=hook.url.partition("?")[0],
                refused=self.refused[name],
            )
        return REFUSED


async def _whole(receive: Receive, longest: int) -> bytes | Answer | None:
    """The whole body; TOO_LONG as soon as it is; None when the vendor has gone."""
    message: Mapping[str, Any] = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        return body if len(body) <= longest else TOO_LONG
    pieces, size = [], 0
    while message["type"] == "http.request":
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > longest:
            return TOO_LONG
        if not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()
    return None


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request, names in lower case, repeated ones joined."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def target_of(scope: HTTPScope) -> str:
    """Path and query exactly as they were asked for: signatures cover them byte by byte."""
    path = scope.get("raw_path") or quote(scope["path"]).encode()
    query = scope.get("query_string", b"")
    return (path.partition(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")


async def say(send: Send, answer: Answer) -> None:
    """Sends one whole answer that no browser takes for anything but what it says it is."""
    headers = list(_headers(answer.code, answer.content_type, len(answer.body)))
    await send({"type": "http.response.start", "status": answer.code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


@lru_cache(maxsize=64)  # most answers are one of a few
def _headers(code: int, content_type: str, length: int) -> tuple[tuple[bytes, bytes], ...]:
    kind = content_type.encode("latin-1", "replace")
    return (
        (b"content-type", kind if kind.isascii() and kind.decode().isprintable() else b"text/plain"),
        (b"content-length", b"%d" % length),
        (b"x-content-type-options", b"nosniff"),
        *MORE_HEADERS.get(code, ()),
    )
