"""From a laptop to a cluster, on this machine: `make sizes`, or `python -m deploy.sizes s m l`.

In each size a campaign goes out to invented people through stand-in vendors, processes are killed half way, and at the end the
books are balanced against what the vendors counted. Nothing leaves this machine, and nothing is left behind on it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import TypeVar
from urllib.request import urlopen

import typer
from sqlalchemy import Connection

from campana.cli.demo import TROUBLE
from campana.cli.words import outcome_words, say
from campana.store import campaigns, health
from campana.store.database import Database
from campana.store.progress import Progress, progress
from tests.chaos.blows import Blow, Sort, now
from tests.chaos.books import Books, close_books
from tests.chaos.entry import CALL_TIMEOUT, LEASE, MARGIN
from tests.chaos.world import HOST, Broken, World, kill, wait_for_port, world_in
from tests.nats_servers import NatsServers, nats_servers
from tests.postgres import Postgres, PostgresServer, PostgresTrouble, given_postgres
from tests.processes import free_port

SIZES = {"s": "one process on SQLite", "m": "many processes on PostgreSQL", "l": "many processes on PostgreSQL, joined by NATS"}
NODES = 3
PARTS = ("web", "pump-1", "pump-2", "work-1", "work-2")
DAY = 10  # seconds
SENDING_SECONDS = 10  # in which everybody's turn comes: time to kill somebody half way
LOOK = 0.5  # seconds between two looks
USUAL_LEASE = 30  # seconds, see engine.house
FAULTS = TROUBLE.model_copy(update={"latency": (0.05, 0.2)})  # so that calls are under way when somebody is killed
OVER = ("sent", "ended")
RUNS = ("scheduled", "sending", "paused", *OVER)
ASKED: list[int] = []  # signals that asked us to stop
T = TypeVar("T")


class Stopped(Exception):
    """Somebody has asked us to stop."""


def heed_signals() -> None:
    """Ctrl-C and SIGTERM are noted, and obeyed at the next look around. A second one ends us on the spot.

    An exception out of the handler itself would be swallowed, and a lock stay held for ever, if it came while we fork.
    """

    def note(number: int, _: object) -> None:
        ASKED.append(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)


def go_on() -> None:
    """Raises Stopped when somebody has asked for that."""
    if ASKED:
        raise Stopped


@dataclass(frozen=True)
class Result:
    """What came out in one size."""

    size: str
    books: Books
    people: int
    killed: tuple[str, ...]
    seconds: float

    @property
    def closed(self) -> bool:
        """Everybody has an end, and the vendors counted nobody lost and nobody told twice."""
        return self.books.closed and self.books.people == self.people

    def facts(self) -> dict[str, object]:
        """For machines."""
        books = self.books
        counted = {"lost": books.lost, "twice": books.twice, "messages_unknown": books.unknown}
        return {
            "size": self.size,
            "recipients": books.people,
            **books.outcomes,
            **counted,
            "killed": self.killed,
            "seconds": round(self.seconds, 1),
        }

    def __str__(self) -> str:
        books = self.books
        return (
            f"{self.size.upper()}: {books.people} people: {outcome_words(books.outcomes)}. Killed: {', '.join(self.killed)}. "
            f"Counted by the stand-in vendors: lost {books.lost}, twice {books.twice}. {self.seconds:.0f} s."
        )


@dataclass
class Show:
    """A campaign that goes out in one size, and what strikes it."""

    world: World
    store: Database
    people: int
    lease: int
    ends: float  # monotonic: it does not go on for ever
    servers: NatsServers | None = None
    parts: dict[str, Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)  # where each part answers machines
    blows: list[Blow] = field(default_factory=list)

    # What is started

    def begin(self) -> tuple[str, ...]:
        """The vendors listen, and the files are written. Returns the words that name campaign and people."""
        wait_for_port(self.world.vendor_port, self.world.start_vendors())
        people = self.world.write_people(self.people)
        return (str(self.world.write_campaign()), "--audience", str(people))

    def start(self, part: str, *words: str, health_port: int = 0) -> Popen[bytes]:
        """One process of Campana, as people start it."""
        go_on()
        command, env = part.partition("-")[0], {"CAMPANA_HEALTH_PORT": str(health_port)} if health_port else {}
        shown = " ".join([*(f"{name}={value}" for name, value in env.items()), "campana", command, *map(_name_only, words)])
        say(f"  $ {shown}")
        config = ("--config", str(self.world.folder / "campana.toml"))
        process = self.world.begin([*self._campana(), command, *words, *config], f"{part}.log", {**env, **self._env()})
        self.parts[part], self.ports[part] = process, health_port or self.world.port
        return process

    def _campana(self) -> list[str]:
        beside = Path(sys.executable).with_name("campana")
        return [str(beside)] if self.lease == USUAL_LEASE else [sys.executable, "-m", "tests.chaos.entry"]

    def _env(self) -> dict[str, str]:
        """A lease of another length is the tests' own wish; no setting of Campana knows it."""
        if self.lease == USUAL_LEASE:
            return {}
        waits = {LEASE: self.lease, CALL_TIMEOUT: self.lease / 2, MARGIN: self.lease / 5}
        return {"PYTHONPATH": str(Path(__file__).parents[1]), **{name: str(value) for name, value in waits.items()}}

    # What is seen

    def look(self, work: Callable[[Connection], T]) -> T:
        """What the store says, as anybody may ask beside the processes."""
        return asyncio.run(self.store.read(work))

    def rest(self) -> None:
        """Waits for a moment. Raises when a process has ended badly that nobody has killed."""
        go_on()
        time.sleep(LOOK)
        for part, process in self.parts.items():
            if process.poll():
                raise Broken(f"`campana {part}` ended with {process.returncode}. It said: {self.said(part)}")
        if time.monotonic() > self.ends:
            raise Broken(f"It takes too long. {'; '.join(f'{part} said: {self.said(part)}' for part in self.parts)}")

    def said(self, part: str) -> str:
        """The end of what a process has said."""
        return self.world.log(f"{part}.log")[-1500:].strip() or "nothing"

    def half_way(self) -> None:
        """Returns when the vendors have taken messages for half of the people."""
        while len(self.world.accepted()) * 2 < self.people:
            self.rest()

    def follow(self) -> None:
        """Returns when everybody's journey is over; tells how far it is meanwhile."""
        tenths = 0
        while True:
            progress = self.look(_progress)
            if progress:
                done = progress.line.people - progress.outcomes["waiting"] - progress.outcomes["sending"]
                if done * 10 // max(1, progress.line.people) > tenths:
                    tenths = done * 10 // progress.line.people
                    say(f"  {done} of {progress.line.people} journeys are over: {outcome_words(progress.outcomes)}")
                if progress.line.status in OVER:
                    return
            self.rest()

    def finished(self, part: str) -> None:
        """Returns when a command has come to its own end."""
        while self.parts[part].poll() is None:
            self.rest()
        self.rest()
        del self.parts[part]

    def settle(self) -> None:
        """Returns when the vendors have nothing more to tell and nothing is left to be understood."""
        while self.world.vendor_counts().get("pending") or self._held() or not self.look(_at_rest):
            self.rest()

    def _held(self) -> int:
        """Webhooks that the bus holds."""
        if self.servers is None:
            return 0
        return int(asyncio.run(self.servers.info("INGEST")).state.messages)

    # What strikes it

    def kill(self, part: str) -> None:
        """SIGKILL: nothing is settled, nothing is said."""
        say(f"  kill -9, half way: {part}")
        at = now()
        kill(self.parts.pop(part))
        self.blows.append(Blow(Sort.KILL, part, at, now()))

    def kill_leader(self) -> None:
        """The NATS server that leads the webhooks' stream is killed and does not come back."""
        assert self.servers is not None  # noqa: S101 - in this size there are some
        leader = asyncio.run(self.servers.leader("INGEST"))
        say(f"  kill -9, half way: nats-server {leader.name}, which leads the stream INGEST")
        at = now()
        leader.kill()
        self.blows.append(Blow(Sort.LEADER, leader.name, at, now()))

    def end(self) -> None:
        """Asks every process to end, as `systemctl stop` does. Raises when one does not end well."""
        for process in self.parts.values():
            process.send_signal(signal.SIGTERM)
        codes = {part: process.wait(60) for part, process in self.parts.items()}
        if bad := {part: code for part, code in codes.items() if code}:
            raise Broken(f"Asked to end, these ended otherwise than with 0: {bad}. {self.said(next(iter(bad)))}")

    def books(self) -> Books:
        """Everything balanced; whatever ran has ended."""
        self.world.close()
        return close_books(self.world, self.blows, self.people, self.lease * 1_000_000)


