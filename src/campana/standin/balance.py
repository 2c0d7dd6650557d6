"""The balance of a campaign against what the vendors saw: who was told twice, who was forgotten, what nobody can know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from campana.standin import ledger as kinds
from campana.standin.ledger import Line, read_lines
from campana.standin.numbers import person_of

EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a campaign, as the sender's own books have them."""

    address: str  # E.164
    owed: bool = True  # a step was to be tried
    unknown: bool = False  # listed among those of whom nobody can tell


@dataclass(frozen=True, slots=True)
class Traced:
    """What the ledger knows of one message that the sender calls uncertain or unknown."""

    ref: str
    fault: str | None  # what struck its call
    accepted: bool


@dataclass(frozen=True, slots=True)
class Balance:
    """What came out. A good campaign has `lost` and `twice` at 0."""

    recipients: int
    lost: int
    twice: int
    unknown: int
    kills: int  # the stand-in ended so often without closing its ledger
    examples: dict[str, list[str]]  # the first addresses of each sort
    traced: tuple[Traced, ...] = ()

    @property
    def unexplained(self) -> list[str]:
        """Refs the sender is uncertain about although no fault struck their call."""
        return [trace.ref for trace in self.traced if trace.fault is None]


@dataclass(slots=True)
class _Seen:
    """What a pass over the ledgers finds."""

    standing: dict[tuple[str, str], int] = field(default_factory=dict)  # person, content -> acceptances not told as failed
    of_id: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)  # people with an acceptance or a refusal
    twice: list[str] = field(default_factory=list)
    kills: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)

    def take(self, line: Line, refs: frozenset[str]) -> None:
        if line.kind == kinds.ACCEPTED:
            self._accept(line)
        elif line.kind == kinds.REFUSED:
            self.heard.add(line.to)
        elif line.kind == kinds.FAILED and (known := self.of_id.pop((line.vendor, line.id), None)):
            self.standing[known] -= 1
        if line.ref in refs:
            if line.kind == kinds.FAULT:
                self.faults[line.ref] = line.fault
            elif line.kind == kinds.ACCEPTED:
                self.accepted.add(line.ref)

    def _accept(self, line: Line) -> None:
        """Another one of the same counts while an earlier one stands, whatever becomes of either later."""
        key = (line.to, line.hash)
        if self.standing.get(key, 0) > 0:
            self.twice.append(line.to)
        self.standing[key] = self.standing.get(key, 0) + 1
        self.of_id[line.vendor, line.id] = key
        self.heard.add(line.to)


def balance(ledgers: Iterable[Path | Iterable[Line]], people: Iterable[Person], refs: Iterable[str] = ()) -> Balance:
    """Balances a campaign's people against the ledgers of its stand-ins.

    *twice* counts acceptances of the same content for the same address while an earlier one stood that the vendor had not
    reported failed. *lost* counts people owed a step with neither an acceptance, a refusal nor an entry among the unknown.
    """
    asked = tuple(refs)
    seen, wanted = _Seen(), frozenset(asked) - {""}
    for source in ledgers:
        running = False
        for line in read_lines(source) if isinstance(source, Path) else source:
            if line.kind == kinds.OPENED:
                seen.kills += running
                running = True
            elif line.kind == kinds.CLOSED:
                running = False
            seen.take(line, wanted)
    return _add_up(seen, people, asked)


def _add_up(seen: _Seen, people: Iterable[Person], refs: tuple[str, ...]) -> Balance:
    recipients = unknown = 0
    lost: list[str] = []
    for person in people:
        recipients += 1
        unknown += person.unknown
        if person.owed and not person.unknown and person_of(person.address) not in seen.heard:
            lost.append(person.address)
    traced = tuple(Traced(ref, seen.faults.get(ref), ref in seen.accepted) for ref in refs)
    return Balance(
        recipients,
        len(lost),
        len(seen.twice),
        unknown,
        seen.kills,
        {"lost": lost[:EXAMPLES], "twice": seen.twice[:EXAMPLES]},
        traced,
    )
