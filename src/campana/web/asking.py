"""A request whose texts every database can hold: PostgreSQL keeps no NUL in a text, and no half of a surrogate pair."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request
from litestar.datastructures import FormMultiDict, MultiDict, UploadFile

NUL = "\x00"
HALF = re.compile("[\ud800-\udfff]")  # of a pair: an encoding that a form names can write one
UNKNOWN = "\ufffd"


def holdable(text: str) -> str:
    """The text without NULs, and with a mark in place of what is no sign."""
    return HALF.sub(UNKNOWN, text.replace(NUL, ""))


def _held(value: Any) -> Any:
    if isinstance(value, str):
        return holdable(value)
    if isinstance(value, UploadFile):
        value.filename = holdable(value.filename)
    return value


class PlainRequest(Request[Any, Any, Any]):
    """What pages are asked by. Whatever reads a form or an address's query gets texts that can be kept."""

    async def form(self) -> FormMultiDict:
        """The form, its names and texts as they can be kept."""
        found = await super().form()
        return FormMultiDict([(holdable(name), _held(value)) for name, value in found.multi_items()])

    @property
    def query_params(self) -> MultiDict[Any]:
        """The query of the address, as it can be kept."""
        return MultiDict([(holdable(name), _held(value)) for name, value in super().query_params.multi_items()])