def _name_only(word: str) -> str:
    return Path(word).name if "/" in word else word


def _progress(c: Connection) -> Progress | None:
    found = campaigns.runs_with_status(c, RUNS)
    return progress(c, found[0].workspace_id, found[0].campaign_id) if found else None


def _at_rest(c: Connection) -> bool:
    """No webhook waits, no unit is out, and nothing is uncertain."""
    seen = health.figures(c, now())
    return seen.hooks + seen.uncertain + seen.units_ready + seen.units_in_hands + seen.units_lease_over == 0


def small(show: Show) -> None:
    """One process does everything. It is killed half way, and the same command goes on."""
    command = show.begin()
    wait_for_port(show.world.port, show.start("run", *command))
    show.half_way()
    show.kill("run")
    wait_for_port(show.world.port, show.start("run", *command))
    show.follow()
    show.finished("run")
    wait_for_port(show.world.port, show.start("serve"))
    show.settle()
    show.end()


def many(show: Show) -> None:
    """Web, pumps and workers are processes; a worker and a pump are killed half way, and the others go on."""
    command = show.begin()
    for part in PARTS:
        show.start(part, health_port=0 if part == "web" else free_port())
    for part, process in show.parts.items():
        if not wait_for_port(show.ports[part], process):
            raise Broken(f"`campana {part}` does not start. It said: {show.said(part)}")
    show.start("launch", *command)
    show.finished("launch")
    show.half_way()
    show.kill(max(("work-1", "work-2"), key=lambda part: _attempts(show.ports[part])))
    show.kill("pump-1")
    if show.servers:
        show.kill_leader()
    if show.lease == USUAL_LEASE:
        say(f"  what they had in hands is free for others after a lease of {show.lease} s")
    show.follow()
    show.settle()
    show.end()


