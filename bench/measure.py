"""What a benchmark measures: work done, wall time, CPU time, against a limit of the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Reading:
    """What one round came to: units a second, and CPU microseconds a unit of this process and of the database's server."""

    per_second: float
    cpu_us: float
    server_us: float = 0.0

    @classmethod
    def middle(cls, of: Sequence[Reading]) -> Reading:
        """The median of several rounds, each part by itself."""
        return cls(*(median(getattr(one, name) for one in of) for name in ("per_second", "cpu_us", "server_us")))


@dataclass(frozen=True)
class Floors:
    """What is asked of a figure; None asks nothing."""

    ratio: float | None = None  # of the limit
    least: float | None = None  # units a second
    most_us: float | None = None  # CPU of this process a unit
    most_ms: float | None = None  # 99th percentile
    most_mb: float | None = None

    def words(self) -> str:
        """The floors for people."""
        wants = [] if self.ratio is None else [f"ratio {self.ratio}"]
        wants += [] if self.least is None else [f"{_shown(self.least)}/s"]
        wants += [] if self.most_us is None else [f"{self.most_us:.0f} us"]
        wants += [] if self.most_ms is None else [f"p99 {self.most_ms:.0f} ms"]
        wants += [] if self.most_mb is None else [f"{self.most_mb:.0f} MB"]
        return ", ".join(wants)


@dataclass(frozen=True)
class Figure:
    """One measured thing, beside its limit of the same run."""

    name: str
    database: str
    unit: str
    reading: Reading
    limit: str
    limit_per_second: float
    floors: Floors = Floors()
    p50_ms: float | None = None
    p99_ms: float | None = None
    mb: float | None = None
    beside: str = ""  # what else a reader should know

    @property
    def ratio(self) -> float:
        """What part of the limit was reached."""
        return self.reading.per_second / self.limit_per_second

    @property
    def met(self) -> bool:
        """Whether every floor is met."""
        wants = self.floors
        return not (
            (wants.ratio is not None and self.ratio < wants.ratio)
            or (wants.least is not None and self.reading.per_second < wants.least)
            or (wants.most_us is not None and self.reading.cpu_us > wants.most_us)
            or (wants.most_ms is not None and (self.p99_ms is None or self.p99_ms > wants.most_ms))
            or (wants.most_mb is not None and (self.mb is None or self.mb > wants.most_mb))
        )

    def line(self) -> str:
        """The figure for people."""
        said = f"{self.name}, {self.database}: {_shown(self.reading.per_second)} {self.unit}/s"
        said += f", {self.reading.cpu_us:,.0f} us CPU each"
        said += f" and {self.reading.server_us:,.0f} us of the server" if self.reading.server_us else ""
        said += f", p50 {self.p50_ms:.1f} ms" if self.p50_ms is not None else ""
        said += f", p99 {self.p99_ms:.1f} ms" if self.p99_ms is not None else ""
        said += f", {self.mb:.0f} MB" if self.mb is not None else ""
        said += f"; {self.limit} {_shown(self.limit_per_second)}/s, ratio {self.ratio:.2f}"
        said += f"; {self.beside}" if self.beside else ""
        wants = self.floors.words()
        return f"{said} ({'met' if self.met else 'MISSED'}: {wants})" if wants else said

    def facts(self) -> dict[str, Any]:
        """The figure for programs."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def _shown(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}"


class Stopwatch:
    """Wall seconds, and CPU seconds of this process and of the database's server, since it was made."""

    def __init__(self, server: Callable[[], float] = lambda: 0.0) -> None:
        self._server = server
        self.wall, self.cpu, self.beside = time.perf_counter(), time.process_time(), server()

    def read(self, units: int) -> Reading:
        """What it comes to for so many units."""
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return Reading(units / wall, cpu / units * 1e6, (self._server() - self.beside) / units * 1e6)


class Memory:
    """The most memory this process held since it was made, in MB. Needs Linux's /proc; elsewhere it is not known."""

    def __init__(self) -> None:
        status = Path("/proc/self/clear_refs")
        self._known = status.exists()
        self.before = memory_of() if self._known else 0.0
        if self._known:
            status.write_text("5")  # the high-water mark begins anew

    def most(self) -> float | None:
        """The high-water mark."""
        return memory_of(kind="VmHWM") if self._known else None


def memory_of(pid: int | str = "self", kind: str = "VmRSS") -> float:
    """Memory a process holds, in MB: VmRSS all of it, VmHWM the most it ever was, RssAnon what it shares with nobody."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) for line in status if line.startswith(kind)), 0) / 1024
