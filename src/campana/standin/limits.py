"""Rate limits of the vendors: so many at once, then one in a while."""

from __future__ import annotations


class Bucket:
    """Lets `burst` through at once and `rate` a second in the long run; no rate, no limit."""

    def __init__(self, rate: float | None, burst: float) -> None:
        self._gap = 1_000_000 / rate if rate else 0.0
        self._slack = self._gap * max(0.0, burst - 1)
        self._free_at = 0.0

    def take(self, now: int) -> bool:
        """True when one more may pass now."""
        if not self._gap:
            return True
        at = max(self._free_at, now)
        if at - now > self._slack:
            return False
        self._free_at = at + self._gap
        return True
