"""The real installation with its console, beside stand-in vendors on real HTTP: for what pages of integrations do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection

from campana.core.access import Role
from campana.core.ids import Id
from campana.settings import Settings
from campana.standin.config import demo_config
from campana.standin.server import Standin
from campana.store import integrations, sessions, users, workspaces
from campana.web.access import COOKIE, hash_of
from campana.wiring import Installation, open_installation

CSRF = re.compile(r'name="_csrf_token" value="([^"]+)"')
HELD = re.compile(r'name="held" value="([^"]+)"')


def token(who: str) -> str:
    """The session of a role's user."""
    return f"session-of-{who}"


def _people(c: Connection, workspace_id: Id, now: int) -> None:
    """One person of each role, and a stranger who owns another workspace."""
    elsewhere = workspaces.create(c, "Elsewhere", "UTC", now)
    assert elsewhere is not None
    for who, role, where in [*((role, role, workspace_id) for role in Role), ("stranger", Role.OWNER, elsewhere)]:
        user_id = users.create(c, f"{who}@example.com", who.capitalize(), None, now)
        assert user_id is not None
        workspaces.join(c, where, user_id, role, now)
        sessions.begin(c, hash_of(token(who)), user_id, where, "Chromium", "127.0.0.1", now)


@dataclass
class Place:
    """An installation and its vendors, both running."""

    installation: Installation
    standin: Standin
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def twilio(self) -> dict[str, str]:
        """What to type to connect the stand-in's Twilio account."""
        account = self.standin.config.twilio
        return {"account_sid": account.account_sid, "auth_token": account.auth_token, "base_url": self.standin.url}

    @property
    def whatsapp(self) -> dict[str, str]:
        """What to type to connect the stand-in's WhatsApp account."""
        account = self.standin.config.whatsapp
        known = {"token": account.token, "app_secret": account.app_secret, "verify_token": account.verify_token}
        return {**known, "waba_id": account.waba_id, "base_url": self.standin.url, "version": "v23.0"}

    def visitor(self, who: str = Role.ADMIN) -> Visitor:
        """A browser of somebody who is signed in; "" for nobody."""
        client = httpx.AsyncClient(base_url=self.installation.console_url, cookies={COOKIE: token(who)} if who else {})
        self.clients.append(client)
        return Visitor(client)

    async def cards(self) -> list[integrations.Card]:
        """The accounts of the workspace, as the store has them."""
        return await self.installation.house.db.read(integrations.cards, self.installation.workspace_id)


@dataclass
class Visitor:
    """Asks as a browser does that has no script: pages, and forms with the fields that the page gave."""

    client: httpx.AsyncClient
    page: httpx.Response | None = None

    async def get(self, path: str) -> httpx.Response:
        """Opens a page."""
        self.page = await self.client.get(path)
        return self.page

    async def post(self, path: str, given: Mapping[str, Any] | None = None) -> httpx.Response:
        """Sends a form of the page that is open, and follows to where it leads."""
        found = CSRF.search(self.page.text if self.page else "")
        assert found, "no page with a form is open"
        held = HELD.search(self.page.text if self.page else "")
        carried = {"held": held[1]} if held else {}
        self.page = await self.client.post(path, data={"_csrf_token": found[1], **carried, **(given or {})})
        if self.page.status_code == 303:
            self.page = await self.client.get(self.page.headers["location"])
        return self.page

    async def connect(self, kind: str, settings: Mapping[str, str], name: str = "shop", **more: str) -> httpx.Response:
        """Fills in the form of a channel."""
        await self.get(f"/integrations/connect/{kind}")
        return await self.post(f"/integrations/connect/{kind}", {"name": name, **_named(settings), **more})


def _named(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"setting-{name}": value for name, value in settings.items()}


@asynccontextmanager
async def place(folder: Path, **settings: Any) -> AsyncIterator[Place]:
    """A fresh one, gone with the block."""
    async with Standin(demo_config()) as standin:
        facts = {"database": f"sqlite:///{folder / 'campana.db'}", "data": folder, "port": 0, **settings}
        async with open_installation(Settings(**facts)) as installation:
            house = installation.house
            await house.db.run(_people, installation.workspace_id, house.clock.now())
            bound = asyncio.Event()
            serving = asyncio.create_task(installation.serve(bound))
            await bound.wait()
            found = Place(installation, standin)
            yield found
            for client in found.clients:
                await client.aclose()
            installation.stop.set()
            await serving
