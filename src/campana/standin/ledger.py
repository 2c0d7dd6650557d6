"""What a stand-in has seen and done, line by line: the truth that a campaign is balanced against, and what it rebuilds from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

ACCEPTED, REFUSED, FAULT = "accepted", "refused", "fault"
DELIVERED, FAILED = "delivered", "failed"
INBOUND, STOP, START = "inbound", "stop", "start"
HOOK, NOTICE, TEMPLATE, FAULTS, SUBSCRIBED = "hook", "notice", "template", "faults", "subscribed"
FETCHED = "fetched"
OPENED, CLOSED = "opened", "closed"


class Step(NamedTuple):
    """One receipt of a message: a status, when after acceptance it comes about (microseconds), and whether it is told."""

    status: str
    after: int
    code: int = 0
    told: bool = True
    detail: int = 0  # the vendor's id of a status, where the code does not say it


class Line(msgspec.Struct, omit_defaults=True, rename={"sender": "from"}):
    """One thing that happened. Fields that mean nothing for its kind are left out."""

    kind: str
    at: int
    vendor: str = ""
    id: str = ""  # the vendor's
    to: str = ""  # the person, as +digits
    sender: str = ""
    ref: str = ""  # what the sender called it: biz_opaque_callback_data, messageId, or `m` of the StatusCallback
    hash: str = ""  # of the content
    text: str = ""
    call: int = -1  # which call for this person it was
    fault: str = ""
    code: int = 0
    plan: list[Step] = []
    input: str = ""  # the address as it was given
    url: str = ""  # where receipts go
    service: str = ""
    category: str = ""
    quotes: str = ""
    step: int = -1
    answer: int = 0  # what the webhook was answered; 0: nothing
    settled: bool = False  # it is not told again
    name: str = ""
    language: str = ""
    status: str = ""
    reason: str = ""
    body: dict[str, Any] | None = None


class Ledger(Protocol):
    """Takes lines. What is in it when `write` returns outlives a kill of the process."""

    def write(self, line: Line) -> None:
        """Adds one line."""
        ...


class LedgerFile:
    """A ledger in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        _cut_torn_line(self._file)
        self._encode = msgspec.json.Encoder().encode

    def write(self, line: Line) -> None:
        """Adds one line with one system call, so that a kill can tear at most the last one."""
        data = self._encode(line) + b"\n"
        if os.write(self._file, data) != len(data):
            raise OSError(f"{self.path} took only a part of a line. Free some disk and start the stand-in again.")

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._file)


class Notes:
    """A ledger in memory: rehearsals and tests."""

    def __init__(self, lines: list[Line] | None = None) -> None:
        self.lines = lines if lines is not None else []

    def write(self, line: Line) -> None:
        """Adds one line."""
        self.lines.append(line)


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a ledger file, one at a time. A torn last line never happened: its answer had not left."""
    decode = msgspec.json.Decoder(Line).decode
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decode(line)
            except msgspec.DecodeError as error:
                raise ValueError(f"{path} is damaged at line {number}: {error}. Give the stand-in a new ledger file.") from error


def _cut_torn_line(file: int) -> None:
    """Takes off what follows the last newline, so that the next line starts on its own."""
    size = end = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - 65536)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end != size:
        os.ftruncate(file, end)
