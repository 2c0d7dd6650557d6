"""From the gateway over the bus into the store, and what is noted in the store out to the bus: real databases, real servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from campana.bus.contract import EVENTS, INGEST, Away, Full
from campana.bus.local import LocalBus
from campana.bus.nats import NatsBus
from campana.channels.registry import channels
from campana.clock import VirtualClock
from campana.core.campaign import Plan
from campana.core.durations import Durations
from campana.core.exchange import HookRow, packed, unpacked
from campana.core.ids import Id, new_id
from campana.engine import launch, relay, wake
from campana.engine.house import House
from campana.engine.ingest import BATCH, Ingest, keeper
from campana.store import accounts, inbox, outbox
from campana.store.database import Database, StoreAway
from campana.store.schema import run, stray
from tests.conftest import NewStore
from tests.nats_servers import NatsServers, nats_servers
from tests.store.conftest import NOW, a_run

LONG = 20.0


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServers]:
    with nats_servers(tmp_path_factory.mktemp("nats")) as found:
        yield found


@pytest.fixture
async def bus(servers: NatsServers) -> AsyncIterator[NatsBus]:
    bus = NatsBus(servers.url)
    await bus.start()
    yield bus
    await bus.close()
    async with servers.client() as client:
        for name in ("INGEST", "EVENTS"):
            await client.jetstream().delete_stream(name)


@dataclass
class Heard:
    """The topics that were woken."""

    topics: list[str] = field(default_factory=list)


async def _nobody(*_: Any) -> Any:
    raise AssertionError("nothing is sent here")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def house(tmp_path: Path, new_store: NewStore, heard: Heard) -> Iterator[House]:
    db = Database(new_store(tmp_path))
    yield house_on(db, heard.topics.append)
    db.close()


def house_on(db: Database, wake: Callable[[str], None]) -> House:
    """A house that sends nothing."""
    return House(
        db=db,
        exchange=_nobody,
        clock=VirtualClock(NOW),
        durations=Durations(1),
        channels=channels(),
        accounts={},
        hook_url=lambda name: f"http://here/hooks/{name}",
        journal=lambda message_id: None,
        begun=lambda token, message_id: None,
        new_token=lambda: new_id(NOW),
        wake=wake,
    )


def hooks(count: int) -> list[HookRow]:
    return [
        HookRow(new_id(NOW), "sms", "POST", "http://here/hooks/sms?x=%00", {"a": "ä"}, b"\0\xff%d" % n, NOW) for n in range(count)
    ]


async def kept(house: House) -> list[tuple[Id, bytes]]:
    rows = await house.db.run(inbox.take, 10_000)
    return [(row.id, bytes(row.body)) for row in rows]


def test_a_webhook_is_the_same_after_its_way() -> None:
    [hook] = hooks(1)
    assert unpacked(packed(hook)) == hook
    for wrong in (b"", b"{}", b"\x80", b"\xc1 anything"):
        with pytest.raises(ValueError):  # noqa: PT011  # whichever way it is wrong
            unpacked(wrong)


@pytest.mark.both_databases
async def test_webhooks_reach_the_store_and_leave_the_bus(house: House, bus: NatsBus, heard: Heard) -> None:
    sent = hooks(BATCH + 50)
    await keeper(bus)(sent)
    assert await bus.held(INGEST) == len(sent)
    ingest, moved = Ingest(house, bus), 0
    async with asyncio.timeout(LONG):
        while moved < len(sent):
            moved += await ingest.move()
    assert await kept(house) == [(hook.id, hook.body) for hook in sent]
    assert await bus.held(INGEST) == 0
    assert await ingest.move() == 0
    assert set(heard.topics) == {"inbox"}


async def test_while_the_database_is_away_webhooks_stay_on_the_bus(
    house: House, bus: NatsBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = hooks(3)
    await keeper(bus)(sent)
    ingest = Ingest(house, bus)

    def away(c: Connection, rows: Any) -> None:
        raise StoreAway("The database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "put", away)
        for _ in range(2):
            with pytest.raises(StoreAway):
                await ingest.move()
    assert await bus.held(INGEST) == 3
    assert await ingest.move() == 3  # at once, and not when the bus hands them out again
    assert await kept(house) == [(hook.id, hook.body) for hook in sent]
    assert await bus.held(INGEST) == 0


async def test_what_is_no_webhook_is_kept_for_people_and_stands_in_nobodys_way(house: House, bus: NatsBus) -> None:
    await house.db.run(accounts.ensure_workspace, "default", NOW)
    sent = hooks(4)
    await keeper(bus)(sent[:2])
    await bus.put(INGEST, "strange", b"not\0 ours")
    await keeper(bus)(sent[2:])
    ingest, moved = Ingest(house, bus), 0
    async with asyncio.timeout(LONG):
        while moved < 5:
            moved += await ingest.move()
    assert await kept(house) == [(hook.id, hook.body) for hook in sent]
    [words] = await house.db.read(lambda c: list(c.scalars(select(stray.c.words))))
    assert "not ours" in words
    assert await bus.held(INGEST) == 0


async def test_the_gateway_hears_of_a_bus_that_takes_nothing(servers: NatsServers) -> None:
    with pytest.raises(Full):
        await keeper(LocalBus())(hooks(2))
    nowhere = NatsBus("nats://127.0.0.1:1", patience=0.2)
    await nowhere.start()
    with pytest.raises(Away):
        await keeper(nowhere)(hooks(2))
    await nowhere.close()


# --- what is noted ----------------------------------------------------------------------------------------------------------


def lead_a_life(c: Connection) -> Id:
    """A run that is started, paused, resumed and finished; changes that change nothing are tried between."""
    found = a_run(c, [("+12125550101", None)], status="scheduled")
    c.execute(update(run).values(plan=Plan(steps=()).model_dump_json()))
    house: Any = None  # nothing of it is needed here
    assert wake.start_runs(c, house, NOW + 1) == 1
    assert wake.start_runs(c, house, NOW + 2) == 0
    assert launch.pause(c, found.id, NOW + 3)
    assert not launch.pause(c, found.id, NOW + 4)
    assert launch.resume(c, found.id, NOW + 5)
    assert launch.finish(c, found.id, NOW + 6)
    assert not launch.resume(c, found.id, NOW + 7)
    return found.id


def events_of(bodies: list[bytes]) -> list[tuple[str, int]]:
    return [(event["what"], event["at"] - NOW) for event in map(json.loads, bodies)]


LIFE = [("run.started", 1), ("run.paused", 3), ("run.resumed", 5), ("run.finished", 6)]


@pytest.mark.both_databases
async def test_what_becomes_of_a_run_is_told_once_and_in_order(house: House, bus: NatsBus) -> None:
    run_id = await house.db.run(lead_a_life)
    assert await relay.relay(house, bus) == 4
    assert await relay.relay(house, bus) == 0
    told = await bus.take(EVENTS, 10)
    assert events_of([parcel.body for parcel in told]) == LIFE
    event = json.loads(told[0].body)
    assert set(event) == {"what", "run", "campaign", "at"}
    assert event["run"] == run_id.hex()


async def test_a_run_whose_people_are_done_is_told_to_be_sent(house: House) -> None:
    def end(c: Connection) -> None:
        found = a_run(c, [], status="sending")
        c.execute(update(run).values(enrolled=True))
        assert wake.finish_runs(c, NOW + 1) == [found.id]

    await house.db.run(end)
    rows = await house.db.read(outbox.take, 10)
    assert events_of([bytes(row.body) for row in rows]) == [("run.sent", 1)]


async def test_what_cannot_be_told_waits_for_the_bus(house: House, servers: NatsServers, bus: NatsBus) -> None:
    await house.db.run(lead_a_life)
    nowhere = NatsBus("nats://127.0.0.1:1", patience=0.2)
    await nowhere.start()
    assert await relay.relay(house, nowhere) == 0
    await nowhere.close()
    assert await relay.relay(house, bus) == 4
    assert len(await bus.take(EVENTS, 10)) == 4


async def test_what_was_told_but_not_ticked_off_is_told_under_the_same_key(house: House, bus: NatsBus) -> None:
    await house.db.run(lead_a_life)
    for row in await house.db.read(outbox.take, 2):  # by a pump that died before it ticked them off
        await bus.put(row.stream, row.key, row.body)
    assert await relay.relay(house, bus) == 4
    assert events_of([parcel.body for parcel in await bus.take(EVENTS, 10)]) == LIFE
