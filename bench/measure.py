"""What a benchmark measures: work done, wall time, CPU time, against a limit of the same run."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured thing. `floor` is a ratio to the limit; `most_us` bounds CPU microseconds a unit."""

    name: str
    unit: str
    per_second: float
    cpu_us: float
    limit: str
    limit_per_second: float
    floor: float | None = None
    most_us: float | None = None
    least: float | None = None  # units a second

    @property
    def ratio(self) -> float:
        """What part of the limit was reached."""
        return self.per_second / self.limit_per_second

    @property
    def met(self) -> bool:
        """Whether every floor is met."""
        slow = self.floor is not None and self.ratio < self.floor
        dear = self.most_us is not None and self.cpu_us > self.most_us
        few = self.least is not None and self.per_second < self.least
        return not (slow or dear or few)

    def line(self) -> str:
        """The figure for people."""
        said = f"{self.name}: {_shown(self.per_second)} {self.unit}/s, {self.cpu_us:,.0f} us CPU each"
        said += f"; {self.limit} {_shown(self.limit_per_second)}/s, ratio {self.ratio:.2f}"
        wants = [] if self.floor is None else [f"ratio {self.floor}"]
        wants += [] if self.most_us is None else [f"{self.most_us:.0f} us"]
        wants += [] if self.least is None else [f"{_shown(self.least)}/s"]
        return f"{said} ({'met' if self.met else 'MISSED'}: {', '.join(wants)})" if wants else said

    def facts(self) -> dict[str, Any]:
        """The figure for programs."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def _shown(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}"


class Stopwatch:
    """Wall and CPU seconds of this process since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self, units: int) -> tuple[float, float]:
        """Units a second, and CPU microseconds a unit."""
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return units / wall, cpu / units * 1e6
