"""Where a benchmark keeps its rows: SQLite in a file, or a PostgreSQL server that is started for it. Both sync every commit."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import memory_of
from tests.postgres import Postgres, PostgresServer, given_postgres

TICKS = os.sysconf("SC_CLK_TCK")
NAMES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Place:
    """SQLite: a file in whatever folder the benchmark has."""

    name: str = "SQLite"

    def fresh(self, folder: Path) -> str:
        """The URL of an empty database."""
        return f"sqlite:///{folder / 'bench.db'}"

    def server_cpu(self) -> float:
        """CPU seconds of the database's own processes so far; SQLite has none."""
        return 0.0

    def server_memory(self) -> float:
        """MB that the database's own processes hold, beside what they share."""
        return 0.0

    def version(self) -> str:
        """Which database it is."""
        return f"SQLite {sqlite3.sqlite_version}"


@dataclass(frozen=True)
class PostgresPlace(Place):
    """A database of its own for each benchmark, on one server."""

    name: str = "PostgreSQL"
    server: Postgres = field(kw_only=True)

    def fresh(self, folder: Path) -> str:
        return self.server.create_database(f"bench_{secrets.token_hex(6)}")

    def server_cpu(self) -> float:
        first = self._first()
        return cpu_of(first) if first else 0.0

    def server_memory(self) -> float:
        first, held = self._first(), 0.0
        for pid in [first, *_children(first)] if first else ():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                held += memory_of(pid, "RssAnon")
        return held

    def _first(self) -> int | None:
        process = self.server.process if isinstance(self.server, PostgresServer) else None
        return process.pid if process else None

    def version(self) -> str:
        return f"PostgreSQL {self.server.version()}"


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, of its children that are gone, and of those that live."""
    ticks = sum(_ticks(pid, waited=True))
    for child in _children(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            ticks += sum(_ticks(child, waited=False))
    return ticks / TICKS


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _ticks(pid: int, waited: bool) -> list[int]:
    """utime and stime of a process, with cutime and cstime of children it has waited for."""
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return [int(one) for one in after_name[11 : 15 if waited else 13]]


@contextlib.contextmanager
def place(name: str) -> Iterator[Place]:
    """A place to measure at; a server that is started for it goes with it."""
    if name == "sqlite":
        yield Place()
    elif given := given_postgres():
        yield PostgresPlace(server=given)
    else:
        with PostgresServer(fsync=True) as server:
            yield PostgresPlace(server=server)


@dataclass(frozen=True)
class Asked:
    """What a benchmark is to measure: where, how many messages a round, how many rounds."""

    place: Place
    n: int
    rounds: int
