"""`python -m bench.growth`: whether a message costs the same however many people there are.

At each size a campaign of that many people waits beside one of as many who were written to before, and a fixed number of messages
is sent. CPU and database buffers a message should not grow with the size, and neither should the memory of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import Engine, create_engine, event, select, text

from bench.backlog import backlog
from bench.measure import memory_of
from bench.people import installation
from bench.places import NAMES, Place, place
from bench.send import pipeline, sent
from bench.sink import sink
from campana.engine.cut import cut
from campana.store.schema import run

SIZES = (100_000, 1_000_000, 5_000_000)
SENT = 20_000
WARM = 2_000  # statements are compiled and caches filled by these
ALIKE = 0.15
MORE = 4_000  # that are under way when enough are sent
PACE = 10_000.0  # a second: more than can be sent, and cutting goes no further ahead than 5 seconds of it
HANDLE = 16  # bytes before the sqlite3 pointer in the interpreter's own connection object
CACHE_HIT, CACHE_MISS = 7, 8  # of sqlite3_db_status
BUFFERS = text("SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()")
OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
DEAD = text("SELECT relname, n_tup_upd + n_tup_del, n_tup_hot_upd FROM pg_stat_user_tables")


@dataclass(frozen=True)
class Growth:
    """What a message cost at one size."""

    database: str
    people: int
    filled_in: float  # seconds
    per_second: float
    cpu_us: float
    server_us: float
    buffers: float
    mb: tuple[float, float]  # of this process, before and after
    server_mb: tuple[float, float]  # what the server's processes hold beside what they share
    dead: dict[str, tuple[float, float]]  # dead tuples a message by table, and how many of them by HOT updates; none in SQLite

    def line(self) -> str:
        """The figure for people."""
        said = f"{self.people:,} people, {self.database} (filled in {self.filled_in:.0f} s): {self.per_second:,.0f} messages/s"
        said += f", {self.cpu_us:,.0f} us CPU"
        said += f" and {self.server_us:,.0f} us of the server" if self.server_us else ""
        said += f", {self.buffers:.1f} buffers a message; memory {self.mb[0]:.0f} -> {self.mb[1]:.0f} MB"
        said += f", of the server {self.server_mb[0]:.0f} -> {self.server_mb[1]:.0f} MB" if self.server_us else ""
        dead = ", ".join(f"{table} {n:.2f} ({hot:.2f} HOT)" for table, (n, hot) in sorted(self.dead.items()) if n >= 0.01)
        return f"{said}; dead tuples a message: {dead}" if dead else said


class SqliteBuffers:
    """How often a page was asked of SQLite, in all connections that were opened since this was made."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libsqlite3.so.0")
        self.connections: list[Any] = []

    def opened(self, connection: Any, _: Any) -> None:
        """Counts this connection, too."""
        self.connections.append(connection)

    def asked(self) -> int:
        """Hits and misses of the page cache so far."""
        return sum(self._status(one, what) for one in self.connections for what in (CACHE_HIT, CACHE_MISS))

    def _status(self, connection: Any, what: int) -> int:
        handle = ctypes.c_void_p.from_address(id(connection) + HANDLE)
        now, most = ctypes.c_int(), ctypes.c_int()
        if self.library.sqlite3_db_status(handle, what, ctypes.byref(now), ctypes.byref(most), 0):
            raise RuntimeError("SQLite does not say how often pages were asked for.")
        return now.value


@contextlib.contextmanager
def pages_counted() -> Iterator[SqliteBuffers]:
    """Counts in all connections to SQLite that are opened meanwhile."""
    pages = SqliteBuffers()
    event.listen(Engine, "connect", pages.opened)
    yield pages
    event.remove(Engine, "connect", pages.opened)


@dataclass(frozen=True)
class Statistics:
    """What PostgreSQL has counted in a database that nobody is connected to: sessions tell all they know when they end."""

    buffers: int = 0
    dead: dict[str, tuple[int, int]] = field(
        default_factory=dict
    )  # left by updates and deletes, by table; of them by HOT updates

    @classmethod
    def of(cls, database: str) -> Statistics:
        """What it says by now; nothing of SQLite."""
        if database.startswith("sqlite"):
            return cls()
        engine = create_engine(database, isolation_level="AUTOCOMMIT")
        with contextlib.closing(engine.connect()) as c:
            while c.scalar(OTHERS):
                time.sleep(0.01)
            found = cls(int(c.scalar(BUFFERS) or 0), {table: (n, hot) for table, n, hot in c.execute(DEAD)})
        engine.dispose()
        return found

    def since(self, before: Statistics, sent: int) -> tuple[float, dict[str, tuple[float, float]]]:
        """Buffers and dead tuples a message."""
        dead = {}
        for table, (n, hot) in self.dead.items():
            n_before, hot_before = before.dead.get(table, (0, 0))
            dead[table] = (n - n_before) / sent, (hot - hot_before) / sent
        return (self.buffers - before.buffers) / sent, dead


