"""What goes over the wire, in both directions, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
class Answer:
    """What a webhook is answered."""

    code: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
