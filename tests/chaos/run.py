"""Kills processes at random moments while a campaign runs, starts them again, and balances the books.

`python -m tests.chaos.run --kills 50` prints last: lost 0 twice 0 unknown N. It exits 1 when the books do not close.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from campana.standin.faults import Faults, Odds, ReceiptOdds, Reply, Rule
from tests.chaos.books import Books, Kill, close_books, unsettled
from tests.chaos.world import Broken, World, kill, left_over, wait_for_port, world_in

DAY = 12.0  # seconds that a day of a journey takes
WHO = ("campana", "vendors")
BOTH = 0.1  # so many kills strike both at once
EARLY = 0.2  # so many kills do not wait until what was killed before is at work again
PAUSE = (0.3, 1.0)
PACE = 150.0  # messages a second, so that most kills strike calls
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


def now() -> int:
    """UTC microseconds."""
    return time.time_ns() // 1000


def say(words: str) -> None:
    """Progress, for people."""
    print(words, file=sys.stderr, flush=True)  # noqa: T201


@dataclass
class Chaos:
    """A campaign under fire."""

    world: World
    people: int
    dice: random.Random
    until: float  # monotonic: an end that nobody may miss
    kills: list[Kill] = field(default_factory=list)
    campaigns: int = 0
    unasked: int = 0  # how often campana ended by itself before its campaign was over
    command: tuple[str, ...] = ()

    def go(self, kills: int) -> None:
        """Strikes so often, always a campaign that runs; then lets everything come to its end."""
        self.vendors = self.world.start_vendors()
        wait_for_port(self.world.vendor_port, self.vendors)
        self._launch()
        while len(self.kills) < kills:
            if self._ended(self.dice.uniform(*PAUSE)):
                self._go_on()
                continue
            self._strike(kills - len(self.kills))
            if len(self.kills) % 10 == 0:
                say(f"{len(self.kills)} kills, campaign {self.campaigns}, {time.monotonic() - self.began:.0f} s")
        self._end()

    def __post_init__(self) -> None:
        self.began = time.monotonic()

    def _launch(self) -> None:
        """The next campaign, with people nobody wrote to before."""
        people = self.world.write_people(self.people, self.campaigns * self.people)
        self.campaigns += 1
        campaign = self.world.folder / f"campaign-{self.campaigns}.yaml"
        self.world.write_campaign(name=f"Visit reminders {self.campaigns}").rename(campaign)
        self.command = ("run", str(campaign), "--audience", str(people))
        self._start_campana()

    def _start_campana(self) -> None:
        self.campana = self.world.start(*self.command)
        wait_for_port(self.world.port, self.campana, self._left())

    def _left(self) -> float:
        """Seconds until the end."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise Broken(f"It takes too long: {len(self.kills)} kills, campaign {self.campaigns}.")
        return left

    def _ended(self, seconds: float) -> bool:
        """Waits that long, or until campana ends by itself."""
        self._left()
        try:
            self.campana.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _go_on(self) -> None:
        """What to do when campana has ended: its campaign is over, or it could not reach a vendor when it began."""
        if self.campana.returncode == 0:
            self._launch()
            return
        said = self.world.log()[-3000:]
        self.unasked += 1
        if self.unasked > 50 or not any(words in said for words in ("cannot be reached", "could not be read")):
            raise Broken(f"campana ended with {self.campana.returncode}:\n{said}")
        self._start_campana()

    def _strike(self, at_most: int) -> None:
        """Kills one process, or both at once, and starts it again at once."""
        struck = self.dice.sample(WHO, 2 if at_most > 1 and self.dice.random() < BOTH else 1)
        at = now()
        for who in struck:
            os.kill((self.campana if who == "campana" else self.vendors).pid, signal.SIGKILL)
        for who in struck:
            self._again(who)
        if self.dice.random() >= EARLY:
            wait_for_port(self.world.vendor_port, self.vendors, self._left())
            wait_for_port(self.world.port, self.campana, self._left())
        self.kills += [Kill(who, at, now()) for who in struck]

    def _again(self, who: str) -> None:
        if who == "campana":
            self.campana.wait()
            self.campana = self.world.start(*self.command)
        else:
            self.vendors.wait()
            self.vendors = self.world.start_vendors()

    def _end(self) -> None:
        """No more kills: the campaign runs to its end, then everything that is still told is heard."""
        say(f"{len(self.kills)} kills in {time.monotonic() - self.began:.0f} s; now to the end")
        wait_for_port(self.world.vendor_port, self.vendors, self._left())
        while not self._ended(min(5.0, self._left())) or self.campana.returncode != 0:
            if self.campana.poll() is not None:
                self._go_on()
        serving = self.world.start("serve")
        wait_for_port(self.world.port, serving, self._left())
        while not self._quiet():
            self._left()
            time.sleep(0.3)
        serving.send_signal(signal.SIGTERM)
        if code := serving.wait(self._left()):
            raise Broken(f"serve ended with {code}:\n{self.world.log()[-3000:]}")
        kill(self.vendors)

    def _quiet(self) -> bool:
        """Nothing is left to be told or settled."""
        return not self.world.vendor_counts().get("pending") and not unsettled(self.world)


def prove(folder: Path, kills: int, people: int, seed: int, seconds: float, day: float = DAY) -> tuple[Chaos, Books]:
    """One whole proof in a folder."""
    with world_in(folder, faults=FAULTS, time_scale=86_400 / day, pace=PACE) as world:
        chaos = Chaos(world, people, random.Random(seed), time.monotonic() + seconds)
        chaos.go(kills)
        world.close()
        books = close_books(world, chaos.kills, people)
    if left := left_over(folder):
        books.problems.append(f"processes are left behind: {left}")
    return chaos, books


def report(chaos: Chaos, books: Books, seconds: float) -> dict[str, object]:
    """The figures of one proof."""
    struck = {who: sum(one.who == who for one in chaos.kills) for who in WHO}
    return {
        "kills": len(chaos.kills),
        "killed": struck,
        "campaigns": chaos.campaigns,
        **{name: value for name, value in asdict(books).items() if name != "problems"},
        "closed": books.closed,
        "seconds": round(seconds, 1),
    }


def main() -> int:
    """Reads the command line, proves, and says what came out."""
    parser = argparse.ArgumentParser(prog="tests.chaos.run", description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--people", type=int, default=2000, help="of each campaign")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time; it is said")
    parser.add_argument("--json", action="store_true", help="all figures as JSON, on the line before the last")
    parser.add_argument("--keep", action="store_true", help="leave the folder with database, ledger and logs")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes end here too
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="campana-chaos-"))
    say(f"seed {seed}, files in {folder}")
    began = time.monotonic()
    chaos, books = prove(folder, asked.kills, asked.people, seed, 240 + 12 * asked.kills)
    facts = report(chaos, books, time.monotonic() - began)
    say("\n".join(f"{name}: {value}" for name, value in facts.items()))
    for problem in books.problems:
        say(problem)
    if books.closed and not asked.keep:
        shutil.rmtree(folder, ignore_errors=True)
    if asked.json:
        print(json.dumps(facts))  # noqa: T201
    print(f"lost {books.lost} twice {books.twice} unknown {books.unknown}")  # noqa: T201
    return 0 if books.closed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except Broken as error:
        say(str(error))
        sys.exit(1)
