"""The cells of many processes: web, pump and work on PostgreSQL, with and without NATS between them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.request import urlopen

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from campana.core.journey import Stage
from campana.store.database import create_store_engine
from tests.chaos.blows import VENDORS, Blow, Sort, now
from tests.chaos.books import OPEN
from tests.chaos.cells import AT_REST, EARLY, TWO, Cell
from tests.chaos.entry import CALL_TIMEOUT, CLOCK_OFF, ENROL, LEASE, MARGIN
from tests.chaos.world import HOST, ROOT, Broken, kill, listens, wait_for_port
from tests.nats_servers import NatsServers
from tests.postgres import PostgresServer
from tests.processes import free_port

LEASE_SECONDS = 10
OFF = {"work-1": 60, "work-2": -60}  # seconds that a process's wall clock is wrong
LAUNCHER = "launcher"
DOWN = (1.0, 3.0)  # seconds until a database or a bus is started again
MORE = 0.3  # so many times another process is killed while the database is away
FEW = 200  # people still to be written to: time to launch the next campaign
WEIGHTS = {"work-1": 3, "work-2": 3, VENDORS: 2}  # the others count once: who calls and who is called is struck more often
PUMPS = 2  # so many kills of each campaign strike a pump while people are enrolled


@dataclass
class Member:
    """One process, its port for machines, and until when it is stopped (monotonic)."""

    role: str
    process: subprocess.Popen[bytes]
    port: int = field(default_factory=free_port)
    stopped_until: float | None = None


class ManyProcesses(Cell):
    """Two workers, two pumps and a web process on PostgreSQL, whose commits are synced."""

    name = "postgresql"
    shares: ClassVar[Mapping[Sort, float]] = {Sort.STOP: 0.1, Sort.DATABASE: 0.08}
    lease = LEASE_SECONDS * 1_000_000
    roles = ("web", "pump-1", "pump-2", "work-1", "work-2")
    postgres: PostgresServer
    servers: NatsServers | None = None

    def begin(self) -> None:
        self.engine = create_store_engine(self.world.url)
        self.members: dict[str, Member] = {}
        self.launching: list[tuple[Path, Path]] = []
        self.launcher: subprocess.Popen[bytes] | None = None
        self.launched = 0
        self.enrolling = 0  # pumps struck while people were enrolled
        self.start_vendors()
        for name in self.roles:
            self._start(name)
        for one in self.members.values():
            wait_for_port(one.port, one.process, self.left())

    # Campaigns

    def launch(self, campaign: Path, people: Path) -> None:
        self.launching.append((campaign, people))
        while not self.launched and not self._under_way():
            self.rest(AT_REST)  # the first campaign: before it there is nothing to strike

    def _under_way(self) -> bool:
        found = self.ask("SELECT count(*) FROM message")
        return bool(found and found[0])

    def running_dry(self) -> bool:
        """Everybody of the campaigns launched so far was written to once, or is about to be."""
        to_come = self.ask(
            "SELECT (SELECT count(*) FROM run WHERE status = 'scheduled' OR NOT enrolled), "
            "(SELECT count(*) FROM recipient WHERE stage = :ready AND step = 0)",
            ready=int(Stage.READY),
        )
        return not self.launching and to_come is not None and to_come[0] == 0 and to_come[1] < FEW

    def over(self) -> bool:
        runs = self.ask("SELECT count(*) FILTER (WHERE status IN ('sent', 'ended')), count(*) FROM run")
        return not self.launching and runs is not None and runs[0] == runs[1] == self.launched

    def unsettled(self) -> int | None:
        query = "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM message WHERE status IN (:sending, :uncertain))"
        counts = self.ask(query, sending=OPEN[0], uncertain=OPEN[1])
        return None if counts is None else sum(counts) + self.held()

    def ask(self, query: str, **values: int) -> tuple[Any, ...] | None:
        """A row of the database; None when it does not answer."""
        with contextlib.suppress(SQLAlchemyError), self.engine.connect() as c:
            return tuple(c.execute(text(query), values).one())
        return None

    def state(self) -> str:
        runs = self.ask("SELECT string_agg(status || ' ' || offered || ' ' || enrolled, ', ') FROM run")
        units = self.ask("SELECT count(*), count(token) FROM unit")
        outcomes = self.ask(
            "SELECT string_agg(o, ', ') FROM (SELECT stage || '/' || outcome || ': ' || count(*) AS o FROM recipient "
            "GROUP BY stage, outcome) AS found"
        )
        return f"Runs: {runs}. Units (and held): {units}. Unsettled: {self.unsettled()}. People by stage/outcome: {outcomes}."

    # What ends by itself

    def rest(self, seconds: float) -> bool:
        self.left()
        time.sleep(seconds)
        self._go_on_with_stopped()
        self._see_to_launcher()
        ended = [name for name, one in self.members.items() if one.process.poll() is not None]
        for name in ended:
            self._unasked(name, self.members[name].process)
            self._start(name)
        return True

    def _unasked(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """A process that cannot reach the database or a vendor when it begins says so and ends; whatever runs it tries again."""
        said = self.world.log(f"{name}.log")[-3000:]
        self.unasked += 1
        reasons = (
            "cannot be used: connection",
            "does not answer",
            "cannot be reached",
            "could not be read",
            "gives no connection",
        )
        if process.returncode != 1 or self.unasked > 200 or not any(words in said for words in reasons):
            raise Broken(f"{name} ended with {process.returncode}:\n{said}")

    def _see_to_launcher(self) -> None:
        """The launcher is repeated until it has launched; then comes the next campaign."""
        if self.launcher and self.launcher.poll() == 0:
            self.launching.pop(0)
            self.launched += 1
            self.launcher = None
        elif self.launcher and self.launcher.poll() is not None:
            if self.launcher.returncode != -signal.SIGKILL:
                self._unasked(LAUNCHER, self.launcher)
            self.launcher = None
        if self.launching and self.launcher is None:
            campaign, people = map(str, self.launching[0])
            self.launcher = self._campana("launch", campaign, "--audience", people, log=LAUNCHER, env={})

    def _start(self, name: str) -> None:
        known = self.members.get(name)
        role = name.partition("-")[0]
        port = self.world.port if role == "web" else known.port if known else free_port()
        env = {} if role == "web" else {"CAMPANA_HEALTH_PORT": str(port)}
        if off := OFF.get(name):
            env[CLOCK_OFF] = str(off)
        self.members[name] = Member(role, self._campana(role, log=name, env=env), port)

    def _campana(self, *arguments: str, log: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        ours = {LEASE: LEASE_SECONDS, CALL_TIMEOUT: LEASE_SECONDS / 2, MARGIN: LEASE_SECONDS / 5, ENROL: 50}
        path = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])
        more = {"PYTHONPATH": path, **{name: str(value) for name, value in ours.items()}, **env}
        config = ("--config", str(self.world.folder / "campana.toml"))
        return self.world.begin([sys.executable, "-m", "tests.chaos.entry", *arguments, *config], f"{log}.log", more)

    # Blows

    def strike(self, sort: Sort, at_most: int) -> None:
        if self.dice.random() >= EARLY:
            while not self._works():
                self.rest(AT_REST)
        blow = {
            Sort.KILL: lambda: self._kill(at_most),
            Sort.STOP: self._stop,
            Sort.DATABASE: lambda: self._kill_database(at_most),
            Sort.LEADER: lambda: self._kill_nodes(sort),
            Sort.NODES: lambda: self._kill_nodes(sort),
            Sort.DISKS: self._wipe_disks,
        }[sort]
        blow()

    def _works(self) -> bool:
        """Whether the installation is at work: of each role at least one process."""
        return {self.members[name].role for name in self._at_work()} == {name.partition("-")[0] for name in self.roles}

    def _at_work(self) -> list[str]:
        return [name for name, one in self.members.items() if one.stopped_until is None and listens(one.port)]

    def _kill(self, at_most: int) -> None:
        """SIGKILL of one or two; they are started again at once."""
        struck = self._choose(2 if at_most > 1 and self.dice.random() < TWO else 1)
        at = now()
        for name in struck:
            os.killpg(self._process(name).pid, signal.SIGKILL)
        for name in struck:
            self._process(name).wait()
        self.blows += [Blow(Sort.KILL, name, at, now()) for name in struck]
        for name in struck:
            self._again(name)

    def _choose(self, count: int) -> list[str]:
        """Whom to strike: mostly who is at work; now and then a pump while people are enrolled."""
        names = self._at_work() if self.dice.random() >= EARLY else []
        names = names or [name for name, one in self.members.items() if one.stopped_until is None]
        pumps = [name for name in names if self.members[name].role == "pump"]
        if pumps and self.enrolling < PUMPS * (self.launched + 1) and self._enrols():
            self.enrolling += 1
            names = pumps
        elif self.launcher and self.launcher.poll() is None:
            names += [VENDORS, LAUNCHER]
        else:
            names += [VENDORS]
        return self._drawn(names, count)

    def _drawn(self, names: list[str], count: int) -> list[str]:
        return sorted(names, key=lambda name: self.dice.random() ** (1 / WEIGHTS.get(name, 1)), reverse=True)[:count]

    def _enrols(self) -> bool:
        found = self.ask("SELECT count(*) FROM run WHERE status = 'sending' AND NOT enrolled")
        return bool(found and found[0])

    def _process(self, name: str) -> subprocess.Popen[bytes]:
        if name == LAUNCHER:
            assert self.launcher is not None
            return self.launcher
        return self.vendors if name == VENDORS else self.members[name].process

    def _again(self, name: str) -> None:
        if name == VENDORS:
            self.vendors = self.world.start_vendors()
        elif name == LAUNCHER:
            self._see_to_launcher()
        else:
            self._start(name)

    def _stop(self) -> None:
        """SIGSTOP of a worker or a pump until its lease is over; the others are struck meanwhile."""
        while not (names := [name for name in self._at_work() if self.members[name].role != "web"]):
            self.rest(AT_REST)
        name = self._drawn(names, 1)[0]
        one = self.members[name]
        seconds = LEASE_SECONDS + self.dice.uniform(1, 3)
        at = now()
        one.process.send_signal(signal.SIGSTOP)
        one.stopped_until = time.monotonic() + seconds
        self.blows.append(Blow(Sort.STOP, name, at, now()))

    def _go_on_with_stopped(self, everybody: bool = False) -> None:
        for one in self.members.values():
            if one.stopped_until and (everybody or time.monotonic() > one.stopped_until):
                one.process.send_signal(signal.SIGCONT)
                one.stopped_until = None

    def _kill_database(self, at_most: int) -> None:
        at, before = now(), len(self.blows)
        self.postgres.kill()
        if at_most > 1 and self.dice.random() < MORE:
            self._kill(1)
        time.sleep(self.dice.uniform(*DOWN))
        self.postgres.start()
        self.blows.insert(before, Blow(Sort.DATABASE, "postgresql", at, now()))

    def _kill_nodes(self, sort: Sort) -> None:
        assert self.servers is not None
        at = now()
        if sort is Sort.LEADER:
            self._kill_leader(self.servers)
        else:
            self.servers.kill()
        time.sleep(self.dice.uniform(*DOWN))
        self.servers.start()
        self.blows.append(Blow(sort, "nats", at, now()))

    def _kill_leader(self, servers: NatsServers) -> None:
        with contextlib.suppress(Exception):  # they agree on nobody just now: then one of them
            asyncio.run(servers.leader("INGEST")).kill()
        if all(server.process for server in servers.servers):
            self.dice.choice(servers.servers).kill()

    def _wipe_disks(self) -> None:
        """While the database is away the bus holds what vendors told; then it is taken away."""
        assert self.servers is not None
        at = now()
        self.postgres.kill()
        time.sleep(self.dice.uniform(*DOWN))
        self.servers.kill()
        self.servers.wipe()
        self.servers.start()
        self.postgres.start()
        self.blows += [Blow(Sort.DATABASE, "postgresql", at, now()), Blow(Sort.DISKS, "nats", at, now())]

    # The end

    def end(self) -> None:
        self._go_on_with_stopped(everybody=True)
        while not (self.over() and self.quiet()):
            self.rest(AT_REST)
            if self.vendors.poll() is not None:
                raise Broken(f"The vendors ended:\n{self.world.log('vendors.log')[-3000:]}")
        self.lost, self.wiped = self._told_of_bus()
        for one in self.members.values():
            one.process.send_signal(signal.SIGTERM)
        codes = {name: one.process.wait(self.left()) for name, one in self.members.items()}
        kill(self.vendors)
        self.engine.dispose()
        if bad := {name: code for name, code in codes.items() if code}:
            raise Broken(f"Processes did not end well: {bad}")

    def held(self) -> int:
        """Webhooks that the bus holds."""
        if self.servers is None:
            return 0
        found = re.search(r"^campana_bus_webhooks ([\d.]+)", self._metrics(), re.MULTILINE)
        return int(float(found[1])) if found else 1  # it cannot be asked just now

    def _told_of_bus(self) -> tuple[int, int]:
        """Webhooks lost with disks, and how often that was, as the web process says."""
        said = self._metrics()
        counts = (re.search(rf"^campana_bus_{name}_total ([\d.]+)", said, re.MULTILINE) for name in ("webhooks_lost", "wiped"))
        lost, wiped = (int(float(found[1])) if found else 0 for found in counts)
        return lost, wiped

    def _metrics(self) -> str:
        with contextlib.suppress(OSError), urlopen(f"http://{HOST}:{self.world.port}/metrics", timeout=10) as answer:
            said: str = answer.read().decode()
            return said
        return ""

    def unsaid(self, forgotten: int) -> str | None:
        """A sentence when more webhooks were forgotten than the bus said. A web process that was killed since says nothing."""
        wiped = max((blow.at for blow in self.blows if blow.sort is Sort.DISKS), default=0)
        silent = any(blow.who == "web" and blow.at > wiped for blow in self.blows) and wiped
        if forgotten <= self.lost or silent:
            return None
        return f"{forgotten} acknowledged webhooks are not in the store, and the bus says that it lost {self.lost}"

    def keep(self) -> None:
        self.postgres.stop()
        shutil.copytree(self.postgres.data, self.world.folder / "postgresql", dirs_exist_ok=True)


class OverNats(ManyProcesses):
    """The same with webhooks over one NATS server."""

    name = "postgresql+nats"
    shares: ClassVar[Mapping[Sort, float]] = {**ManyProcesses.shares, Sort.NODES: 0.08}


class OverThreeNats(ManyProcesses):
    """The same over three NATS servers, that keep three copies."""

    name = "postgresql+nats3"
    shares: ClassVar[Mapping[Sort, float]] = {**ManyProcesses.shares, Sort.LEADER: 0.08, Sort.NODES: 0.06}


class OverWipedNats(ManyProcesses):
    """The same, and the disks of all NATS servers are wiped: webhooks are lost, and nobody else."""

    name = "postgresql+nats-wiped"
    shares: ClassVar[Mapping[Sort, float]] = {**ManyProcesses.shares, Sort.DISKS: 0.06}
