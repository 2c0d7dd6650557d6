"""The figures of an audience after some of its rows changed: the old ones, less what the rows were, and what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from msgspec.structs import replace

from campana.core.audience import DROPPED, DUPLICATE, Summary, refusal
from campana.core.campaign import AudienceSpec


class Facts(Protocol):
    """What a row counts for."""

    @property
    def phone(self) -> str | None: ...
    @property
    def email(self) -> str | None: ...
    @property
    def left_out(self) -> str | None: ...
    @property
    def flag(self) -> str | None: ...


EMPTY = Summary(0, 0, 0, 0, 0, 0, {}, (), None)


def moved(summary: Summary, spec: AudienceSpec, before: Iterable[Facts], after: Iterable[Facts], by_hand: int = 0) -> Summary:
    """The figures once the rows `before` have become the rows `after`; `by_hand` of them were changed by people."""
    rows = phones = emails = 0
    left_out, warned = Counter(summary.left_out), Counter(summary.warned)
    for sign, some in ((-1, before), (1, after)):
        for row in some:
            rows += sign
            if row.left_out is not None:
                left_out[row.left_out] += sign
                continue
            phones += sign * (row.phone is not None)
            emails += sign * (row.email is not None)
            if row.flag is not None:
                warned[row.flag] += sign
    left_out, warned = +left_out, +warned  # without those of whom nobody is left
    total = summary.rows + rows
    return replace(
        summary,
        rows=total,
        offered=total - left_out.total(),
        phones=summary.phones + phones,
        emails=summary.emails + emails,
        duplicates=left_out[DUPLICATE],
        warnings=warned.total(),
        left_out=dict(left_out.most_common()),
        warned=dict(warned.most_common()),
        refusal=refusal(spec, total, left_out),
        changed=summary.changed + by_hand,
    )


def open_problems(summary: Summary, spec: AudienceSpec) -> int:
    """Rows that must be fixed or dropped before anything is launched (contract 95)."""
    left = {reason: n for reason, n in summary.left_out.items() if reason != DROPPED}
    if spec.duplicates == "first":
        left.pop(DUPLICATE, None)
    return sum(left.values())
