"""What goes over the wire, in both directions, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from campana.core.ids import Id


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to a vendor."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # credentials travel here, and stay out of logs
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer. Header names are lower case."""

    code: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as it arrived: bytes stay bytes. `url` is the public one, rebuilt from configuration, query included."""

    method: str
    url: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    at: int  # UTC microseconds of arrival


@dataclass(frozen=True, slots=True)
class HookRow:
    """A verified webhook as it is kept until the worker has understood it."""

    id: Id
    integration: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    at: int


def packed(row: HookRow) -> bytes:
    """A webhook as it travels between processes."""
    return msgspec.msgpack.encode(row)


def unpacked(body: bytes) -> HookRow:
    """The webhook of a `packed` one; raises ValueError for anything else."""
    return msgspec.msgpack.decode(body, type=HookRow)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook is answered."""

    code: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
