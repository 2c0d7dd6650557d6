"""`python -m bench.peers`: messages a second and CPU each of Celery with Redis, and what becomes of people when it is killed."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.places import cpu_of
from tests.processes import die_with_parent, free_port

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-peers/bin/python"
QUIET = 20.0  # seconds without a message after which nothing more is expected: tasks of a dead worker are looked for every ten


@dataclass(frozen=True)
class Stage:
    """What the peer stands on: Redis, a vendor, and the words that start the rest."""

    redis: subprocess.Popen[bytes]
    vendor: str
    environment: dict[str, str]

    def counts(self) -> dict[str, int]:
        """How many people the vendor has heard of, and how often it was once too often."""
        with urllib.request.urlopen(f"{self.vendor}/counts", timeout=10) as answer:  # noqa: S310 - our own
            found: dict[str, int] = json.load(answer)
            return found

    def until(self, people: int) -> float:
        """Returns when the vendor has heard of so many people: the moment."""
        while self.counts()["people"] < people:
            time.sleep(0.02)
        return time.monotonic()

    def settled(self) -> dict[str, int]:
        """The counts, once nothing more has come for some time."""
        found, since = self.counts(), time.monotonic()
        while time.monotonic() - since < QUIET:
            time.sleep(0.2)
            now = self.counts()
            if now != found:
                found, since = now, time.monotonic()
        return found

    def held(self) -> int:
        """Tasks that Redis still keeps for a worker that has them, or had them when it died."""
        port = self.environment["PEERS_REDIS"].rpartition(":")[2].partition("/")[0]
        asked = ["redis-cli", "-p", port, "hlen", "unacked"]
        return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[-1])

    def enqueue(self, people: int) -> None:
        """Everybody's task is in the queue."""
        subprocess.run([PYTHON, "-m", "bench.peers.tasks", str(people)], cwd=ROOT, env=self.environment, check=True)

    @contextlib.contextmanager
    def worker(self, hands: int) -> Iterator[subprocess.Popen[bytes]]:
        """A worker with so many processes, in a group of its own; killed at the end."""
        command = [
            PYTHON,
            "-m",
            "celery",
            "-A",
            "bench.peers.tasks",
            "worker",
            "--concurrency",
            str(hands),
            "--loglevel",
            "ERROR",
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=ROOT, env=self.environment, process_group=0, preexec_fn=die_with_parent, **quiet)  # type: ignore[call-overload]
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def stage(mark: str) -> Iterator[Stage]:
    """A fresh Redis as Debian's package sets it up (snapshots now and then), and a vendor that has heard nothing."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        redis = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "3600 1 300 100 60 10000"],
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        vendor = subprocess.Popen([sys.executable, "-m", "bench.peers.vendor"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert vendor.stdout is not None  # noqa: S101 - it is a pipe
            url = f"http://127.0.0.1:{int(vendor.stdout.readline())}"
            words = {"PEERS_REDIS": f"redis://127.0.0.1:{port}/0", "PEERS_VENDOR": url, "PEERS_MARK": mark}
            yield Stage(redis, url, {**os.environ, **words})
        finally:
            for one in (vendor, redis):
                one.kill()
                one.wait()


def speed(people: int, hands: int) -> str:
    """The middle four fifths of a queue: messages a second, CPU of worker and Redis each."""
    first, last = people // 10, people - people // 10
    with stage("first") as on:
        on.enqueue(people)
        with on.worker(hands) as worker:
            began, cpu, redis = on.until(first), cpu_of(worker.pid), cpu_of(on.redis.pid)
            ended = on.until(last)
            n = last - first
            cpu, redis = (cpu_of(worker.pid) - cpu) / n * 1e6, (cpu_of(on.redis.pid) - redis) / n * 1e6
    rate = n / (ended - began)
    return f"celery and redis, {hands} processes: {rate:,.0f} messages/s, {cpu + redis:,.0f} us CPU each ({redis:,.0f} of redis)"


def killed(people: int, hands: int, mark: str, times: int) -> str:
    """Kills the worker with SIGKILL so many times, evenly over the queue; then lets one finish it."""
    with stage(mark) as on:
        on.enqueue(people)
        for kill in range(1, times + 1):
            with on.worker(hands):
                on.until(people * kill // (times + 1))
        with on.worker(hands):
            counts, held = on.settled(), on.held()
    words = "marked before the call" if mark == "first" else "marked after the call"
    lost = f"{people - counts['people']} of {people} people not written to ({held} of them still held for a dead worker)"
    return f"killed {times} times, {words}: {lost}, {counts['twice']} messages twice"


def main() -> int:
    """Says a line for each; none is a floor of ours."""
    parser = argparse.ArgumentParser(prog="bench.peers", description="Celery, Redis and requests, one task for each person.")
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--hands", type=int, nargs="+", default=[2, 8], help="processes of the worker, one figure each")
    parser.add_argument("--kills", type=int, default=5)
    asked = parser.parse_args()
    for needed in ("redis-server", str(PYTHON)):
        if not shutil.which(needed):
            print(
                f"{needed} is needed: `make peers` makes .venv-peers, and Debian's package redis-server has the other.",
                file=sys.stderr,
            )
            return 2
    for hands in asked.hands:
        print(speed(asked.messages, hands), flush=True)
    for mark in ("first", "after") if asked.kills else ():
        print(killed(asked.messages // 5, asked.hands[-1], mark, asked.kills), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
