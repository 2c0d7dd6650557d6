"""Addresses that work once: for the first owner, an invitation, a new password, a second factor that is still asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from campana.core.access import Role, email_key
from campana.core.durations import DAY, HOUR, MINUTE
from campana.core.ids import Id, new_id
from campana.store.dialect import counted
from campana.store.schema import link


class Kind(StrEnum):
    """What a link is for."""

    OWNER = "owner"  # the first account; or, with a user, one that signs in
    INVITATION = "invitation"
    RESET = "reset"  # a new password
    CODE = "code"  # the password was right, the code is asked for


LASTS = {Kind.OWNER: DAY, Kind.INVITATION: 7 * DAY, Kind.RESET: DAY, Kind.CODE: 10 * MINUTE}
ASKED_FOR = HOUR  # a link that anybody may have mailed to somebody


@dataclass(frozen=True, slots=True)
class Link:
    """One link that still works."""

    id: Id
    kind: Kind
    workspace_id: Id | None
    user_id: Id | None
    email: str
    role: Role | None
    made_by: Id | None
    created_at: int
    expires_at: int


def make(
    c: Connection,
    kind: Kind,
    token_hash: bytes,
    now: int,
    workspace_id: Id | None = None,
    user_id: Id | None = None,
    email: str = "",
    role: Role | None = None,
    made_by: Id | None = None,
    lasts: int | None = None,
) -> Id:
    """The link works from now on, once."""
    made = new_id(now)
    row: dict[str, Any] = {"id": made, "token_hash": token_hash, "kind": kind, "workspace_id": workspace_id, "user_id": user_id}
    row |= {"email": email.strip(), "role": role, "made_by": made_by, "created_at": now}
    c.execute(insert(link).values({**row, "expires_at": now + (lasts or LASTS[kind])}))
    return made


_c = link.c
_COLUMNS = (_c.id, _c.kind, _c.workspace_id, _c.user_id, _c.email, _c.role, _c.made_by, _c.created_at, _c.expires_at)


def _link(row: Any) -> Link:
    role = Role(row.role) if row.role else None
    return Link(row.id, Kind(row.kind), row.workspace_id, row.user_id, row.email, role, *row[6:])


def find(c: Connection, token_hash: bytes, now: int) -> Link | None:
    """The link of that token, if it still works."""
    row = c.execute(select(*_COLUMNS).where(_c.token_hash == token_hash, _c.used_at.is_(None), _c.expires_at > now)).first()
    return _link(row) if row else None


def use(c: Connection, link_id: Id, now: int) -> bool:
    """The link works no more. False when somebody used it before."""
    return counted(c, update(link).where(_c.id == link_id, _c.used_at.is_(None)).values(used_at=now)) == 1


def invitations(c: Connection, workspace_id: Id, now: int) -> list[Link]:
    """Who is invited to a workspace and has not come yet, the newest first."""
    open_ones = (_c.workspace_id == workspace_id, _c.kind == Kind.INVITATION, _c.used_at.is_(None), _c.expires_at > now)
    rows = c.execute(select(*_COLUMNS).where(*open_ones).order_by(_c.id.desc()))
    return [_link(row) for row in rows]


def invited(c: Connection, email: str, now: int) -> list[Link]:
    """The invitations to an address that still work, to any workspace."""
    open_ones = (_c.kind == Kind.INVITATION, _c.used_at.is_(None), _c.expires_at > now)
    rows = c.execute(select(*_COLUMNS).where(*open_ones).order_by(_c.id))
    return [_link(row) for row in rows if email_key(row.email) == email_key(email)]


def revoke(c: Connection, workspace_id: Id, link_id: Id) -> Link | None:
    """An invitation of the workspace works no more; returns what it was."""
    found = next((one for one in invitations(c, workspace_id, 0) if one.id == link_id), None)
    if found is not None:
        c.execute(delete(link).where(_c.id == link_id))
    return found


def revoke_of(c: Connection, workspace_id: Id, made_by: Id) -> None:
    """The invitations that somebody made work no more: they may give what they gave no longer."""
    c.execute(delete(link).where(_c.workspace_id == workspace_id, _c.made_by == made_by, _c.kind == Kind.INVITATION))


def void(c: Connection, user_id: Id) -> None:
    """No link that opens an account works any more: its password was changed."""
    c.execute(delete(link).where(_c.user_id == user_id, _c.kind != Kind.INVITATION))


def tidy(c: Connection, now: int) -> None:
    """Links that work no more are gone."""
    c.execute(delete(link).where(_c.expires_at <= now))
