"""What machines ask: answers that are true, quick whatever else hangs, and tell nothing of people."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from campana.bus.contract import Away
from campana.bus.local import LocalBus
from campana.clock import VirtualClock
from campana.metrics import Metrics
from campana.store import accounts
from campana.store.database import Database
from campana.store.migrate import migrate
from campana.web import health as module
from campana.web.app import create_app
from campana.web.health import Health, Shared, serve_health
from campana.web.hosts import named
from campana.web.listen import PortTaken
from tests.store.conftest import an_account

_spec = importlib.util.spec_from_file_location("world", Path(__file__).parents[1] / "browser" / "world.py")
worlds: Any = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(worlds)  # type: ignore[union-attr]

NOW = 1_796_115_600_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'campana.db'}")
    migrate(found.engine)
    yield found
    found.close()


@pytest.fixture
def health(database: Database) -> Health:
    return Health("serve", Metrics(), database.read, VirtualClock(NOW), LocalBus())


def asking(app: Any, host: str = "localhost") -> httpx.AsyncClient:
    """Asks the application without a socket between, under a name."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{host}")


@pytest.fixture
async def http(health: Health) -> AsyncIterator[httpx.AsyncClient]:
    """Asks from outside."""
    app = create_app(worlds.World().console(), guard=partial(named, ()), health=health)
    async with asking(app, "campana.example.com") as found:
        yield found