def fill(database: str, folder: str, people: int) -> None:
    """Puts in as many people who were written to before as people who wait."""

    place_of = Path(folder)
    place_of.mkdir()

    async def filled() -> None:
        async with installation(database, place_of, pace=PACE) as campana:
            await backlog(campana, people, "history", written_to=True)
            await backlog(campana, people, "bench")
            while await campana.house.db.run(cut, campana.house.clock.now()):
                pass  # from now on as many are cut as are sent
            with campana.house.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE")

    uvloop.run(filled())


@dataclass(frozen=True)
class Town:
    """A database with that many people waiting, and how long it took to fill."""

    people: int
    database: str
    folder: str
    seconds: float


async def filled(at: Place, people: int, folder: Path) -> Town:
    """A database of its own with so many people in it."""
    database, began = at.fresh(folder), time.perf_counter()
    with ProcessPoolExecutor(1, get_context("spawn")) as other:  # what filling leaves in memory is not ours
        await asyncio.wrap_future(other.submit(fill, database, str(folder), people))
    return Town(people, database, str(folder), time.perf_counter() - began)


async def grown(at: Place, town: Town, vendor: str, n: int) -> Growth:
    """Sends that many messages out of the backlog."""
    folder = Path(town.folder)
    async with installation(town.database, folder, vendor, PACE) as campana:
        run_id = await campana.house.db.read(lambda c: c.scalar(select(run.c.id).where(run.c.status == "sending")))
        await pipeline(campana, run_id, min(n, WARM), at)
    before = Statistics.of(town.database)
    with pages_counted() as pages:
        async with installation(town.database, folder, vendor, PACE) as campana:
            already = await sent(campana, run_id)
            memory, asked = (memory_of(), at.server_memory()), pages.asked()
            used = await pipeline(campana, run_id, n, at)
            said = await sent(campana, run_id) - already
            asked, after = pages.asked() - asked, (memory_of(), at.server_memory())
    buffers, dead = Statistics.of(town.database).since(before, said)
    mine, theirs = zip(memory, after, strict=True)
    used_up = used.per_second, used.cpu_us, used.server_us
    return Growth(at.name, town.people, town.seconds, *used_up, buffers or asked / said, mine, theirs, dead)


async def at_all_sizes(at: Place, sizes: Sequence[int], n: int, rounds: int) -> list[Growth]:
    """Every size in every round, one after the other, so that what disturbs disturbs all; of each the middle one by CPU."""
    with sink() as vendor, tempfile.TemporaryDirectory() as folder:
        towns = [await filled(at, people, Path(folder) / str(people)) for people in sizes]
        found = [[await grown(at, town, vendor.url, n) for town in towns] for _ in range(rounds)]
    return [sorted(some, key=lambda one: one.cpu_us)[len(some) // 2] for some in zip(*found, strict=True)]


def alike(of: Sequence[Growth]) -> bool:
    """Whether CPU and buffers a message are within 15 % of each other at all sizes."""
    return all(max(some) <= min(some) * (1 + ALIKE) for some in ([one.cpu_us for one in of], [one.buffers for one in of]))


def main() -> int:
    """Exit 1 when a message costs more among many people than among few."""
    parser = argparse.ArgumentParser(prog="bench.growth", description="What a message costs among ever more people.")
    parser.add_argument("--database", choices=(*NAMES, "both"), default="both")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="PEOPLE")
    parser.add_argument("--messages", type=int, default=SENT, help="sent at each size in each round")
    parser.add_argument("--rounds", type=int, default=3, help="all sizes in turns; of each the middle round is told")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    needed = asked.rounds * (asked.messages + min(asked.messages, WARM) + MORE)
    if min(asked.sizes) < needed:
        parser.error(f"so many messages need {needed:,} people; give larger --sizes, fewer --messages or --rounds")
    out = sys.stderr if asked.json else sys.stdout
    found: dict[str, list[Growth]] = {}
    for where in NAMES if asked.database == "both" else (asked.database,):
        with place(where) as at:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                some = found[at.name] = runner.run(at_all_sizes(at, asked.sizes, asked.messages, asked.rounds))
            print(*(one.line() for one in some), sep="\n", file=out, flush=True)
    for name, some in found.items():
        print(f"{name}: {'alike' if alike(some) else 'NOT ALIKE'} at all sizes", file=out)
    if asked.json:
        print(json.dumps([asdict(one) for some in found.values() for one in some]))
    return 0 if all(map(alike, found.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
