"""Who is signed in, where. A session is found by the hash of its token; the token itself is the browser's alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from campana.core.access import Role, expiry
from campana.core.ids import Id, new_id
from campana.store.schema import membership, session, user, workspace


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The user of a session, and the workspace they look at."""

    session_id: Id
    user_id: Id
    email: str
    name: str
    language: str | None
    workspace_id: Id
    workspace: str
    zone: str
    role: Role
    begun: int
    seen_at: int
    workspaces: tuple[tuple[Id, str], ...]  # all of the user, by name
    stopped_at: int | None = None  # since when nothing of the workspace goes out
    stopped_by: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its user sees it."""

    id: Id
    agent: str
    address: str
    created_at: int
    seen_at: int


def begin(c: Connection, token_hash: bytes, user_id: Id, workspace_id: Id | None, agent: str, address: str, now: int) -> Id:
    """The user is signed in; the id is what the session is revoked by."""
    made = new_id(now)
    row: dict[str, Any] = {
        "id": made,
        "token_hash": token_hash,
        "user_id": user_id,
        "workspace_id": workspace_id,
        "agent": agent[:300],
    }
    row |= {"address": address, "created_at": now, "seen_at": now, "expires_at": expiry(now, now)}
    c.execute(insert(session).values(row))
    return made


def find(c: Connection, token_hash: bytes, now: int) -> SignedIn | None:
    """Who the session is; None when it is over, or its user belongs to no workspace any more.

    Somebody who left the workspace they looked at sees another of theirs.
    """
    s, u, m, w = session.c, user.c, membership.c, workspace.c
    rows: Sequence[Any] = c.execute(
        select(
            s.id.label("session_id"),
            u.id.label("user_id"),
            u.email,
            u.name,
            u.language,
            w.id.label("workspace_id"),
            w.name.label("workspace"),
            w.zone,
            w.stopped_at,
            w.stopped_by,
            m.role,
            s.created_at.label("begun"),
            s.seen_at,
        )
        .select_from(session)
        .join(user, u.id == s.user_id)
        .join(membership, m.user_id == u.id)
        .join(workspace, w.id == m.workspace_id)
        .where(s.token_hash == token_hash, s.expires_at > now, u.disabled_at.is_(None))
        .order_by((m.workspace_id == s.workspace_id).is_(True).desc(), m.created_at)
    ).all()
    if not rows:
        return None
    known = sorted(((row.workspace_id, row.workspace) for row in rows), key=lambda pair: pair[1].casefold())
    return SignedIn(**{**rows[0]._mapping, "role": Role(rows[0].role), "workspaces": tuple(known)})


def used(c: Connection, session_id: Id, begun: int, now: int) -> None:
    """The session was used now, and so ends later."""
    c.execute(update(session).where(session.c.id == session_id).values(seen_at=now, expires_at=expiry(begun, now)))


def last_workspace(c: Connection, user_id: Id) -> Id | None:
    """The workspace that somebody looked at last."""
    s = session.c
    seen = select(s.workspace_id).where(s.user_id == user_id, s.workspace_id.is_not(None)).order_by(s.seen_at.desc()).limit(1)
    return c.scalar(seen)


def look_at(c: Connection, session_id: Id, workspace_id: Id) -> None:
    """The session shows that workspace from now on."""
    c.execute(update(session).where(session.c.id == session_id).values(workspace_id=workspace_id))


def of_user(c: Connection, user_id: Id, now: int) -> list[Session]:
    """The open sessions of a user, the one used last first."""
    s = session.c
    found = select(s.id, s.agent, s.address, s.created_at, s.seen_at).where(s.user_id == user_id, s.expires_at > now)
    return [Session(*row) for row in c.execute(found.order_by(s.seen_at.desc()))]


def end(c: Connection, user_id: Id, session_id: Id) -> None:
    """One session of a user is over."""
    c.execute(delete(session).where(session.c.id == session_id, session.c.user_id == user_id))


def end_all(c: Connection, user_id: Id, but: Id | None = None) -> None:
    """Every session of a user is over, but for one that may be named."""
    others = session.c.id != but if but else session.c.id.is_not(None)
    c.execute(delete(session).where(session.c.user_id == user_id, others))


def tidy(c: Connection, now: int) -> None:
    """Sessions that are over are gone."""
    c.execute(delete(session).where(session.c.expires_at <= now))
