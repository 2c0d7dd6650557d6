"""The bus of many processes on real servers that work well: other processes, limits, credentials, and what a wipe takes along."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from campana.bus.contract import EVENTS, INGEST, LIVE, Away, Full
from campana.bus.holdings import Holdings
from campana.bus.nats import NatsBus
from campana.bus.streams import STREAMS, Servers, servers_of
from campana.settings import BadSettings
from tests.bus.test_all_buses import LONG, put, reached, take
from tests.chaos.world import HOST, free_port
from tests.nats_servers import NatsServers, nats_servers

LISTENER = """
import asyncio, sys
from campana.bus.nats import NatsBus

async def main():
    bus = NatsBus(sys.argv[1])
    await bus.start()
    print("listening", flush=True)
    print("woken" if await bus.woken("units", 20) else "not woken", flush=True)
    bus.wake("pump")
    await bus.woken("nothing", 0.2)  # lets the wake leave the house
    await bus.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("nats://a", Servers(("nats://a",))),
        ("nats://a:4222,b:4223, c", Servers(("nats://a:4222", "nats://b:4223", "nats://c"))),
        ("tls://me:p%40ss@a:1,b:2/", Servers(("tls://a:1", "tls://b:2"), "me", "p@ss")),
        ("nats://[::1]:4222", Servers(("nats://[::1]:4222",))),
    ],
)
def test_servers_are_read_from_the_setting(url: str, servers: Servers) -> None:
    assert servers_of(url) == servers
    assert "p@ss" not in servers.hosts


@pytest.mark.parametrize("url", ["", "nats://", "http://a", "nats://a,,b", "nats://a:many", "nats://a/b", "kafka://a", "nats:a"])
def test_what_names_no_servers_is_refused_in_words(url: str) -> None:
    with pytest.raises(BadSettings, match="nats://a:4222"):
        servers_of(url)


async def test_wakes_reach_another_process_and_come_back(server: NatsServers) -> None:
    bus = NatsBus(server.url)
    await bus.start()
    listener = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LISTENER, server.url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert listener.stdout is not None
    try:
        assert await listener.stdout.readline() == b"listening\n"
        bus.wake("units")
        assert await listener.stdout.readline() == b"woken\n"
        assert await bus.woken("pump", LONG)
        assert await listener.wait() == 0
    finally:
        await bus.close()
        if listener.returncode is None:
            listener.kill()
            await listener.wait()


async def test_an_event_wakes_the_live_pages_of_every_process(server: NatsServers) -> None:
    web, pump = NatsBus(server.url), NatsBus(server.url)
    await web.start()
    await pump.start()
    waiting = [asyncio.create_task(bus.woken(LIVE, LONG)) for bus in (web, pump)]
    await asyncio.sleep(0)
    await pump.put(EVENTS, "e1", b"{}")
    assert await asyncio.gather(*waiting) == [True, True]
    await web.close()
    await pump.close()


async def test_a_full_stream_takes_no_more_until_something_is_done(server: NatsServers) -> None:
    bus = NatsBus(server.url, most_bytes=20_000)
    await bus.start()
    answers = await asyncio.gather(*(bus.put(INGEST, f"k{n}", b"x" * 1000) for n in range(100)), return_exceptions=True)
    kept = answers.count(None)
    refusals = [answer for answer in answers if answer is not None]
    assert all(isinstance(one, Full) and "INGEST is full" in str(one) for one in refusals)
    assert 10 < kept < 20
    assert await bus.held(INGEST) == kept
    await bus.done(await take(bus, INGEST, 5))
    await bus.put(INGEST, "later", b"x" * 1000)
    assert await bus.held(INGEST) == kept - 4
    await bus.close()


async def test_full_events_give_way_to_new_ones(server: NatsServers) -> None:
    bus = NatsBus(server.url, most_bytes=80_000)
    await bus.start()
    for number in range(60):
        await bus.put(EVENTS, f"k{number}", b"x" * 1000)
    keys: list[str] = []
    async with asyncio.timeout(LONG):
        while "k59" not in keys:  # one taking may bring a part of them
            keys += [parcel.key for parcel in await bus.take(EVENTS, 100)]
            await asyncio.sleep(0)
    assert keys == [f"k{number}" for number in range(60 - len(keys), 60)]
    assert 10 < len(keys) < 20
    await bus.close()


async def test_what_is_longer_than_servers_take_is_refused_by_itself(server: NatsServers) -> None:
    bus = NatsBus(server.url)
    await bus.start()
    with pytest.raises(ValueError, match="max_payload"):
        await bus.put(INGEST, "long", bytes(9 << 20))
    await bus.put(INGEST, "longest webhook", bytes(3 << 20))
    [parcel] = await take(bus, INGEST, 1)
    assert len(parcel.body) == 3 << 20
    await bus.close()


async def test_without_a_server_nothing_is_kept_and_nothing_breaks() -> None:
    bus = NatsBus(f"nats://someone:secret@{HOST}:{free_port()}", patience=0.3)
    await bus.start()
    bus.wake("units")
    assert await bus.woken("units", 0)
    assert await bus.take(INGEST, 10) == []
    with pytest.raises(Away, match=HOST) as refused:
        await bus.put(INGEST, "a", b"x")
    assert "secret" not in str(refused.value)
    with pytest.raises(Away):
        await bus.held(INGEST)
    await bus.close()


async def test_credentials_open_a_server_and_wrong_ones_are_told(folder: Path) -> None:
    with nats_servers(folder, more='authorization { user: campana, password: "p@ss" }') as servers:
        known = servers.url.replace("nats://", "nats://campana:p%40ss@")
        bus = NatsBus(known)
        await bus.start()
        await bus.put(INGEST, "a", b"x")
        await bus.close()
        stranger = NatsBus(servers.url.replace("nats://", "nats://campana:wrong@"), patience=0.5)
        await stranger.start()
        with pytest.raises(Away, match="Authorization Violation"):
            await stranger.put(INGEST, "a", b"x")
        await stranger.close()


async def test_streams_that_somebody_deleted_are_made_again_and_what_they_held_is_counted(server: NatsServers) -> None:
    web, other, work = (NatsBus(server.url) for _ in range(3))
    for bus in (web, other, work):
        await bus.start()
    await put(web, INGEST, ["a", "b", "c"])
    await put(other, INGEST, ["d"])
    taken = await take(work, INGEST, 4)
    await work.done([parcel for parcel in taken if parcel.key == "b"])
    async with server.client() as client:
        for name in STREAMS.values():
            await client.jetstream().delete_stream(name)
    await put(web, INGEST, ["e"])  # returns once there is a stream again
    await put(web, EVENTS, ["e"])
    await reached(lambda: bool(web.wiped and other.wiped and work.wiped))
    assert [(bus.wiped, bus.lost) for bus in (web, other, work)] == [(1, 2), (1, 1), (1, 0)]
    assert await web.held(INGEST) == 1
    await work.done([parcel for parcel in taken if parcel.key == "a"])  # it was in the store after all
    await reached(lambda: web.lost == 1)
    assert [parcel.key for parcel in await take(work, INGEST, 1)] == ["e"]
    for bus in (web, other, work):
        await bus.close()


def test_holdings_forget_what_the_stream_holds_no_more() -> None:
    holdings = Holdings()
    assert holdings.look(None, 100, 100) is None
    for number in (100, 101, 102, 103):
        holdings.put(number)
    holdings.done([102, 999])
    holdings.look(None, 100, 101)
    assert (holdings.open, holdings.lost, holdings.wiped, holdings.last) == (2, 0, 0, 103)
