"""The console's doors, for tests: a store of its own, a clock that is turned by hand, and browsers before it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from campana.clock import VirtualClock
from campana.core.ids import Id
from campana.store import users
from campana.vault import Vault
from campana.web import passwords
from campana.web.access import COOKIE
from campana.web.app import Application, create_app
from campana.web.doors import Doors

_spec = importlib.util.spec_from_file_location("world", Path(__file__).parents[1] / "browser" / "world.py")
worlds: Any = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(worlds)  # type: ignore[union-attr]

PASSWORD = "correct horse battery staple"
EDITOR = "editor@example.com"


class House:
    """The console over a store of its own, with a clock that a test turns, and browsers before it."""

    def __init__(self, **doors: Any) -> None:
        self.world = worlds.World()
        self.clock = VirtualClock(worlds.NOW)
        self.doors = Doors(Vault(["k" * 40]), **doors)
        self.public_url = "https://campana.example.com"
        console = replace(
            self.world.console(), clock=self.clock, doors=self.doors, public_url=lambda: self.public_url, secret="s" * 64
        )
        self.console = console
        self.app: Application = create_app(console)
        self.browsers: list[httpx.AsyncClient] = []

    async def run(self, function: Any, *args: Any, **named: Any) -> Any:
        return await self.world.db.run(function, *args, **named)

    def advance(self, by: int) -> None:
        """Turns the clock on."""
        self.clock.advance_to(self.clock.now() + by)

    async def id_of(self, email: str) -> Id:
        found = await self.run(users.find, email)
        return found.id

    async def set_password(self, email: str, password: str = PASSWORD) -> None:
        await self.run(users.set_password, await self.id_of(email), await passwords.hashed(password))

    def browser(self, who: str = "", base: str = "http://localhost", address: str = "127.0.0.1") -> Browser:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 1))
        http = httpx.AsyncClient(transport=transport, base_url=base, cookies={COOKIE: worlds.token(who)} if who else {})
        self.browsers.append(http)
        return Browser(http)

    async def close(self) -> None:
        for each in self.browsers:
            await each.aclose()
        self.world.close()


class Browser:
    """Presses buttons: a form's token travels along."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http, self.form = http, ""

    async def get(self, path: str) -> httpx.Response:
        answer = await self.http.get(path, headers={"accept": "text/html"})
        if found := re.search(r'name="_csrf_token" value="(\w{64,})"', answer.text):
            self.form = found[1]
        return answer

    async def post(self, path: str, **fields: str | list[str]) -> httpx.Response:
        if not self.form:
            await self.get("/sign-in")
        if not self.form:
            await self.get("/campaigns")
        data = {"_csrf_token": self.form, **fields}
        return await self.http.post(path, data=data, headers={"accept": "text/html", "user-agent": "Firefox/130 Linux"})

    async def done(self, path: str, **fields: str) -> httpx.Response:
        """Sends a form and looks at the page that it leads to."""
        answer = await self.post(path, **fields)
        assert answer.status_code == 303, answer.text
        return await self.get(answer.headers["location"])

    async def sign_in(self, email: str = EDITOR, password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.post("/sign-in", email=email, password=password, **more)

    async def is_in(self) -> bool:
        return (await self.get("/account")).status_code == 200
