"""Identities: UUIDv7 as 16 bytes, so that ids sort by the time they were made and a range of ids is a range of time."""

from __future__ import annotations

import hashlib
import threading

import uuid_utils

Id = bytes  # 16 bytes; `hex()` of it is what vendors, URLs and people see


AHEAD = 4096 * 1000  # a second, in 1/4096 of a millisecond: this far ids of one moment may run ahead of the clock


class Order:
    """The order of the ids one process makes: those of one moment follow each other, and no two have the same first half."""

    def __init__(self) -> None:
        self.last = 0
        self._lock = threading.Lock()

    def place(self, now: int) -> int:
        """Milliseconds and their 4096ths, after all places before it."""
        asked = now * 4096 // 1000
        with self._lock:
            self.last = self.last + 1 if asked <= self.last < asked + AHEAD else asked
            return self.last


ORDER = Order()


def new_id(now: int) -> Id:
    """A fresh id made at `now` (UTC microseconds); what one process makes in one moment sorts in the order of its making."""
    millis, fraction = divmod(ORDER.place(now), 4096)
    return ((millis << 16) | 0x7000 | fraction).to_bytes(8, "big") + uuid_utils.uuid7().bytes[8:]


def first_id(at: int) -> Id:
    """No id made at `at` or later is below this one."""
    return (at // 1000 << 16).to_bytes(8, "big") + bytes(8)


def id_of(text: str) -> Id | None:
    """The id that `text` spells (32 hex digits), or None when it spells none."""
    if len(text) != 32:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def numbered_id(parent: Id, number: int) -> Id:
    """The id of a parent's `number`-th child: children of one parent lie side by side, and making one twice is the same one."""
    return parent[:8] + number.to_bytes(8, "big")


def derived_id(*parts: bytes | str) -> Id:
    """The same id for the same parts, so that doing a thing again finds what was made the first time."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        piece = part.encode() if isinstance(part, str) else part
        digest.update(len(piece).to_bytes(4, "big") + piece)
    return digest.digest()
