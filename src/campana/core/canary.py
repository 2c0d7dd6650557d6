"""The watch over a run: it goes to some people first, goes on by itself when little goes wrong, and pauses itself when much does.

What may go wrong is counted beside the people sent to; while the first ones are tried, beside all of those, so that a campaign
that fails is stopped as soon as that many have failed and not only when the last one has. The limits hold to the end of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from campana.core.campaign import Canary
from campana.core.journey import Outcome

GAVE_UP = "gave up"  # the figure: how often a step failed for a person for good, not by our own pace, not to be tried again


class Trouble(StrEnum):
    """Why a run paused itself."""

    FAILED = "failed"
    OPTED_OUT = "opted_out"
    UNKNOWN = "unknown"
    STUCK = "stuck"  # its sender or template was stopped, so the first people cannot be tried


class Breach(Struct, frozen=True):
    """A limit that was passed: `count` of `of` people, with at most `most` per cent allowed. STUCK has its `words` only."""

    trouble: Trouble
    count: int = 0
    of: int = 0
    most: float = 0
    words: str = ""


class Tried(Struct, frozen=True):
    """What is known of the people of a run so far."""

    sent: int = 0  # people a vendor took a message for
    failed: int = 0  # messages that failed for good
    opted_out: int = 0  # people
    unknown: int = 0  # messages

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> Tried:
        """From a run's figures."""
        opted_out = counts.get(f"outcome:{Outcome.OPTED_OUT}", 0)
        return cls(counts.get("people:sent", 0), counts.get(GAVE_UP, 0), opted_out, counts.get("messages:unknown", 0))


class Watch(Struct, frozen=True):
    """How the watch over a run stands; it lies in the run's row. Times are UTC microseconds, `wait` a length of them."""

    first: int  # people it goes to first
    wait: int
    failed: float  # per cent, as are the two below
    opted_out: float
    unknown: float
    quiet_since: int | None = None  # when all of the first had been sent to
    passed_at: int | None = None  # since then it goes to everybody
    forgiven: Tried = Tried()  # what had gone wrong when a person let it go on
    breach: Breach | None = None  # why it paused itself last

    def room(self, enrolled: int) -> int | None:
        """How many more people may be enrolled at present, when so many are; None: everybody."""
        return None if self.passed_at is not None else max(0, self.first - enrolled)


def watch_for(canary: Canary, offered: int, wait: int) -> Watch:
    """The watch over a run of so many people, as it begins; `wait` is the canary's, as the installation's clock runs."""
    limits = canary.limits
    return Watch(canary.first(offered), wait, limits.failed, limits.opted_out, limits.unknown)


def judge(watch: Watch, tried: Tried, all_sent_to: bool, stuck: str, now: int) -> Watch:
    """The watch as it stands now: with a breach when the run must pause, passed when it may go on with everybody.

    `all_sent_to`: all of the first are enrolled, and none waits for an attempt; `stuck`: words, when only a person can make the
    run go on.
    """
    breach = _breach(watch, tried)
    if breach is None and stuck and watch.passed_at is None:
        breach = Breach(Trouble.STUCK, words=stuck)
    if breach is not None:
        return replace(watch, breach=breach)
    if watch.passed_at is not None or not all_sent_to:
        return watch
    if watch.quiet_since is None:
        return replace(watch, quiet_since=now)
    return replace(watch, passed_at=now) if now >= watch.quiet_since + watch.wait else watch


class Share(Struct, frozen=True):
    """How much of one trouble there is since a person last forgave it, and how much there may be, in per cent."""

    trouble: Trouble
    count: int
    of: int
    most: float

    @property
    def breach(self) -> Breach | None:
        """When it is too much."""
        broken = self.count > 0 and 100 * self.count > self.most * self.of
        return Breach(self.trouble, self.count, self.of, self.most) if broken else None


def shares(watch: Watch, tried: Tried) -> list[Share]:
    """The figures by which a run is judged, and which people are shown."""
    base = watch.forgiven
    of = max(watch.first, tried.sent - base.sent)
    return [
        Share(Trouble.FAILED, tried.failed - base.failed, of, watch.failed),
        Share(Trouble.OPTED_OUT, tried.opted_out - base.opted_out, of, watch.opted_out),
        Share(Trouble.UNKNOWN, tried.unknown - base.unknown, of, watch.unknown),
    ]


def _breach(watch: Watch, tried: Tried) -> Breach | None:
    return next((one.breach for one in shares(watch, tried) if one.breach), None)


def forgive(watch: Watch, tried: Tried) -> Watch:
    """A person lets the run go on: what went wrong so far counts no more, and the watch goes on from there."""
    return replace(watch, forgiven=tried, breach=None, quiet_since=None)


def let_pass(watch: Watch, tried: Tried, now: int) -> Watch:
    """A person does not wait for the end of the watch: it goes to everybody now."""
    return replace(forgive(watch, tried), passed_at=watch.passed_at or now)
