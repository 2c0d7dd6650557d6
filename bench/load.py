"""Webhooks as fast as a server takes them, from a process of its own: `python -m bench.load URL N`."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from urllib.parse import urlsplit

import uvloop

from bench.hooks import told
from bench.lines import Clocked, Line

CONNECTIONS = 64


async def load(url: str, n: int) -> dict[str, object]:
    """N receipts of unlike messages, each on one of 64 connections when the answer before it is there; begins when told to."""
    requests = [told(f"{url}?m={at:032x}", f"SM{at:032x}", f"+5255{10_000_000 + at}", "delivered") for at in range(n)]
    left = iter(requests)
    done = asyncio.Event()

    def answered(line: Line, code: int, seconds: float) -> None:
        clocked.note(code, seconds)
        if len(clocked.took) == n:
            done.set()

    where, loop = urlsplit(url), asyncio.get_running_loop()
    lines = []
    for _ in range(CONNECTIONS):
        _, line = await loop.create_connection(lambda: Line(lambda: next(left, None), answered), where.hostname, where.port)
        lines.append(line)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    clocked = Clocked()
    for line in lines:
        line.go()
    await done.wait()
    return clocked.facts()


class Load:
    """The same in another process, while this one serves."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def prepare(cls, url: str, n: int) -> Load:
        """All requests are made and all connections open."""
        command = [sys.executable, "-m", "bench.load", url, str(n)]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        found = cls(process)
        await found._line()
        return found

    async def go(self) -> dict[str, float]:
        """How it went. Every request must have been answered well."""
        self.process.stdin.write(b"go\n")  # type: ignore[union-attr]
        facts: dict[str, float] = json.loads(await self._line())
        await self.process.wait()
        if facts["bad"]:
            raise RuntimeError(f"Not every webhook was taken: {facts['bad']}. A figure of refusals would say nothing.")
        return facts

    async def _line(self) -> bytes:
        said = await self.process.stdout.readline()  # type: ignore[union-attr]
        if not said:
            raise RuntimeError("The load process has ended; what it said stands above.")
        return said


if __name__ == "__main__":
    print(json.dumps(uvloop.run(load(sys.argv[1], int(sys.argv[2])))))
