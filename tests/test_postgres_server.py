"""The server that tests start: real, durable over kills, and gone with whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.sql import SQL

from tests.postgres import Postgres, PostgresServer, PostgresTrouble, given_postgres, postgres_for_tests

pytestmark = pytest.mark.skipif(given_postgres() is not None, reason="CAMPANA_TEST_POSTGRES is not ours to kill")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as started:
        yield started


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    """The name of a database with a table."""
    server.create_database("words")
    with connect(server, "words") as connection:
        connection.execute("CREATE TABLE word (is_ text PRIMARY KEY)")
    yield "words"
    server.start()
    server.drop_database("words")


def connect(server: Postgres, database: str) -> psycopg.Connection:
    """A connection whose statements are committed one by one."""
    return psycopg.connect(server.url(database).replace("+psycopg", ""), autocommit=True)


def words(server: Postgres, database: str) -> list[str]:
    with connect(server, database) as connection:
        return [word for (word,) in connection.execute("SELECT is_ FROM word ORDER BY is_").fetchall()]


def test_what_was_committed_outlives_a_kill_and_what_was_not_does_not(server: PostgresServer, database: str) -> None:
    known, address = {one.pid for one in server.processes()}, server.url(database)
    with closing(connect(server, database)) as kept, closing(connect(server, database)) as lost:
        kept.execute("INSERT INTO word VALUES ('committed')")
        lost.execute("BEGIN")
        lost.execute("INSERT INTO word VALUES ('under way')")
        server.kill()
        assert server.processes() == []
        with pytest.raises(psycopg.OperationalError):
            kept.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        connect(server, database)
    server.start()
    assert words(server, database) == ["committed"]
    assert server.url(database) == address
    assert not known & {one.pid for one in server.processes()}
    assert "was not properly shut down" in server.log()


def test_many_restarts_keep_all_of_it(server: PostgresServer, database: str) -> None:
    for number in range(5):
        with connect(server, database) as connection:
            connection.execute("INSERT INTO word VALUES (%s)", (str(number),))
        server.restart()
    assert words(server, database) == list("01234")


def test_a_stop_is_in_order(server: PostgresServer, database: str) -> None:
    server.stop()
    assert server.processes() == []
    assert "database system is shut down" in server.log()
    server.start()
    server.start()  # it runs already
    assert words(server, database) == []


def test_a_copy_is_fresh_and_nobody_elses(server: PostgresServer, database: str) -> None:
    with connect(server, database) as connection:
        connection.execute("INSERT INTO word VALUES ('of the template')")
    for name in ("first", "second"):
        server.create_database(name, template=database)
    with closing(connect(server, "first")) as first:
        first.execute("INSERT INTO word VALUES ('of the first')")
        assert words(server, "first") == ["of the first", "of the template"]
        assert words(server, "second") == words(server, database) == ["of the template"]
        server.drop_database("first")  # somebody is connected
        with pytest.raises(psycopg.OperationalError):
            first.execute("SELECT 1")
    server.drop_database("first")  # it is gone already
    server.create_database("first", template="second")
    assert words(server, "first") == ["of the template"]
    for name in ("first", "second"):
        server.drop_database(name)


def test_commits_are_synced_unless_told_otherwise(server: PostgresServer) -> None:
    assert server.execute(SQL("SHOW fsync")) == [("on",)]
    assert server.execute(SQL("SHOW max_connections")) == [("200",)]
    with PostgresServer(fsync=False) as hasty:
        assert hasty.execute(SQL("SHOW fsync")) == [("off",)]
        assert hasty.port != server.port
        hasty.create_database("copy", template="template1")
    assert not hasty.folder.exists()
    assert hasty.processes() == []


STARTER = """
import sys, time
sys.path.insert(0, {root!r})
from tests.postgres import PostgresServer
server = PostgresServer()
server.start()
print(server.process.pid, server.folder, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_server_is_gone_with_whoever_started_it() -> None:
    code = STARTER.format(root=str(Path(__file__).parents[1]))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        pid, folder = starter.stdout.readline().split()
        family = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children()]
        assert len(family) > 1
        starter.send_signal(signal.SIGKILL)
    alive = [one for one in psutil.wait_procs(family, timeout=30)[1] if one.status() != psutil.STATUS_ZOMBIE]
    assert alive == []
    with PostgresServer(Path(folder)) as heir:  # what was orphaned can be taken over
        assert heir.execute(SQL("SELECT 1")) == [(1,)]
    shutil.rmtree(folder)


def test_a_server_of_the_environment_is_used_and_left_running(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMPANA_TEST_POSTGRES", f"postgresql://postgres@127.0.0.1:{server.port}/postgres")
    with postgres_for_tests() as given:
        assert not isinstance(given, PostgresServer)
        given.create_database("guest")
        assert given.version() == server.version()
    assert ("guest",) in server.execute(SQL("SELECT datname FROM pg_database"))
    server.drop_database("guest")


def test_a_url_keeps_what_the_address_says() -> None:
    postgres = Postgres("postgresql://me:secret@host:5433/mine?sslmode=require")
    assert postgres.url("other") == "postgresql+psycopg://me:secret@host:5433/other?sslmode=require"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts it as somebody else")
def test_a_folder_that_the_server_cannot_reach_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(PostgresTrouble, match="must be able to reach it"):
        PostgresServer(tmp_path / "server").start()
