"""How a file of people is read: what was said about it, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from campana.core.campaign import AudienceSpec

PHONE, EMAIL, FIELD, IGNORE = "phone", "email", "field", "ignore"


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What people say about a file; None is found out."""

    encoding: str | None = None
    separator: str | None = None
    header: bool | None = None
    sheet: str | None = None
    ignored: tuple[str, ...] = ()  # columns that are left away
    renamed: dict[str, str] = {}  # column of the file -> its name here


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the file is read then, with its first rows to show."""

    format: str
    header: tuple[str, ...]
    has_header: bool
    sample: tuple[tuple[str, ...], ...]
    encoding: str | None = None
    separator: str | None = None
    sheet: str | None = None
    other_sheets: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """Both, as the store keeps them."""

    told: Told = Told()
    found: Found | None = None


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt to read a file, as its job keeps it: the audience that it fills, and what was said."""

    audience: str  # hex id
    told: Told = Told()
    spec: dict[str, str | None] = {}
    found: Found | None = None


def mapped(
    told: Told, spec: AudienceSpec, header: Sequence[str], roles: Mapping[int, tuple[str, str]]
) -> tuple[Told, AudienceSpec]:
    """What is said once each column, by its place, has a role and a name."""
    ignored = tuple(name for at, name in enumerate(header) if roles.get(at, (FIELD, ""))[0] == IGNORE)
    renamed = {}
    places: dict[str, str | None] = {PHONE: None, EMAIL: None}
    for at, name in enumerate(header):
        role, asked = roles.get(at, (FIELD, name))
        called = asked.strip() or name
        if role == IGNORE:
            continue
        if called != name:
            renamed[name] = called
        if role in places:
            places[role] = called
    return replace(told, ignored=ignored, renamed=renamed), spec.model_copy(
        update={"phone": places[PHONE], "email": places[EMAIL]}
    )
