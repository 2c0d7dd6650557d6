"""A cell: one way to run Campana, under blows. Here what all cells share, and the one of a single process on SQLite."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.chaos.blows import VENDORS, Blow, Sort, now
from tests.chaos.books import OPEN
from tests.chaos.world import Broken, World, kill, wait_for_port

TWO = 0.1  # so many kills strike two processes at once
EARLY = 0.2  # so many kills do not wait until what was killed before is at work again
AT_REST = 0.3  # seconds between two looks


class Cell(ABC):
    """Processes that carry out campaigns, and how they are struck."""

    name: ClassVar[str] = ""
    shares: ClassVar[Mapping[Sort, float]] = {}  # of blows that are no kills
    lease: ClassVar[int] = 30_000_000  # microseconds

    def __init__(self, world: World, dice: random.Random, until: float) -> None:
        self.world, self.dice, self.until = world, dice, until  # `until` is monotonic: an end that nobody may miss
        self.blows: list[Blow] = []
        self.unasked = 0  # how often a process ended by itself and was started again

    def left(self) -> float:
        """Seconds until the end; raises when it is over."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise Broken(f"It takes too long: {len(self.blows)} blows. {self.state()}")
        return left

    def start_vendors(self) -> None:
        """The vendors listen."""
        self.vendors = self.world.start_vendors()
        wait_for_port(self.world.vendor_port, self.vendors)

    def quiet(self) -> bool:
        """Nothing is left to be told or settled."""
        with contextlib.suppress(OSError):
            return not self.world.vendor_counts().get("pending") and self.unsettled() == 0
        return False

    @abstractmethod
    def begin(self) -> None:
        """Everything is started that must run before a campaign is launched."""

    @abstractmethod
    def launch(self, campaign: Path, people: Path) -> None:
        """The next campaign is on its way."""

    @abstractmethod
    def over(self) -> bool:
        """Whether every campaign has come to its end."""

    def running_dry(self) -> bool:
        """Whether blows would soon strike nothing, so that it is time for the next campaign."""
        return self.over()

    @abstractmethod
    def rest(self, seconds: float) -> bool:
        """Lets that time pass and starts again what ended by itself. False when there was such a thing."""

    @abstractmethod
    def strike(self, sort: Sort, at_most: int) -> None:
        """One blow, or two kills at once; they are added to `blows`."""

    @abstractmethod
    def unsettled(self) -> int | None:
        """Webhooks not yet understood and messages not yet settled; None when it cannot be seen just now."""

    @abstractmethod
    def end(self) -> None:
        """No more blows: everything comes to its end, and the processes are stopped."""

    @abstractmethod
    def state(self) -> str:
        """Where it stands, for people."""

    def unsaid(self, forgotten: int) -> str | None:
        """A sentence when more acknowledged webhooks are not in the store than anybody said."""
        return f"{forgotten} acknowledged webhooks are not in the store" if forgotten else None

    def keep(self) -> None:  # noqa: B027
        """Leaves in the folder what somebody may want to look at afterwards."""


class OneProcess(Cell):
    """`campana run` on SQLite: one process does everything."""

    name = "sqlite"

    def begin(self) -> None:
        self.start_vendors()

    def launch(self, campaign: Path, people: Path) -> None:
        self.command = ("run", str(campaign), "--audience", str(people))
        self._start()

    def over(self) -> bool:
        return self.campana.returncode == 0

    def rest(self, seconds: float) -> bool:
        self.left()
        try:
            self.campana.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        if self.campana.returncode != 0:
            self._start_again()
        return False

    def strike(self, sort: Sort, at_most: int) -> None:
        struck = self.dice.sample(("campana", VENDORS), 2 if at_most > 1 and self.dice.random() < TWO else 1)
        at = now()
        for who in struck:
            self._process(who).send_signal(signal.SIGKILL)
        for who in struck:
            self._process(who).wait()
        self.blows += [Blow(sort, who, at, now()) for who in struck]
        for who in struck:
            self._again(who)
        if self.dice.random() >= EARLY:
            wait_for_port(self.world.vendor_port, self.vendors, self.left())
            wait_for_port(self.world.port, self.campana, self.left())

    def unsettled(self) -> int:
        connection = sqlite3.connect(f"file:{self.world.database}?mode=ro", uri=True, timeout=10)
        try:
            counting = "SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM message WHERE status IN (?, ?))"
            found: int = connection.execute(counting, OPEN).fetchone()[0]
            return found
        finally:
            connection.close()

    def end(self) -> None:
        wait_for_port(self.world.vendor_port, self.vendors, self.left())
        while not self.over():
            self.rest(min(5.0, self.left()))
        serving = self.world.start("serve")
        wait_for_port(self.world.port, serving, self.left())
        while not self.quiet():
            self.left()
            time.sleep(AT_REST)
        serving.send_signal(signal.SIGTERM)
        if code := serving.wait(self.left()):
            raise Broken(f"serve ended with {code}:\n{self.world.log()[-3000:]}")
        kill(self.vendors)

    def state(self) -> str:
        return f"campana said: {self.world.log()[-1000:]}"

    def _start(self) -> None:
        self.campana = self.world.start(*self.command)
        wait_for_port(self.world.port, self.campana, self.left())

    def _start_again(self) -> None:
        """It could not reach a vendor when it began."""
        said = self.world.log()[-3000:]
        self.unasked += 1
        if self.unasked > 50 or not any(words in said for words in ("cannot be reached", "could not be read")):
            raise Broken(f"campana ended with {self.campana.returncode}:\n{said}")
        self._start()

    def _process(self, who: str) -> subprocess.Popen[bytes]:
        return self.campana if who == "campana" else self.vendors

    def _again(self, who: str) -> None:
        if who == "campana":
            self.campana = self.world.start(*self.command)
        else:
            self.vendors = self.world.start_vendors()
