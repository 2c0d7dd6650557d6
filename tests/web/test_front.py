"""What answers before the console does: webhooks, probes and metrics go by rules of their own, whoever is signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from campana.store import inbox
from campana.web.access import COOKIE
from tests.engine.world import World
from tests.web.studio import Studio

WHO = {"nobody": {}, "an editor": {COOKIE: "session-of-ana"}, "a forger": {COOKIE: "session-of-nobody"}}
ASKED = [
    ("POST", "/hooks/sms", "localhost", 403),  # no signature: no session stands in for it
    ("POST", "/hooks/sms", "hooks.example.org", 403),  # vendors call by any name
    ("POST", "/hooks/wa", "localhost", 403),
    ("GET", "/hooks/wa?hub.mode=subscribe&hub.verify_token=guess", "localhost", 403),
    ("DELETE", "/hooks/sms", "localhost", 405),
    ("POST", "/hooks/none", "localhost", 404),
    ("POST", "/hooks/sms/more", "localhost", 404),
    ("POST", "/hooks/..%2fcampaigns", "localhost", 404),
    ("GET", "/healthz", "anything.example.org", 200),
    ("GET", "/readyz", "anything.example.org", 200),
    ("POST", "/healthz", "localhost", 405),
    ("GET", "/metrics", "localhost", 200),
    ("GET", "/metrics", "anything.example.org", 403),
    ("GET", "/campaigns", "anything.example.org", 403),  # the console answers under its own names only
]


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    world = World(tmp_path, f"sqlite:///{tmp_path / 'campana.db'}")
    await world.open()
    studio = Studio(world)
    await studio.prepare()
    yield studio
    await world.close()


@pytest.mark.parametrize("who", WHO)
async def test_the_same_for_everybody(studio: Studio, who: str) -> None:
    found = []
    transport = httpx.ASGITransport(studio.world.installation.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, cookies=WHO[who]) as http:
        for method, path, host, _ in ASKED:
            answer = await http.request(method, f"http://{host}{path}", content=b"MessageSid=SM1&MessageStatus=sent")
            found.append((method, path, host, answer.status_code))
    assert found == ASKED
    assert await studio.world.house.db.read(inbox.size) == 0
