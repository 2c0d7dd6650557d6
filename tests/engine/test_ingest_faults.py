"""PostgreSQL and NATS are killed while webhooks pour in: each that was acknowledged is stored."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select

from campana.bus.contract import INGEST, Away, Full
from campana.bus.nats import NatsBus
from campana.bus.tasks import end_all
from campana.core.ids import Id
from campana.engine.ingest import Ingest, keeper
from campana.store.database import Database, StoreAway, create_store_engine
from campana.store.migrate import migrate
from campana.store.schema import inbox
from tests.engine.test_ingest import hooks, house_on
from tests.nats_servers import nats_servers
from tests.postgres import PostgresServer

pytestmark = pytest.mark.chaos
LONG = 90.0


@dataclass
class Flow:
    """Webhooks without end from one process into the store by another."""

    web: NatsBus
    work: NatsBus
    ingest: Ingest
    acknowledged: set[Id] = field(default_factory=set)
    stumbled: int = 0  # how often the store was away

    async def pour(self) -> None:
        keep = keeper(self.web)
        while True:
            rows = hooks(20)
            try:
                await keep(rows)
            except (Away, Full):
                await asyncio.sleep(0.05)
            else:
                self.acknowledged.update(row.id for row in rows)

    async def move(self) -> None:
        while True:
            try:
                if not await self.ingest.move():
                    await self.work.woken(INGEST, 0.2)
            except StoreAway:
                self.stumbled += 1
                await asyncio.sleep(0.05)

    async def more(self, count: int) -> None:
        """Returns when so many more were acknowledged."""
        goal = len(self.acknowledged) + count
        async with asyncio.timeout(LONG):
            while len(self.acknowledged) < goal:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def empty(self) -> None:
        """Returns when the bus holds nothing."""
        async with asyncio.timeout(LONG):
            while await self.work.held(INGEST):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_what_was_acknowledged_is_in_the_store_whoever_was_killed(tmp_path: Path) -> None:
    with PostgresServer() as postgres, nats_servers(tmp_path / "nats") as servers:
        url = postgres.create_database("campana")
        engine = create_store_engine(url)
        migrate(engine)
        engine.dispose()
        db = Database(url)
        web, work = NatsBus(servers.url), NatsBus(servers.url, again=2.0)
        await work.start()
        await web.start()
        flow = Flow(web, work, Ingest(house_on(db, lambda topic: None), work))
        pouring, moving = asyncio.create_task(flow.pour()), asyncio.create_task(flow.move())
        for _ in range(2):
            await flow.more(500)
            await asyncio.to_thread(postgres.kill)
            await flow.more(500)  # the store is away, and webhooks are taken all the same
            servers.kill()
            servers.start()
            await flow.more(200)
            await asyncio.to_thread(postgres.start)
        await end_all([pouring])
        await flow.empty()
        await end_all([moving])
        stored = await db.read(lambda c: list(c.scalars(select(inbox.c.id))))
        assert flow.acknowledged <= set(stored)
        assert flow.stumbled > 0
        assert (web.wiped, web.lost) == (0, 0)
        await web.close()
        await work.close()
        db.close()