async def metrics_of(health: Health) -> dict[tuple[str, ...], float]:
    """Every sample: its name and the values of its labels."""
    answer = await health.exposition()
    families = text_string_to_metric_families(answer.body.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


async def test_probes_are_answered_under_any_name(http: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8"), path
        assert (await http.head(path)).status_code == 200
        assert (await http.post(path)).status_code == 405


async def test_metrics_are_for_this_machine_only(http: httpx.AsyncClient, health: Health) -> None:
    assert (await http.get("/metrics")).status_code == 403
    app = create_app(worlds.World().console(), guard=partial(named, ()), health=health)
    async with asking(app) as here:
        answer = await here.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'campana_build_info{role="serve"' in answer.text


async def test_metrics_are_told_elsewhere_to_who_knows_the_token(http: httpx.AsyncClient, health: Health) -> None:
    asked = {"authorization": "Bearer figures-for-us"}
    assert (await http.get("/metrics", headers=asked)).status_code == 403  # there is no token
    health.token = "figures-for-us"
    assert (await http.get("/metrics", headers=asked)).status_code == 200
    for wrong in ("", "Bearer ", "Bearer figures-for-u", "figures-for-us"):
        assert (await http.get("/metrics", headers={"authorization": wrong})).status_code == 403, wrong


async def test_a_wheel_that_died_is_named(http: httpx.AsyncClient, health: Health) -> None:
    health.dead = lambda: ["inbox"]
    answer = await http.get("/healthz")
    assert (answer.status_code, "inbox" in answer.text) == (500, True)


async def test_a_stopping_process_is_not_ready_at_once(http: httpx.AsyncClient, health: Health) -> None:
    assert (await http.get("/readyz")).status_code == 200
    health.stopping = lambda: True
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.text) == (503, f"{module.STOPPING}\n")
    assert (await http.get("/healthz")).status_code == 200
    assert (await metrics_of(health))["campana_stopping",] == 1


async def test_a_store_of_another_version_is_said(http: httpx.AsyncClient, database: Database) -> None:
    await database.run(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    answer = await http.get("/readyz")
    assert (answer.status_code, "schema 9999" in answer.text) == (503, True)


async def silent(*_: Any) -> Any:
    """A store that never answers."""
    await asyncio.Event().wait()


async def broken(*_: Any) -> Any:
    """A store that is not there."""
    raise ConnectionError("no route to +525511223344")


class NoBus(LocalBus):
    """A bus whose servers are away, and that has lost what it held."""

    lost, wiped = 7, 1

    async def held(self, stream: str) -> int:
        raise Away("no servers available")


@pytest.mark.parametrize(("read", "sentence"), [(silent, module.STORE_LATE), (broken, module.STORE_AWAY)])
async def test_a_store_that_is_away_is_said_and_metrics_go_on_without_it(
    health: Health, monkeypatch: pytest.MonkeyPatch, read: Any, sentence: str
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    health.read = read
    health.metrics.hooked("taken")
    answer = await health.ready()
    assert (answer.code, answer.body.decode()) == (503, f"{sentence}\n")
    assert health.healthy().code == 200, "starting again would not bring the database back"
    found = await metrics_of(health)
    assert (found["campana_store_up",], found["campana_webhooks_total", "taken"]) == (0, 1)
    assert ("campana_people_due",) not in found


async def test_a_bus_that_is_away_is_said(health: Health) -> None:
    health.bus = NoBus()
    answer = await health.ready()
    assert (answer.code, answer.body.decode()) == (503, f"{module.BUS_AWAY}\n")
    found = await metrics_of(health)
    assert (found["campana_bus_up",], found["campana_store_up",]) == (0, 1)
    assert (found["campana_bus_webhooks_lost_total",], found["campana_bus_wiped_total",]) == (7, 1)
    assert ("campana_bus_webhooks",) not in found


async def test_the_store_is_read_once_however_many_ask(health: Health, database: Database) -> None:
    reads = []

    async def counted(work: Any, *arguments: Any) -> Any:
        reads.append(work.__name__)
        return await database.read(work, *arguments)

    health.read = counted
    await asyncio.gather(*(health.exposition() for _ in range(20)))
    await health.exposition()
    assert reads == ["figures"]


async def test_a_reading_is_made_anew_when_its_time_is_over() -> None:
    answers = iter([1, 2, 3])

    async def read() -> int:
        return next(answers)

    assert [await Shared(read, 60).get() for _ in range(1)] == [1]
    fleeting = Shared(read, 0)
    assert [await fleeting.get(), await fleeting.get()] == [2, 3]


async def test_what_was_counted_is_shown(health: Health) -> None:
    counted = health.metrics
    counted.called("sms", ["accepted"], 0.03)
    counted.called("sms", ["accepted", "permanent"], 0.3)
    counted.called("wa", ["lost"], 20.0)
    counted.stumbled("inbox")
    counted.store_ran(0.004)
    found = await metrics_of(health)
    assert found["campana_attempts_total", "sms", "accepted"] == 2
    assert found["campana_attempts_total", "sms", "permanent"] == 1
    assert [found["campana_call_seconds_bucket", "sms", bound] for bound in ("0.025", "0.05", "0.25", "0.5", "+Inf")] == [
        0,
        1,
        1,
        2,
        2,
    ]
    assert (found["campana_call_seconds_bucket", "wa", "15.0"], found["campana_call_seconds_count", "wa"]) == (0, 1)
    assert found["campana_call_seconds_sum", "sms"] == pytest.approx(0.33)
    assert found["campana_wheel_errors_total", "inbox"] == 1
    assert found["campana_store_transaction_seconds_bucket", "0.005"] == 1
    assert found["campana_bus_webhooks_lost_total",] == 0


async def test_a_sender_named_by_its_number_is_not_shown_by_it(health: Health, database: Database) -> None:
    def two_numbers(c: Any) -> None:
        workspace_id = accounts.ensure_workspace(c, "default", NOW)
        account = an_account(c, workspace_id, kind="sms")
        for name in ("clinic", "+525511223344", "+525511223355"):
            accounts.put_sender(c, workspace_id, account, name, name, 10, None, NOW)

    await database.run(two_numbers)
    found = await metrics_of(health)
    shown = [labels for labels in found if labels[0] == "campana_sender_paused"]  # labels stand in the order of their names
    assert shown == [("campana_sender_paused", "***", "default"), ("campana_sender_paused", "clinic", "default")]


async def test_a_process_without_a_web_side_answers_on_a_port_of_its_own(health: Health) -> None:
    stop, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_health(health, "127.0.0.1", 0, stop, bound.set_result))
    port = await bound
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        codes = [(await http.get(path)).status_code for path in ("/healthz", "/readyz", "/metrics", "/campaigns")]
        assert codes == [200, 200, 200, 404]
        assert (await http.get("/metrics", headers={"host": "outside.example"})).status_code == 403
        assert (await http.get("/readyz", headers={"host": "outside.example"})).status_code == 200
        with pytest.raises(PortTaken, match="CAMPANA_HEALTH_PORT"):
            await serve_health(health, "127.0.0.1", port, stop)
    stop.set()
    await serving
