"""The console over a store that holds a campaign of each kind, and browsers before it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import httpx

from campana.web.app import create_app
from tests.web.doorstep import worlds


def client(world: Any, who: str = "owner") -> httpx.AsyncClient:
    """Asks the application over the world's store, signed in as somebody."""
    app = create_app(replace(world.console(), read=world.db.read, write=world.db.run))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", cookies={worlds.COOKIE: worlds.token(who)})


async def pressed(http: httpx.AsyncClient, path: str, on: str = "/campaigns", **form: str) -> httpx.Response:
    """The answer to a form of a page."""
    page = await http.get(on)
    token = re.search(r'name="_csrf_token" value="(\w{64,})"', page.text)
    return await http.post(path, data={"_csrf_token": token[1] if token else "", **form})
