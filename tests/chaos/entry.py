"""`campana` as the proof starts it: with leases of its own, enrolment in small steps, and a wall clock that may be wrong.

`python -m tests.chaos.entry work` is `campana work`. The variables of the environment are the proof's own, no settings.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

SECOND = 1_000_000
LEASE, CALL_TIMEOUT, MARGIN = "CHAOS_LEASE", "CHAOS_CALL_TIMEOUT", "CHAOS_MARGIN"  # seconds
ENROL = "CHAOS_ENROL"  # people of one transaction
CLOCK_OFF = "CHAOS_CLOCK_OFF"  # seconds that this process's wall clock is ahead


def adjust() -> None:
    """This process works as its environment says. To be called before anything of the engine is read."""
    _shift_clock(float(os.environ.get(CLOCK_OFF, 0)))
    import campana.engine.house as house

    house.LEASE, house.CALL_TIMEOUT, house.MARGIN = (
        int(float(os.environ[name]) * SECOND) if name in os.environ else usual
        for name, usual in ((LEASE, house.LEASE), (CALL_TIMEOUT, house.CALL_TIMEOUT), (MARGIN, house.MARGIN))
    )

    @dataclass
    class House(house.House):
        lease: int = house.LEASE

    house.House = House  # type: ignore[misc]
    import campana.engine.wake as wake

    wake.ENROL = int(os.environ.get(ENROL, wake.ENROL))


def _shift_clock(seconds: float) -> None:
    """The wall clock of this process is off by so much; what counts from the start of the machine is not."""
    if seconds:
        right, right_ns = time.time, time.time_ns
        time.time = lambda: right() + seconds
        time.time_ns = lambda: right_ns() + int(seconds * 1_000_000_000)


if __name__ == "__main__":
    adjust()
    from campana.cli import main

    main()
