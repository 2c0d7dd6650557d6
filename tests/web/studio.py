"""The real application over a real store, its vendors played by stand-ins: where campaigns are built and launched by pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from campana.core.access import Role
from campana.core.draft import Draft
from campana.core.ids import Id
from campana.store import drafts, sessions, users, workspaces
from campana.store.drafts import Author, DraftRow
from campana.web.access import COOKIE, hash_of
from tests.engine.world import World, _store_audience
from tests.web.forms import filled, read_forms

PEOPLE = (
    {"name": "Ana", "phone": "+12125550101", "plan": "gold", "city": "Lima"},
    {"name": "Bruno", "phone": "+12125550102", "plan": "", "city": "São Paulo"},
    {"name": "Carla", "phone": "", "email": "carla@example.com", "plan": "basic", "city": "Quito"},
)


def _join(c: Any, workspace_id: Id, who: str, role: Role, now: int) -> None:
    user_id = users.create(c, f"{who}@example.com", who.capitalize(), None, now)
    assert user_id is not None
    workspaces.join(c, workspace_id, user_id, role, now)
    sessions.begin(c, hash_of(f"session-of-{who}"), user_id, workspace_id, "Chromium", "127.0.0.1", now)


class Studio:
    """A world with a draft, seen by whoever is signed in."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.campaign_id: Id = b""
        self.senders: dict[str, str] = {}

    async def begin(self, draft: Draft | None = None, people: Sequence[dict[str, str]] = PEOPLE, name: str = "Visits") -> None:
        """There is a draft, with an audience when there are people."""
        await self.prepare()
        now, audience_id = self.world.clock.now(), None
        if people:
            columns = list(dict.fromkeys(name for row in people for name in row))
            rows = [{name: row.get(name, "") for name in columns} for row in people]
            audience_id = await self.write(_store_audience, self.workspace_id, rows, now)
        made = (self.workspace_id, name, draft or Draft(), Author(None, "ana@example.com"), now, audience_id)
        self.campaign_id = await self.write(drafts.create, *made)

    async def prepare(self) -> None:
        """Ana and Berta may edit."""
        if self.senders:
            return
        for who in ("ana", "berta"):
            await self.write(_join, self.workspace_id, who, Role.EDITOR, self.world.clock.now())
        self.senders = {one.name: one.id.hex() for one in (await self.world.house.db.read(_senders, self.workspace_id))}

    @property
    def workspace_id(self) -> Id:
        return self.world.installation.workspace_id

    @property
    def home(self) -> str:
        return f"/campaigns/{self.campaign_id.hex()}"

    async def write(self, function: Any, *args: Any) -> Any:
        """Runs a store function."""
        return await self.world.house.db.run(function, *args)

    async def draft(self) -> DraftRow:
        """The draft as it is kept."""
        found = await self.world.house.db.read(drafts.load, self.workspace_id, self.campaign_id)
        assert found is not None
        return found

    def as_user(self, who: str = "ana") -> httpx.AsyncClient:
        """A browser in which somebody is signed in."""
        transport = httpx.ASGITransport(self.world.installation.app, raise_app_exceptions=False)
        return httpx.AsyncClient(
            transport=transport, base_url="http://localhost", cookies={COOKIE: f"session-of-{who}"}, timeout=30
        )


def _senders(c: Any, workspace_id: Id) -> Any:
    from campana.store.choices import choices

    return choices(c, workspace_id).senders


async def press(http: httpx.AsyncClient, path: str, form: str, html: str = "", **typed: Any) -> httpx.Response:
    """Opens a page, changes fields of a form, presses a button and returns the answer."""
    html = html or (await http.get(path)).text
    return await http.post(path, data=filled(html, form, **typed))


def options(html: str, name: str) -> list[str]:
    """The values that a select of a page offers."""
    return read_forms(html).choices[name]
