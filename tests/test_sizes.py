"""From a laptop to a cluster: the script that shows it, and what is refused on the way there, in a sentence that helps."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from psycopg.sql import SQL, Identifier

from campana.cli import app
from campana.settings import load_settings
from tests.chaos.world import HOST, World, world_in
from tests.postgres import Postgres
from tests.processes import die_with_parent

ROOT = Path(__file__).parents[1]
PARTS = ("web", "pump", "work")
NO_RIGHTS = "?options=-crole%3Dpg_monitor"  # a role that every server has, and that may make nothing


@contextlib.contextmanager
def script(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The script as `make sizes` starts it, in a session of its own; it ends with the block."""
    command = [sys.executable, "-m", "deploy.sizes", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True, preexec_fn=die_with_parent
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def test_a_campaign_goes_out_in_a_cluster_whose_processes_are_killed() -> None:
    with script("l", "--people", "24", "--lease", "3", "--json") as running:
        out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    (found,) = json.loads(out)
    outcomes = sum(found[name] for name in ("replied", "delivered", "unreached", "opted_out", "unknown"))
    assert (found["recipients"], outcomes, found["lost"], found["twice"]) == (24, 24, 0, 0)
    worker, pump, server = found["killed"]
    assert (worker[:5], pump, server[:1]) == ("work-", "pump-1", "n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_script_leaves_nothing_behind_when_it_is_stopped(number: signal.Signals) -> None:
    with script("m", "--people", "200") as running:
        assert running.stderr is not None
        said = iter(running.stderr.readline, "")
        assert any("campana work" in line for line in said), "it ended before it had started a worker"
        ours = started_by(running.pid)
        assert len(ours) > 4, "a database, vendors and processes of Campana"
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
    assert running.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], err
    assert [pid for pid in ours if Path(f"/proc/{pid}").exists()] == []
    assert list(Path(tempfile.gettempdir()).glob(f"campana-sizes-{running.pid}-*")) == []


@pytest.mark.parametrize("unit", sorted((ROOT / "deploy/systemd").iterdir()), ids=lambda unit: unit.name)
def test_a_unit_of_systemd_starts_what_its_name_says(unit: Path) -> None:
    said = configparser.ConfigParser(interpolation=None)
    said.optionxform = str  # type: ignore[assignment,method-assign]
    said.read_string(unit.read_text(encoding="utf-8"))
    service = said["Service"]
    part = unit.name.removeprefix("campana-").removesuffix(".service").rstrip("@")
    assert part in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert service["ExecStart"] == f"/opt/campana/bin/campana {part} --config /etc/campana/campana.toml"
    assert (service["Restart"], "KillSignal" in service) == ("always", False), "SIGTERM is what systemd sends by itself"
    assert int(service["TimeoutStopSec"]) > 30
    name, _, port = service.get("Environment", "CAMPANA_PORT=8700").partition("=")
    assert load_settings(None, **{name.removeprefix("CAMPANA_").lower(): port.replace("%i", "9")})


def started_by(pid: int) -> list[int]:
    """The processes that one has started itself."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def refused(world: World, *words: str, **changes: Any) -> str:
    """The one sentence with which a command ends under changed settings."""
    world.write_settings({**world.settings(), **changes})
    done = world.run_forked(*words)
    said = done.stderr.strip()
    assert (done.returncode, done.stdout) == (1, ""), said
    assert "Traceback" not in said
    if said.startswith("{"):  # a service speaks in lines of its log
        said = json.loads(said)["event"]
    assert "\n" not in said
    assert said.endswith(".")
    assert "s3cret" not in said
    return said


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path / "world") as made:
        yield made


@pytest.mark.parametrize("part", PARTS)
def test_a_part_alone_is_refused_on_sqlite(world: World, part: str) -> None:
    said = refused(world, part)
    assert f"no process for {part} alone" in said
    assert "Run `campana serve`, or name a PostgreSQL database in CAMPANA_DATABASE." in said


def test_a_launch_that_nobody_would_send_is_refused_on_sqlite(world: World) -> None:
    said = refused(world, "launch", str(world.write_campaign()), "--audience", str(world.write_people(3)))
    assert "Run `campana run`, or name a PostgreSQL database in CAMPANA_DATABASE." in said


@pytest.mark.parametrize("command", ["serve", *PARTS])
def test_a_bus_is_refused_on_sqlite(world: World, command: str) -> None:
    said = refused(world, command, bus="nats://127.0.0.1:4222")
    assert "Leave CAMPANA_BUS away, or name a PostgreSQL database in CAMPANA_DATABASE." in said


ELSEWHERE = [
    (f"postgresql://campana:s3cret@{HOST}:1/campana", "Start it, or correct CAMPANA_DATABASE."),
    ("postgresql://campana:s3cret@nowhere.invalid/campana", "Correct the host in CAMPANA_DATABASE."),
    (f"postgresql://campana:s3cret@{HOST}:port/campana", "names no database."),
    (f"postgresql://campana:p@s3cret/x@{HOST}/campana", "Write @ as %40"),
    (f"postgresql//campana:s3cret@{HOST}/campana", "names no database."),
]


@pytest.mark.parametrize(("url", "words"), ELSEWHERE, ids=["down", "no host", "no port", "password", "no URL"])
@pytest.mark.parametrize("command", ["work", "status"])
def test_a_database_that_is_not_there_is_told_without_its_password(world: World, command: str, url: str, words: str) -> None:
    assert words in refused(world, command, database=url)


LATIN1 = SQL("CREATE DATABASE {} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    name = f"sizes_{os.urandom(6).hex()}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


def test_a_database_that_is_not_made_yet_is_refused(world: World, database: str) -> None:
    missing = database.rpartition("/")[0] + "/nowhere"
    assert "Make it, for example with `createdb" in refused(world, "pump", database=missing)


def test_a_role_without_rights_is_refused(world: World, database: str) -> None:
    said = refused(world, "status", database=database + NO_RIGHTS)
    assert "permission denied" in said
    assert "OWNER TO" in said


def test_an_option_that_is_none_is_refused(world: World, database: str) -> None:
    assert "after the ? in CAMPANA_DATABASE" in refused(world, "work", database=f"{database}?treshold=none")


def test_a_database_in_another_encoding_is_refused(world: World, postgres: Postgres) -> None:
    name = f"sizes_{os.urandom(6).hex()}"
    postgres.execute(LATIN1.format(Identifier(name)))
    try:
        assert "--encoding UTF8" in refused(world, "web", database=postgres.url(name))
    finally:
        postgres.drop_database(name)


def test_a_worker_that_cannot_tell_vendors_where_webhooks_go_is_refused(world: World, database: str) -> None:
    assert "CAMPANA_PUBLIC_URL" in refused(world, "work", database=database, port=0)


def test_a_port_that_is_taken_says_which_setting_changes_it(world: World, database: str) -> None:
    with socket.create_server((HOST, 0)) as guest:
        port = guest.getsockname()[1]
        assert "CAMPANA_PORT" in refused(world, "web", database=database, port=port)
