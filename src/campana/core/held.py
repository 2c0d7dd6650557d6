"""Why people of a run wait, as codes that each reader is told in their language. English is for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

HOURS_WORDS = "active hours"
LIMIT_WORDS = "today's limit of the sender is used up"
ACCOUNT_WORDS = "the credentials of its integration are not known"


class Why(StrEnum):
    """What holds people back."""

    GONE = "gone"  # the sender is not in the settings any more
    OFF = "off"  # its integration was turned off, or the sender was removed
    PAUSED = "paused"  # the sender, until a person resumes it: `words` say why
    SLOW = "slow"  # the sender has a trouble, and goes on trying
    HOURS = "hours"
    LIMIT = "limit"
    ACCOUNT = "account"
    STEP = "step"  # the text or template of a step: `words` say why


BY_WORDS = {HOURS_WORDS: Why.HOURS, LIMIT_WORDS: Why.LIMIT, ACCOUNT_WORDS: Why.ACCOUNT}


@dataclass(frozen=True, slots=True)
class Held:
    """One reason to wait. `until` is a moment in UTC microseconds; None: until a person sees to it, or nobody knows."""

    why: Why
    sender: str
    words: str = ""
    until: int | None = None
    channel: str = ""  # its kind
    integration: str = ""  # hex id

    def __str__(self) -> str:
        if self.why is Why.GONE:
            return f"the sender {self.sender} is not in the settings any more"
        if self.why is Why.OFF:
            return f"the sender {self.sender} is off: its integration was turned off, or the sender was removed"
        if self.until is None:
            return f"{self.sender}: {self.words}"
        return f"{self.sender}: held until {datetime.fromtimestamp(self.until / 1_000_000, UTC):%Y-%m-%d %H:%M} UTC: {self.words}"
