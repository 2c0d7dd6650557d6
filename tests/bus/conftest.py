"""Buses of every kind, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nats.js.errors import NotFoundError

from campana.bus.contract import EVENTS, INGEST, Bus
from campana.bus.local import LocalBus
from campana.bus.nats import NatsBus
from campana.bus.streams import STREAMS
from tests.nats_servers import NatsServers, nats_servers


@dataclass
class Place:
    """Somewhere a bus can be had, as often as there are processes."""

    stream: str  # which keeps parcels for takers
    servers: NatsServers | None = None
    again: float = 60.0  # seconds until what was not done is handed out again; the first bus decides
    local: LocalBus | None = None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def bus(self) -> Bus:
        """One more process's bus; the only one there is where there is but one process."""
        bus: Bus
        if self.servers is None:
            bus = self.local = self.local or LocalBus(again=self.again)
        else:
            bus = NatsBus(self.servers.url, again=self.again)
        await bus.start()
        self.stack.push_async_callback(bus.close)
        return bus


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServers]:
    with nats_servers(tmp_path_factory.mktemp("nats")) as servers:
        yield servers


@pytest.fixture(scope="module")
def three_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServers]:
    with nats_servers(tmp_path_factory.mktemp("nats"), 3) as servers:
        yield servers


@pytest.fixture(params=["local", "one", "three"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A place without parcels, of each kind."""
    kind = request.param
    if kind == "local":
        found = Place(EVENTS)
    else:
        found = Place(INGEST, request.getfixturevalue(f"{kind}_server{'s' * (kind == 'three')}"))
    async with found.stack:
        yield found
    if found.servers is not None:
        await forget(found.servers)


@pytest.fixture
async def server(one_server: NatsServers) -> AsyncIterator[NatsServers]:
    """One server without streams."""
    yield one_server
    await forget(one_server)


async def forget(servers: NatsServers) -> None:
    """Removes all streams."""
    async with servers.client() as client:
        for name in STREAMS.values():
            with suppress(NotFoundError):
                await client.jetstream().delete_stream(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "nats"
