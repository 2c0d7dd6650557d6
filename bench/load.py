"""Webhooks as fast as a server takes them, from a process of its own: `python -m bench.load URL N`."""

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import urlsplit

import uvloop

from bench.hooks import told
from bench.lines import Clocked, Line

CONNECTIONS = 64


async def load(url: str, n: int) -> dict[str, object]:
    """N receipts of unlike messages, each on one of 64 connections when the answer before it is there."""
    requests = [told(f"{url}?m={at:032x}", f"SM{at:032x}", f"+5255{10_000_000 + at}", "delivered") for at in range(n)]
    left = iter(requests)
    done = asyncio.Event()

    def answered(line: Line, code: int, seconds: float) -> None:
        clocked.note(code, seconds)
        if len(clocked.took) == n:
            done.set()

    where = urlsplit(url)
    loop = asyncio.get_running_loop()
    lines = [
        (await loop.create_connection(lambda: Line(lambda: next(left, None), answered), where.hostname, where.port))[1]
        for _ in range(CONNECTIONS)
    ]
    clocked = Clocked()
    for line in lines:
        line.go()
    await done.wait()
    return clocked.facts()


async def from_outside(url: str, n: int) -> dict[str, float]:
    """The same from another process, while this one serves. Every request must have been answered well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.load", url, str(n), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("The load process failed; what it said stands above.")
    facts: dict[str, float] = json.loads(said)
    if facts["bad"]:
        raise RuntimeError(f"Not every webhook was taken: {facts['bad']}. A figure of refusals would say nothing.")
    return facts


if __name__ == "__main__":
    print(json.dumps(uvloop.run(load(sys.argv[1], int(sys.argv[2])))))
