"""What strikes an installation, and in which order: blows are dealt like cards, so that none of them is left out by chance."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

VENDORS = "vendors"


class Sort(StrEnum):
    """The sorts of blows."""

    KILL = "kill"  # SIGKILL of a process, sometimes of two at once
    STOP = "stop"  # SIGSTOP of a process past its lease, then SIGCONT
    DATABASE = "database"  # all processes of PostgreSQL are killed, and start 1 to 3 seconds later
    LEADER = "leader"  # the NATS server that leads the webhooks' stream is killed
    NODES = "nodes"  # all NATS servers are killed at once
    DISKS = "disks"  # ... and their disks are wiped


@dataclass(frozen=True, slots=True)
class Blow:
    """One blow: what struck whom, when, and until when a call that began may have been hit (UTC microseconds)."""

    sort: Sort
    who: str
    at: int
    until: int

    @property
    def takes_answers(self) -> bool:
        """Whether a vendor's answer may have been lost by it on its way."""
        return self.who == VENDORS or self.sort is Sort.STOP

    @property
    def takes_records(self) -> bool:
        """Whether whoever had the answer may have been kept from writing it down."""
        return self.who != VENDORS and self.sort in (Sort.KILL, Sort.STOP, Sort.DATABASE)


def now() -> int:
    """UTC microseconds."""
    return time.time_ns() // 1000


def deal(count: int, shares: Mapping[Sort, float], dice: random.Random) -> list[Sort]:
    """So many blows in a random order: of each sort its share, at least one as far as there is room, the rest kills."""
    dealt: list[Sort] = []
    for sort, share in shares.items():
        dealt += [sort] * min(max(1, round(count * share)), max(0, count - 1 - len(dealt)))
    dealt += [Sort.KILL] * (count - len(dealt))
    dice.shuffle(dealt)
    return dealt
