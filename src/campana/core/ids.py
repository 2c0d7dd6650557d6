"""Identities: UUIDv7 as 16 bytes, so that ids sort by the time they were made and a range of ids is a range of time."""

from __future__ import annotations

import hashlib

import uuid_utils

Id = bytes  # 16 bytes; `hex()` of it is what vendors, URLs and people see


def new_id(now: int) -> Id:
    """A fresh id made at `now` (UTC microseconds)."""
    return uuid_utils.uuid7(nanoseconds=now * 1000).bytes


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
