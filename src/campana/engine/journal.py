"""A worker's journal: the id of each message, written at the moment its call begins.

It is a hint that may only help: whoever recovers a unit and can read the journal of its token takes what is not in it as surely
not sent. It is believed of a process that is gone, never of one that lives, for that one may be about to call; the system says
which, by the lock that a process holds on its journal. A journal written before the machine last started is not believed
either, for a power cut may have taken its end.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path

from campana.core.ids import Id

NAME = 8  # bytes of a token that name its journal
HEAD = 64  # bytes: which start of the machine it belongs to
ROOM = 1 << 18  # a ring: the oldest give way
SIZE = HEAD + 16 * ROOM
NEAR_MILLIS = 60_000  # so far ids and the beginnings of their calls may be out of order
KEPT_SECONDS = 86_400  # a journal that nobody holds any more: all its units were recovered long ago
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> bytes:
    """Names the time since the machine started; empty where the system does not tell."""
    try:
        return BOOT_ID.read_bytes().strip()
    except OSError:
        return b""


@dataclass(frozen=True, slots=True)
class Pages:
    """What a journal holds."""

    ids: frozenset[bytes]
    complete_from: int  # what was made earlier may have given way; milliseconds since 1970


def _millis(message_id: Id) -> int:
    return int.from_bytes(message_id[:6], "big")


class Journal:
    """The journal of one process, in a folder shared with all others of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.name = os.urandom(NAME)
        self.tokens = 0
        self.written = 0
        self._read: dict[bytes, Pages] = {}  # of processes that are gone
        self._file = os.open(self._path(self.name), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.posix_fallocate(self._file, 0, SIZE)  # writing to the map cannot find the disk full later
        os.pwrite(self._file, boot_id().ljust(HEAD, b"\n")[:HEAD], 0)
        self._map = mmap.mmap(self._file, SIZE)

    def _path(self, name: bytes) -> Path:
        return self.folder / f"{name.hex()}.journal"

    def new_token(self) -> Id:
        """A token that nobody else has, and that leads to this journal."""
        self.tokens += 1
        return self.name + self.tokens.to_bytes(16 - NAME, "big")

    def begins(self, message_id: Id) -> None:
        """The call of that message begins now. It is the system's when this returns, whatever becomes of the process."""
        at = HEAD + self.written % ROOM * 16
        self._map[at : at + 16] = message_id
        self.written += 1

    def has(self, token: Id, message_id: Id) -> bool | None:
        """Whether the call of that message had begun; None when the token's journal cannot be read or believed."""
        name = token[:NAME]
        if name == self.name:
            return None
        pages = self._read.get(name) or self._pages(name)
        if pages is None:
            return None  # its process may end later
        self._read[name] = pages
        if message_id in pages.ids:
            return True
        return False if _millis(message_id) >= pages.complete_from else None

    def _pages(self, name: bytes) -> Pages | None:
        try:
            with self._path(name).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                said = file.read(HEAD).rstrip(b"\n")
                if not said or said != boot_id():
                    return None
                ids = file.read()
        except OSError:  # there is none, or its process lives
            return None
        written = [ids[at : at + 16] for at in range(0, len(ids), 16) if ids[at] or ids[at + 1]]
        full = len(written) == ROOM
        return Pages(frozenset(written), min(map(_millis, written)) + NEAR_MILLIS if full else 0)

    def forget_others(self, everything: bool = False) -> None:
        """Removes journals that nobody will ask for: those of long ago, or (in the only process there is, when all units are
        recovered) all but our own."""
        self._read.clear()
        old = time.time() - KEPT_SECONDS
        for path in self.folder.glob("*.journal"):
            if path != self._path(self.name) and (everything or _given_up(path, old)):
                path.unlink(missing_ok=True)

    def close(self, forget: bool = True) -> None:
        """Nothing more begins. When units of ours are left to recover, the journal stays for whoever does it."""
        if forget:
            self._path(self.name).unlink(missing_ok=True)
        self._map.close()
        os.close(self._file)


def _given_up(path: Path, old: float) -> bool:
    """Whether the process of a journal has been gone for long."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mtime > old:
                return False
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except OSError:
        return False
