"""Under which names this server answers, and who asks: told by the connection, not by what a stranger says of himself."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Any, cast
from urllib.parse import urlsplit

from litestar.types import ASGIApp, Receive, Scope, Send

from campana.core.exchange import Answer
from campana.core.proxies import Network, asker
from campana.web.gateway import headers_of, say

ASKER = "campana.asker"  # where a scope says who asks
HOOK = re.compile(r"/hooks/[^/]+")
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:\d{1,5})?", re.IGNORECASE)
# A tunnel or proxy may call us by a loopback name, but it tells for whom it asks.
FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip"})
MISNAMED = Answer(
    403,
    b"This server does not answer under this name. Open the console as localhost on the machine itself, or under the address "
    b"that CAMPANA_PUBLIC_URL names.\n",
)


def is_loopback(host: str) -> bool:
    """Whether a name or address (IPv6 with or without brackets) is this machine's own."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def is_exposed(host: str, public_url: str | None) -> bool:
    """Whether passwords and cookies may travel in the open: others can reach `host`, and no https address is named."""
    return not is_loopback(host) and not (public_url or "").startswith("https://")


def names_of(host: str, public_url: str | None) -> frozenset[str]:
    """The names that a server answers under besides loopback's: its public one, and the address it was told to listen on."""
    public = urlsplit(public_url or "").hostname
    return frozenset(_bare(name) for name in (public, host) if name and name not in ("0.0.0.0", "::"))  # noqa: S104 - none of them


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]").casefold()


def named(names: Collection[str], app: ASGIApp) -> ASGIApp:
    """The application for who asks it by one of its names; webhooks come under any. It keeps pages from other sites' scripts
    that made a name of theirs point here."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        kind: str = scope["type"]
        if kind == "lifespan" or (kind == "http" and HOOK.fullmatch(scope["path"])):
            await app(scope, receive, send)
            return
        host = host_of(scope)
        if host is not None and (is_loopback(host) or _bare(host) in names):
            await app(scope, receive, send)
        elif kind == "http":
            await say(send, MISNAMED)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": None})

    return guarded


def host_of(scope: Scope) -> str | None:
    """The name that a request asks for; None when it names none, or two."""
    host = HOST.fullmatch(headers_of(scope).get("host", ""))  # two Host headers are joined, and so never one name
    return host[1] if host else None


def is_local(scope: Scope) -> bool:
    """Whether a request comes from this machine itself, and no tunnel or proxy passes it on."""
    client, host = scope.get("client"), host_of(scope)
    from_here = client is not None and is_loopback(client[0]) and host is not None and is_loopback(host)
    return from_here and not FORWARDED & headers_of(scope).keys()


def find_address(scope: Scope, trusted: Collection[Network]) -> None:
    """From here on `address_of` knows where the request comes from: a proxy is believed when it is on this machine or trusted."""
    client = scope.get("client")
    forwarded = headers_of(scope).get("x-forwarded-for", "")
    cast("dict[str, Any]", scope)[ASKER] = asker(client[0] if client else "", forwarded, trusted)


def address_of(scope: Scope) -> str:
    """Where a request of the console comes from."""
    found: str = cast("dict[str, Any]", scope)[ASKER]
    return found