def _attempts(port: int) -> float:
    """How many messages a worker has tried to hand over, as it says itself."""
    with urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
        said = answer.read().decode()
    return sum(map(float, re.findall(r"^campana_attempts_total\{.*\} (\S+)$", said, re.MULTILINE)))


@contextlib.contextmanager
def _postgres() -> Iterator[Postgres]:
    """The server that the environment names, else one that is started for this; both sync every commit."""
    if given := given_postgres():
        yield given
    else:
        with PostgresServer() as server:
            yield server


@contextlib.contextmanager
def show_in(folder: Path, size: str, people: int, lease: int) -> Iterator[Show]:
    """A size with all the servers it needs; all of it ends with the block, the database too."""
    facts: dict[str, object] = {"faults": FAULTS, "time_scale": 86_400 / DAY, "pace": max(5.0, people / SENDING_SECONDS)}
    servers = None
    with contextlib.ExitStack() as stack:
        if size != "s":
            postgres, name = stack.enter_context(_postgres()), f"campana_sizes_{secrets.token_hex(6)}"
            facts["store"] = postgres.create_database(name)
            stack.callback(postgres.drop_database, name)
            say(f"  PostgreSQL {postgres.version()}, a database of its own")
        if size == "l":
            servers = stack.enter_context(nats_servers(folder / "nats", NODES))
            facts["bus"] = servers.url
            say(f"  CAMPANA_BUS={servers.url}")
        world = stack.enter_context(world_in(folder / "campana", **facts))
        store = stack.enter_context(contextlib.closing(Database(world.url)))
        yield Show(world, store, people, lease, time.monotonic() + 240 + people, servers)


def grow(size: str, people: int, lease: int = USUAL_LEASE) -> Result:
    """The campaign has gone out in this size, and everything that was started has ended."""
    began = time.monotonic()
    say(f"{size.upper()}: {SIZES[size]}, {people} people; a day passes in {DAY} seconds")
    with (
        tempfile.TemporaryDirectory(prefix=f"campana-sizes-{os.getpid()}-", ignore_cleanup_errors=True) as folder,
        show_in(Path(folder), size, people, lease) as show,
    ):
        (small if size == "s" else many)(show)
        books = show.books()
        struck = tuple(blow.who for blow in show.blows)
    return Result(size, books, people, struck, time.monotonic() - began)


def main() -> int:
    """The command. Returns the exit code: 1 when anybody was lost or told twice in any size."""
    asked = _arguments()
    heed_signals()
    results = []
    for size in asked.sizes or SIZES:
        results.append(grow(size, asked.people, asked.lease))
        say(str(results[-1]))
        for problem in results[-1].books.problems:
            say(f"  {problem}")
    if asked.json:
        typer.echo(json.dumps([result.facts() for result in results]))
    return 0 if all(result.closed for result in results) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.sizes", description=__doc__)
    parser.add_argument("sizes", nargs="*", metavar="SIZE", help="s, m or l; default: all three, one after the other")
    parser.add_argument("--people", type=int, default=300, help="how many people to invent; default 300")
    parser.add_argument("--lease", type=int, default=USUAL_LEASE, help="seconds until others take over; 30 in real life")
    parser.add_argument("--json", action="store_true", help="the results as the last line of stdout")
    asked = parser.parse_args()
    if wrong := [size for size in asked.sizes if size not in SIZES]:
        parser.error(f"there is no size {wrong[0]!r}; write s, m or l")
    return asked


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stopped:
        say("Stopped; everything that was started has ended.")
        sys.exit(128 + ASKED[0])
    except (Broken, PostgresTrouble) as error:
        say(str(error))
        sys.exit(1)
