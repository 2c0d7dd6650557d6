"""Stopping: what was handed over is settled, what was not is free for others, and machines are told at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import httpx
import pytest
from sqlalchemy import func, select

from campana.cli.run import prepare, read_campaign
from campana.core.message import Status
from campana.settings import load_settings
from campana.standin.faults import Fault, Faults, Rule
from campana.store.database import create_store_engine
from campana.store.schema import message, unit
from campana.web.health import STOPPING
from campana.wiring import open_installation
from tests.chaos.books import close_books
from tests.chaos.world import HOST, World, free_port, until, wait_for_port, world_in
from tests.postgres import postgres_for_tests

PEOPLE = 400


async def launch(world: World) -> None:
    """The world's campaign is launched, and nobody sends it yet: the next `campana serve` will."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("CAMPANA_")}
    try:
        async with open_installation(load_settings(world.folder / "campana.toml")) as installation:
            campaign = read_campaign(world.write_campaign())
            await prepare(installation, campaign, world.folder / "people-0.csv")
    finally:
        os.environ.update(kept)


@contextlib.contextmanager
def sending(folder: Path, faults: Faults, time_scale: float = 60.0) -> Iterator[tuple[World, Popen[bytes]]]:
    """A process that is in the middle of sending, with calls under way all the time."""
    with world_in(folder, faults=faults, pace=100.0, time_scale=time_scale) as world:
        wait_for_port(world.vendor_port, world.start_vendors())
        world.write_people(PEOPLE)
        asyncio.run(launch(world))
        process = world.start("serve")
        wait_for_port(world.port, process)
        until(lambda: len(world.accepted()) > 40, process)
        yield world, process


def asked(world: World, path: str, port: int = 0) -> tuple[int, str]:
    """Status and body; (0, "") when nobody listens any more."""
    try:
        with urlopen(f"http://{HOST}:{port or world.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except (URLError, ConnectionError):
        return 0, ""


UNDER_WAY = "SELECT count(*) FROM message WHERE status IN (?, ?)"


def stored(world: World, query: str, *values: int) -> int:
    """One number of the store."""
    with contextlib.closing(sqlite3.connect(world.database)) as connection:
        found: int = connection.execute(query, values).fetchone()[0]
        return found


def watching(world: World) -> tuple[threading.Thread, threading.Event, list[Exception | None]]:
    """Somebody who looks at the live list of campaigns: the thread, when the first news came, how it ended."""
    first = threading.Event()
    ended: list[Exception | None] = []

    def watch() -> None:
        try:
            with httpx.stream("GET", f"http://localhost:{world.port}/campaigns/stream", timeout=60) as answer:
                for _ in answer.iter_lines():
                    first.set()
            ended.append(None)
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread, first, ended


def test_sigterm_settles_what_was_handed_over_and_leaves_the_rest(tmp_path: Path) -> None:
    with sending(tmp_path / "world", Faults(latency=(1.0, 1.0))) as (world, process):
        thread, first, ended = watching(world)
        assert first.wait(30)
        assert asked(world, "/readyz")[0] == 200
        process.send_signal(signal.SIGTERM)
        until(lambda: asked(world, "/readyz")[0] != 200, process)
        assert asked(world, "/readyz") == (503, f"{STOPPING}\n")
        assert asked(world, "/healthz")[0] == 200
        assert process.wait(40) == 0, world.log()
        thread.join(30)
        assert ended == [None], "streams end well"
        assert stored(world, UNDER_WAY, Status.SENDING, Status.UNCERTAIN) == 0
        assert stored(world, "SELECT count(*) FROM unit WHERE token IS NOT NULL") == 0
        taken = len(world.accepted())
        assert stored(world, "SELECT count(*) FROM message WHERE vendor_id IS NOT NULL") == taken
        assert taken < PEOPLE, "the rest waits"
        assert stored(world, "SELECT count(*) FROM unit") > 0


def test_a_drained_process_leaves_nobody_out(tmp_path: Path) -> None:
    with sending(tmp_path / "world", Faults(latency=(0.2, 0.2)), 21_600.0) as (world, process):
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, world.log()
        done = world.run("run", str(world.write_campaign()), "--audience", str(world.folder / "people-0.csv"), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["delivered"] == PEOPLE
        books = close_books(world, [], PEOPLE)
    assert (books.lost, books.twice, books.uncertain_once, books.problems) == (0, 0, 0, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    silent = Rule(suffix="9", fault=Fault.SILENT)  # calls that last until they are given up
    with sending(tmp_path / "world", Faults(rules=(silent,), silence=300)) as (world, process):
        process.send_signal(signal.SIGTERM)
        until(lambda: asked(world, "/readyz")[0] == 503, process)
        process.send_signal(number)
        assert process.wait(10) == -number
        assert stored(world, UNDER_WAY, Status.SENDING, Status.SENDING) > 0, "it did not wait for them"


def test_a_worker_among_several_is_drained_alone(tmp_path: Path) -> None:
    with postgres_for_tests() as server, world_in(tmp_path / "world", faults=Faults(latency=(1.0, 1.0)), pace=100.0) as world:
        database, port = f"drain_{os.urandom(6).hex()}", free_port()
        facts = {**world.settings(), "database": server.create_database(database), "time_scale": 60.0}
        with_health = world.write_settings({**facts, "health_port": port}).rename(world.folder / "work.toml")
        world.write_settings(facts)
        wait_for_port(world.vendor_port, world.start_vendors())
        world.write_people(PEOPLE)
        asyncio.run(launch(world))
        others = [world.start(role, log=f"{role}.log") for role in ("web", "pump")]
        wait_for_port(world.port, others[0])
        work = world.start("work", "--config", str(with_health), log="work.log", config=False)
        until(lambda: len(world.accepted()) > 40, work)
        assert [asked(world, path, port)[0] for path in ("/healthz", "/readyz", "/metrics", "/campaigns")] == [200, 200, 200, 404]
        assert 'role="work"' in asked(world, "/metrics", port)[1]
        work.send_signal(signal.SIGTERM)
        until(lambda: asked(world, "/readyz", port)[0] != 200, work)
        assert asked(world, "/readyz", port) == (503, f"{STOPPING}\n")
        assert work.wait(40) == 0, world.log("work.log")
        assert asked(world, "/readyz")[0] == 200, "the console goes on"
        left = create_store_engine(facts["database"])
        with left.connect() as c:
            under_way = (Status.SENDING, Status.UNCERTAIN)
            assert c.scalar(select(func.count()).select_from(message).where(message.c.status.in_(under_way))) == 0
            assert c.scalar(select(func.count()).select_from(unit).where(unit.c.token.is_not(None))) == 0
            taken = select(func.count()).select_from(message).where(message.c.vendor_id.is_not(None))
            assert c.scalar(taken) == len(world.accepted()) < PEOPLE
        left.dispose()
        for process in others:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(40) for process in others] == [0, 0], world.log("web.log") + world.log("pump.log")
        server.drop_database(database)
