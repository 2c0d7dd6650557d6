"""How fast a sender may go: the generic cell rate algorithm, with one number of state, the theoretical arrival time."""

from __future__ import annotations

SECOND = 1_000_000
ASK_FIRST = 10  # messages at risk at once where a lost answer can neither be asked for nor repeated under a key


def _cost(weight: float, rate: float) -> int:
    """Microseconds that `weight` takes at `rate` a second, rounded up, so that rounding never adds speed."""
    return -int(-weight * SECOND // rate)


def reserve(tat: int, now: int, weight: int, rate: float, burst: int) -> tuple[int, int]:
    """Takes `weight` from the pace: the new arrival time, and when the thing may start (`now` when at once)."""
    cost = _cost(weight, rate)
    new_tat = max(tat, now) + cost
    return new_tat, max(now, new_tat - max(_cost(burst, rate), cost))


def chunk_size(rate: float, batch: int, can_ask: bool) -> int:
    """How many messages are started together: a quarter of a second of work, few where a lost answer stays lost."""
    size = max(1, min(int(rate / 4), max(50, batch)))
    return size if can_ask else min(size, ASK_FIRST)
