"""Until people can sign in, only this machine sees the console: by the address listened on, and by the name asked for."""

from __future__ import annotations

import ipaddress
import re

from litestar.types import ASGIApp, Receive, Scope, Send

from campana.core.exchange import Answer
from campana.web.gateway import headers_of, say

HOOK = re.compile(r"/hooks/[^/]+")
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:\d{1,5})?", re.IGNORECASE)
# A tunnel or proxy may call us by a loopback name, but it tells for whom it asks.
FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip"})
OUTSIDE = Answer(403, b"Only webhooks are served under this name. Open the console on the machine itself, as localhost.\n")


class NotLoopback(ValueError):
    """An address to listen on that others can reach, while nobody has to sign in."""


def is_loopback(host: str) -> bool:
    """Whether a name or address (IPv6 with or without brackets) is this machine's own."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def require_loopback(host: str) -> None:
    """Raises NotLoopback when others could reach `host`."""
    if not is_loopback(host):
        raise NotLoopback(
            f"Campana cannot listen on {host or 'every address'} yet: nobody has to sign in, so it would show the console to "
            "everyone. Set CAMPANA_HOST to 127.0.0.1 and let a tunnel or proxy pass on /hooks/ alone."
        )


def loopback_only(app: ASGIApp) -> ASGIApp:
    """Lets a request that comes from outside reach the webhooks only, whatever tunnel or proxy passes it on."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        kind: str = scope["type"]
        if kind == "lifespan" or (kind == "http" and HOOK.fullmatch(scope["path"])) or _is_local(scope):
            await app(scope, receive, send)
        elif kind == "http":
            await say(send, OUTSIDE)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": None})

    return guarded


def _is_local(scope: Scope) -> bool:
    headers = headers_of(scope)
    host = HOST.fullmatch(headers.get("host", ""))  # two Host headers are joined, and so never one name
    return host is not None and is_loopback(host[1]) and not FORWARDED & headers.keys()
