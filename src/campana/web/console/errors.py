"""Error codes: what each code of a vendor means, why it comes, what to do, and what the campaign does then."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from campana.channels.advice import Advice
from campana.core.access import Permission
from campana.web.console.page import AnyRequest, Desk, Face, draw, language_of, preference

HOME = "/help/errors"
A_CODE = re.compile(r"[\w.-]{1,40}", re.ASCII)


def plain(text: str) -> str:
    """The text as it is searched: without case and accents, so that `numero` finds `Número`."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in apart if not unicodedata.combining(sign))


def looked_up(channels: Mapping[str, Face], language: str, kind: str, text: str) -> list[tuple[str, Sequence[Advice]]]:
    """The advice of each channel, or of one, in which all words of the search stand; channels without any are left out."""
    words = plain(text).split()
    found: list[tuple[str, Sequence[Advice]]] = []
    for name, face in channels.items():
        if kind and name != kind:
            continue
        told = [face.errors.advice(code, language) for code in face.errors.codes()]
        fit = [one for one in told if all(word in plain(one.text) for word in words)]
        found += [(name, fit)] if fit else []
    return found


@get(HOME, needs=Permission.VIEW, include_in_schema=False)
async def error_codes(request: AnyRequest) -> Response[Any]:
    """All codes of all channels; a search and a channel narrow them down."""
    if answer := preference(request):
        return answer
    channels, asked = Desk.of(request).console.channels, request.query_params
    kind, text = asked.get("channel", ""), asked.get("q", "").strip()[:100]
    listed = [name for name, face in channels.items() if any(True for _ in face.errors.codes())]
    kind = kind if kind in listed else ""
    return draw(
        request,
        "error_codes.html",
        found=looked_up(channels, language_of(request), kind, text),
        listed=listed,
        kind=kind,
        text=text,
    )


@get(f"{HOME}/{{channel:str}}/{{code:str}}", needs=Permission.VIEW, include_in_schema=False)
async def error_code(request: AnyRequest, channel: FromPath[str], code: FromPath[str]) -> Response[Any]:
    """One code. Of one that nobody knows, what can be said in general."""
    if answer := preference(request):
        return answer
    face = Desk.of(request).console.channels.get(channel)
    if face is None or not A_CODE.fullmatch(code):
        raise NotFoundException
    return draw(request, "error_code.html", a=face.errors.advice(code, language_of(request)), kind=channel)
