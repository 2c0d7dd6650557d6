"""A worker's journal: the id of each message, written at the moment its call begins.

It is a hint that may only help: whoever recovers a unit and can read the journal of its token takes what is not in it as surely
not sent. A journal written before the machine last started is not believed, for a power cut may have taken its end.
"""

from __future__ import annotations

import os
from pathlib import Path

from campana.core.ids import Id

NAME = 8  # bytes of a token that name its journal
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> bytes:
    """Names the time since the machine started; empty where the system does not tell."""
    try:
        return BOOT_ID.read_bytes().strip()
    except OSError:
        return b""


class Journal:
    """The journal of one process, in a folder shared with those before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.name = os.urandom(NAME)
        self.tokens = 0
        self._read: dict[bytes, frozenset[bytes] | None] = {}  # of processes that are gone
        self._file = os.open(self._path(self.name), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.write(self._file, boot_id() + b"\n")

    def _path(self, name: bytes) -> Path:
        return self.folder / f"{name.hex()}.journal"

    def new_token(self) -> Id:
        """A token that nobody else has, and that leads to this journal."""
        self.tokens += 1
        return self.name + self.tokens.to_bytes(16 - NAME, "big")

    def begins(self, message_id: Id) -> None:
        """The call of that message begins now."""
        if os.write(self._file, message_id) != len(message_id):
            raise OSError("The journal could not be written. Free some space on the disk of the data folder.")

    def has(self, token: Id, message_id: Id) -> bool | None:
        """Whether the call of that message had begun; None when the token's journal cannot be read or believed.

        Of a process that lives, "not yet begun" proves nothing: its own journal is not asked.
        """
        name = token[:NAME]
        if name == self.name:
            return None
        if name not in self._read:
            self._read[name] = self._ids(name)
        ids = self._read[name]
        return None if ids is None else message_id in ids

    def _ids(self, name: bytes) -> frozenset[bytes] | None:
        try:
            said, _, ids = self._path(name).read_bytes().partition(b"\n")
        except OSError:
            return None
        if not said or said != boot_id():
            return None
        return frozenset(ids[at : at + 16] for at in range(0, len(ids), 16))

    def forget_others(self) -> None:
        """Removes the journals of processes before this one; for when all their units are recovered."""
        self._read.clear()
        for path in self.folder.glob("*.journal"):
            if path != self._path(self.name):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing more begins, and nothing is left to recover."""
        os.close(self._file)
        self._path(self.name).unlink(missing_ok=True)
