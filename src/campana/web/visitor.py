"""Whoever asks: the user of a request, in the workspace they look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Request

from campana.core.access import Permission, Role, may
from campana.core.ids import Id
from campana.store.workspaces import Stop


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in user. `language` is None when the browser decides."""

    user_id: Id
    email: str
    name: str
    role: Role
    workspace_id: Id
    workspace: str
    zone: str  # in which the workspace's times are shown
    session_id: Id
    language: str | None = None
    workspaces: tuple[tuple[Id, str], ...] = ()  # all they belong to, with their names
    stop: Stop | None = None  # while nothing of the workspace goes out

    @classmethod
    def of(cls, request: Request[Any, Any, Any]) -> Visitor:
        """The visitor of a request that passed its guard."""
        visitor: Visitor = request.user
        return visitor

    @classmethod
    def or_none(cls, request: Request[Any, Any, Any]) -> Visitor | None:
        """The visitor of a page for everybody, or of an error's; None when nobody is signed in."""
        found = request.scope.get("user")
        return found if isinstance(found, Visitor) else None

    def may(self, needed: Permission) -> bool:
        """Whether their role allows it; pages leave out what it does not."""
        return may(self.role, needed)
