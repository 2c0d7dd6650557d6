"""Strikes processes at random moments while campaigns run, starts them again, and balances the books.

`python -m tests.chaos.run --kills 50` prints a line for each cell and last: lost 0 twice 0 unknown N. It exits 1 when the books
do not close.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from campana.standin.faults import Faults, Odds, ReceiptOdds, Reply, Rule
from tests.chaos.blows import Sort, deal
from tests.chaos.books import Books, close_books
from tests.chaos.cells import Cell, OneProcess
from tests.chaos.many import ManyProcesses, OverNats, OverThreeNats, OverWipedNats
from tests.chaos.world import Broken, left_over, world_in
from tests.nats_servers import nats_servers
from tests.postgres import PostgresServer

DAY = 12.0  # seconds that a day of a journey takes
PAUSE = (0.3, 1.0)
PACE = 150.0  # messages a second, so that most blows strike calls
FAULTS = Faults(
    latency=(0.015, 0.025),
    retry_after=1,
    silence=2.0,
    odds=Odds(throttled=0.01, broken=0.01, broken_after=0.01, cut_before=0.01, cut_after=0.01, silent=0.003),
    receipts=ReceiptOdds(doubled=0.05, reordered=0.05, late=0.05, late_by=(20, 120), missing=0.03),
    rules=(
        Rule(vendor="whatsapp", share=0.10, code=131026),
        Rule(vendor="whatsapp", share=0.03, code=131049),
        Rule(vendor="whatsapp", share=0.01, code=131050),
        Rule(vendor="twilio", share=0.03, code=30005),
        Rule(vendor="twilio", share=0.01, code=21610),
    ),
    people=(Reply(share=0.20, text="Yes, see you then", after=(10, 60)), Reply(share=0.02, text="STOP", after=(10, 60))),
)
NODES = {OverNats: 1, OverWipedNats: 1, OverThreeNats: 3}
CELLS: dict[str, type[Cell]] = {one.name: one for one in (OneProcess, ManyProcesses, OverNats, OverThreeNats, OverWipedNats)}
BUSES = {
    "local": [ManyProcesses],
    "nats": [OverNats],
    "nats3": [OverThreeNats],
    "wiped": [OverWipedNats],
    "all": [ManyProcesses, OverNats, OverThreeNats, OverWipedNats],
}


def say(words: str) -> None:
    """Progress, for people."""
    print(words, file=sys.stderr, flush=True)  # noqa: T201


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to do: blows, and campaigns of so many people; more campaigns follow when these are over too early."""

    blows: int
    people: int
    campaigns: int = 1

    @classmethod
    def of(cls, cell: type[Cell], blows: int, people: int | None) -> Size:
        """As large as the blows deserve: up to 20,000 people for many processes, 2,000 for one."""
        if cell is OneProcess:
            return cls(blows, people or 2000)
        people = people or max(500, min(20_000, 200 * blows))
        campaigns = max(1, round(people / 5000))
        return cls(blows, people // campaigns, campaigns)


@dataclass
class Chaos:
    """Campaigns under fire."""

    cell: Cell
    size: Size
    campaigns: int = 0

    def go(self) -> None:
        """Strikes so often, always while campaigns run; then lets everything come to its end."""
        cell, size, began = self.cell, self.size, time.monotonic()
        cell.begin()
        deck = deal(size.blows, cell.shares, cell.dice)
        while deck:
            if self._due() or cell.running_dry():
                self._launch()
            if not cell.rest(cell.dice.uniform(*PAUSE)):
                continue
            before = len(cell.blows)
            cell.strike(deck.pop(), 1 + deck.count(Sort.KILL))
            for _ in cell.blows[before + 1 :]:  # it struck more than one
                if Sort.KILL in deck:
                    deck.remove(Sort.KILL)
            if len(cell.blows) // 10 > before // 10:
                say(f"{cell.name}: {len(cell.blows)} blows, campaign {self.campaigns}, {time.monotonic() - began:.0f} s")
        while self.campaigns < size.campaigns:
            self._launch()
        say(f"{cell.name}: {len(cell.blows)} blows in {time.monotonic() - began:.0f} s; now to the end")
        cell.end()

    def _due(self) -> bool:
        """Whether the next campaign begins, spread over all blows."""
        of = self.size
        return self.campaigns == 0 or (
            self.campaigns < of.campaigns and len(self.cell.blows) * of.campaigns >= of.blows * self.campaigns
        )

    def _launch(self) -> None:
        """The next campaign, with people nobody wrote to before."""
        world, first = self.cell.world, self.campaigns * self.size.people
        people = world.write_people(self.size.people, first)
        self.campaigns += 1
        campaign = world.folder / f"campaign-{self.campaigns}.yaml"
        world.write_campaign(name=f"Visit reminders {self.campaigns}").rename(campaign)
        self.cell.launch(campaign, people)


@contextlib.contextmanager
def cell_in(folder: Path, kind: type[Cell], dice: random.Random, until: float, day: float) -> Iterator[Cell]:
    """A cell in a folder, with the servers it needs; all of it ends with the block."""
    facts: dict[str, Any] = {"faults": FAULTS, "time_scale": 86_400 / day, "pace": PACE}
    with contextlib.ExitStack() as stack:
        if not issubclass(kind, ManyProcesses):
            yield kind(stack.enter_context(world_in(folder, **facts)), dice, until)
            return
        postgres = stack.enter_context(PostgresServer())
        servers = stack.enter_context(nats_servers(folder / "nats", NODES[kind])) if kind in NODES else None
        facts |= {"store": postgres.create_database("campana"), "bus": servers.url if servers else "local"}
        cell = kind(stack.enter_context(world_in(folder, **facts)), dice, until)
        cell.postgres, cell.servers = postgres, servers
        yield cell


def prove(
    folder: Path, size: Size, seed: int, seconds: float, kind: type[Cell] = OneProcess, day: float = DAY, keep: bool = False
) -> tuple[Chaos, Books]:
    """One whole proof in a folder."""
    with cell_in(folder, kind, random.Random(seed), time.monotonic() + seconds, day) as cell:
        chaos = Chaos(cell, size)
        try:
            chaos.go()
            cell.world.close()
            books = close_books(cell.world, cell.blows, size.people, cell.lease, Sort.DISKS in cell.shares)
            if said := cell.unsaid(books.forgotten):
                books.problems.append(said)
        finally:
            if keep:
                cell.world.close()
                cell.keep()
    if left := left_over(folder):
        books.problems.append(f"processes are left behind: {left}")
    return chaos, books


def report(chaos: Chaos, books: Books, seconds: float) -> dict[str, object]:
    """The figures of one proof."""
    cell = chaos.cell
    struck: dict[str, int] = {}
    for blow in cell.blows:
        key = f"{blow.sort} {blow.who}"
        struck[key] = struck.get(key, 0) + 1
    facts: dict[str, object] = {"cell": cell.name, "blows": len(cell.blows), "struck": dict(sorted(struck.items()))}
    if isinstance(cell, ManyProcesses):
        facts |= {"pumps_struck_enrolling": cell.enrolling, "bus_lost": cell.lost, "bus_wiped": cell.wiped}
    return facts | {
        "campaigns": chaos.campaigns,
        **{name: value for name, value in asdict(books).items() if name != "problems"},
        "started_again_unasked": cell.unasked,
        "problems": len(books.problems),
        "seconds": round(seconds, 1),
    }


def main() -> int:
    """The command. Returns the exit code."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes end here too
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(1_000_000)
    cells = [] if asked.database == "postgresql" else [OneProcess]
    cells += [] if asked.database == "sqlite" else BUSES[asked.bus]
    done: list[tuple[dict[str, object], Books]] = []
    for kind in cells:
        done.append(_prove_aloud(kind, asked, seed))
        books = done[-1][1]
        print(f"{kind.name}: lost {books.lost} twice {books.twice} unknown {books.unknown}", flush=True)  # noqa: T201
    if asked.json:
        print(json.dumps([facts for facts, _ in done]))  # noqa: T201
    lost, twice, unknown = (sum(getattr(books, name) for _, books in done) for name in ("lost", "twice", "unknown"))
    print(f"lost {lost} twice {twice} unknown {unknown}")  # noqa: T201
    return 0 if all(books.closed for _, books in done) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="blows in each cell")
    parser.add_argument("--people", type=int, help="people of a cell; default: as many as the blows deserve")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--bus", choices=sorted(BUSES), default="local", help="between the processes on PostgreSQL")
    parser.add_argument("--seed", type=int, help="deals the same blows again; the moments differ with the machine")
    parser.add_argument("--json", action="store_true", help="all figures as the line before the last")
    parser.add_argument("--keep", action="store_true", help="leave the folder with database, ledger and logs")
    return parser.parse_args()


def _prove_aloud(kind: type[Cell], asked: argparse.Namespace, seed: int) -> tuple[dict[str, object], Books]:
    folder = Path(tempfile.mkdtemp(prefix="campana-chaos-"))
    say(f"{kind.name}: seed {seed}, files in {folder}")
    size, began = Size.of(kind, asked.kills, asked.people), time.monotonic()
    seconds = 240 + 12 * asked.kills + size.people * size.campaigns / 20
    chaos, books = prove(folder, size, seed, seconds, kind, keep=asked.keep)
    facts = report(chaos, books, time.monotonic() - began)
    say("\n".join(f"{name}: {value}" for name, value in facts.items()))
    for problem in books.problems:
        say(problem)
    if books.closed and not asked.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return facts, books


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except Broken as error:
        say(str(error))
        sys.exit(1)
