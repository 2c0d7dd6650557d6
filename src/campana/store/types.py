"""Column types that are the same on every database we run on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import UserDefinedType

Micros = BigInteger  # UTC microseconds
Count = BigInteger
BySigns = Text().with_variant(Text(collation="C"), "postgresql")  # compared sign by sign, whatever language the server sorts in
RowNumber = BigInteger().with_variant(Integer, "sqlite")


class IdType(UserDefinedType[bytes]):
    """A 16-byte id. No conversion in either direction: the drivers hand bytes through."""

    cache_ok = True


class Packed(UserDefinedType[bytes]):
    """Bytes of our own making: ids of a unit one after the other, JSON as encoded."""

    cache_ok = True


@compiles(IdType, "sqlite")
@compiles(Packed, "sqlite")
def _blob(*_: Any, **__: Any) -> str:
    return "BLOB"


@compiles(IdType, "postgresql")
@compiles(Packed, "postgresql")
def _bytea(*_: Any, **__: Any) -> str:
    return "BYTEA"
