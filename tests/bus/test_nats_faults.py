"""NATS servers that are killed, stopped and wiped while webhooks pour in: what was acknowledged is taken."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from campana.bus.contract import INGEST, Away, Full
from campana.bus.nats import NatsBus
from campana.bus.tasks import end_all
from tests.bus.test_all_buses import reached
from tests.nats_servers import NatsServers, nats_servers

pytestmark = pytest.mark.chaos
VERY_LONG = 60.0  # seconds: three servers that all died need some to agree on leaders
HANDS = 20


class Traffic:
    """One process that puts without end, and one that takes; what each knows of every key."""

    def __init__(self, servers: NatsServers) -> None:
        self.web = NatsBus(servers.url)
        self.work = NatsBus(servers.url, again=2.0)
        self.acknowledged: set[str] = set()
        self.refused = 0
        self.taken: Counter[str] = Counter()
        self.done: set[str] = set()
        self.pouring = asyncio.Event()
        self.number = 0
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.work.start()  # first: it decides how soon parcels come again
        await self.web.start()
        self.pouring.set()
        self.tasks = [asyncio.create_task(self._pour()) for _ in range(HANDS)]
        self.tasks.append(asyncio.create_task(self._take()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await end_all(self.tasks)
        await self.web.close()
        await self.work.close()

    async def _pour(self) -> None:
        while True:
            await self.pouring.wait()
            self.number += 1
            key = f"k{self.number}"
            try:
                await self.web.put(INGEST, key, key.encode() * 50)
                self.acknowledged.add(key)
            except (Away, Full):
                self.refused += 1
                await asyncio.sleep(0.05)  # a vendor does not come again at once either

    async def _take(self) -> None:
        while True:
            found = await self.work.take(INGEST, 100)
            self.taken.update(parcel.key for parcel in found)
            await self.work.done(found)
            self.done.update(parcel.key for parcel in found)
            if not found:
                await self.work.woken(INGEST, 0.2)

    async def more(self, count: int) -> None:
        """Returns when so many more were acknowledged."""
        goal = len(self.acknowledged) + count
        await self.until(lambda: len(self.acknowledged) >= goal)

    async def until(self, what: Callable[[], bool]) -> None:
        """Returns when something is so; says how far it came when it never is."""
        try:
            async with asyncio.timeout(VERY_LONG):
                while not what():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            known = f"{len(self.acknowledged)} acknowledged, {len(self.taken)} taken, {self.refused} refused"
            raise AssertionError(f"It does not go on: {known}.") from None

    async def end(self) -> None:
        """Pours no more; returns when all that was acknowledged has been taken and nothing is held."""
        self.pouring.clear()
        await self.until(lambda: self.acknowledged <= self.done)
        async with asyncio.timeout(VERY_LONG):
            while await self.work.held(INGEST):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_in_calm_weather_everything_is_taken_once(folder: Path) -> None:
    with nats_servers(folder) as servers:
        async with Traffic(servers) as traffic:
            await traffic.more(2000)
            await traffic.end()
            assert set(traffic.taken.values()) == {1}
            assert set(traffic.taken) == traffic.acknowledged
            assert traffic.refused == 0


async def test_a_server_that_is_killed_and_comes_back_has_kept_what_it_acknowledged(folder: Path) -> None:
    with nats_servers(folder) as servers:
        async with Traffic(servers) as traffic:
            for _ in range(4):
                await traffic.more(300)
                servers.kill()
                servers.start()
            await traffic.more(300)
            await traffic.end()
            assert (traffic.web.wiped, traffic.web.lost) == (0, 0)


async def test_what_is_put_while_nobody_takes_survives_the_kill(folder: Path) -> None:
    with nats_servers(folder) as servers:
        web = NatsBus(servers.url)
        await web.start()
        for number in range(50):
            await web.put(INGEST, f"k{number}", b"x")
        servers.kill()
        servers.start()
        work = NatsBus(servers.url)
        await work.start()
        assert [parcel.key for parcel in await work.take(INGEST, 100)] == [f"k{number}" for number in range(50)]
        await web.close()
        await work.close()


async def test_a_server_that_stays_away_is_said_and_no_put_waits_for_it(folder: Path) -> None:
    with nats_servers(folder) as servers:
        bus = NatsBus(servers.url, patience=1.0)
        await bus.start()
        await bus.put(INGEST, "before", b"x")
        servers.kill()
        with pytest.raises(Away, match="It is tried again"):
            await bus.put(INGEST, "a", b"x")
        assert bus.away
        answers = await asyncio.gather(*(bus.put(INGEST, f"b{n}", b"x") for n in range(50)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {Away}
        servers.start()
        await reached(lambda: not bus.away)
        await bus.put(INGEST, "after", b"x")
        assert [parcel.key for parcel in await bus.take(INGEST, 100)] == ["before", "after"]
        await bus.close()


async def test_a_server_that_hangs_is_left_and_found_again(folder: Path) -> None:
    with nats_servers(folder) as servers:
        async with Traffic(servers) as traffic:
            await traffic.more(200)
            servers.servers[0].stop()
            await traffic.until(lambda: traffic.refused > 0)
            servers.servers[0].go_on()
            await traffic.more(200)
            await traffic.end()


async def test_wiped_disks_cost_what_was_held_and_no_more(folder: Path) -> None:
    with nats_servers(folder) as servers:
        web, work = NatsBus(servers.url), NatsBus(servers.url)
        await web.start()
        await work.start()
        for number in range(20):
            await web.put(INGEST, f"k{number}", b"x")
        await work.done(await work.take(INGEST, 13))
        servers.kill()
        servers.wipe()
        servers.start()
        await web.put(INGEST, "after", b"x")
        await reached(lambda: web.wiped == 1 and work.wiped == 1)
        assert (web.lost, work.lost) == (7, 0)
        assert [parcel.key for parcel in await work.take(INGEST, 100)] == ["after"]
        await web.close()
        await work.close()


async def test_wiped_disks_under_traffic_lose_no_more_than_is_counted(folder: Path) -> None:
    with nats_servers(folder) as servers:
        async with Traffic(servers) as traffic:
            for times in (1, 2):
                await traffic.more(500)
                servers.kill()
                servers.wipe()
                servers.start()
                await traffic.until(lambda times=times: traffic.web.wiped == times)  # type: ignore[misc]
            await traffic.more(500)
            traffic.pouring.clear()
            await traffic.until(lambda: len(traffic.acknowledged - traffic.done) <= traffic.web.lost)


@pytest.mark.parametrize("victim", ["leader", "another"])
async def test_three_servers_go_on_when_one_is_killed(folder: Path, victim: str) -> None:
    with nats_servers(folder, 3) as servers:
        async with Traffic(servers) as traffic:
            await traffic.more(500)
            assert (await servers.info("INGEST")).config.num_replicas == 3
            leader = await servers.leader("INGEST")
            killed = leader if victim == "leader" else next(one for one in servers.servers if one is not leader)
            killed.kill()
            await traffic.more(500)
            killed.start()
            await traffic.more(500)
            await traffic.end()
            assert (traffic.web.wiped, traffic.web.lost) == (0, 0)


async def test_three_servers_that_are_all_killed_have_kept_what_they_acknowledged(folder: Path) -> None:
    with nats_servers(folder, 3) as servers:
        async with Traffic(servers) as traffic:
            await traffic.more(500)
            servers.kill()
            servers.start()
            await traffic.more(500)
            await traffic.end()
            assert (traffic.web.wiped, traffic.web.lost) == (0, 0)


async def test_two_of_three_down_keep_nothing_and_say_so(folder: Path) -> None:
    with nats_servers(folder, 3) as servers:
        async with Traffic(servers) as traffic:
            await traffic.more(200)
            for server in servers.servers[:2]:
                server.kill()
            await traffic.until(lambda: traffic.refused > HANDS)
            servers.start()
            await traffic.more(200)
            await traffic.end()
            assert (traffic.web.wiped, traffic.web.lost) == (0, 0)


async def test_three_wiped_servers_have_their_streams_again(folder: Path) -> None:
    with nats_servers(folder, 3) as servers:
        async with Traffic(servers) as traffic:
            await traffic.more(500)
            servers.kill()
            servers.wipe()
            servers.start()
            await traffic.more(500)
            await traffic.until(lambda: traffic.web.wiped == 1)
            assert (await servers.info("INGEST")).config.num_replicas == 3
            traffic.pouring.clear()
            await traffic.until(lambda: len(traffic.acknowledged - traffic.done) <= traffic.web.lost)
