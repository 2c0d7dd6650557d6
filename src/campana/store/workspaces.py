"""Workspaces and who is what in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from campana.core.access import Role
from campana.core.ids import Id, new_id
from campana.store.dialect import counted, in_turn, locked, upsert
from campana.store.schema import membership, user, workspace


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tenant. `hours` is JSON of core.campaign.Hours, or None."""

    id: Id
    name: str
    zone: str
    hours: str | None
    email_alpha: bool


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a workspace."""

    user_id: Id
    email: str
    name: str
    role: Role
    second_factor: bool
    since: int


@dataclass(frozen=True, slots=True)
class Known:
    """An account, and where it belongs, in words."""

    email: str
    name: str
    places: str
    second_factor: bool


class LastOwner(Exception):
    """A workspace keeps at least one owner. Make somebody else an owner first."""


def create(c: Connection, name: str, zone: str, now: int) -> Id | None:
    """A new workspace; None when the name is taken."""
    made = new_id(now)
    row = {"id": made, "name": name.strip(), "zone": zone, "created_at": now}
    return made if counted(c, upsert(c, workspace).values(row).on_conflict_do_nothing()) else None


def get(c: Connection, workspace_id: Id) -> Workspace:
    """The workspace of that id."""
    w = workspace.c
    row = c.execute(select(w.id, w.name, w.zone, w.hours, w.email_alpha).where(w.id == workspace_id)).one()
    return Workspace(*row)


@dataclass(frozen=True, slots=True)
class Stop:
    """Since when nothing goes out, and who stopped it."""

    at: int
    who: str


def stop_of(c: Connection, workspace_id: Id) -> Stop | None:
    """The emergency stop of a workspace, while it holds."""
    w = workspace.c
    row = c.execute(select(w.stopped_at, w.stopped_by).where(w.id == workspace_id, w.stopped_at.is_not(None))).first()
    return Stop(row.stopped_at, row.stopped_by or "") if row else None


def stopped(c: Connection, workspace_id: Id) -> bool:
    """Whether everything is stopped; until the transaction ends nobody stops it: what begins meanwhile is seen by the stop."""
    found = locked(select(workspace.c.stopped_at).where(workspace.c.id == workspace_id), workspace)
    return c.scalar(found) is not None


def stop(c: Connection, workspace_id: Id, who: str, now: int) -> None:
    """Everything of the workspace is stopped; who did it first stays known."""
    w = workspace.c
    first = {"stopped_at": func.coalesce(w.stopped_at, now), "stopped_by": func.coalesce(w.stopped_by, who)}
    c.execute(update(workspace).where(w.id == workspace_id).values(**first))


def lift_stop(c: Connection, workspace_id: Id) -> None:
    """The workspace sends again."""
    c.execute(update(workspace).where(workspace.c.id == workspace_id).values(stopped_at=None, stopped_by=None))


def change(c: Connection, workspace_id: Id, name: str, zone: str, hours: str | None, email_alpha: bool) -> bool:
    """The workspace's settings are these; False when another one has the name."""
    taken = select(workspace.c.id).where(workspace.c.name == name.strip(), workspace.c.id != workspace_id)
    if c.execute(taken).first():
        return False
    values = {"name": name.strip(), "zone": zone, "hours": hours, "email_alpha": email_alpha}
    c.execute(update(workspace).where(workspace.c.id == workspace_id).values(**values))
    return True


def join(c: Connection, workspace_id: Id, user_id: Id, role: Role, now: int) -> bool:
    """Somebody belongs to the workspace; False when they did already, and keep the role they have."""
    row = {"workspace_id": workspace_id, "user_id": user_id, "role": role, "created_at": now}
    return counted(c, upsert(c, membership).values(row).on_conflict_do_nothing()) == 1


def members(c: Connection, workspace_id: Id) -> list[Member]:
    """Everybody of a workspace, by name."""
    m, u = membership.c, user.c
    rows = c.execute(
        select(u.id, u.email, u.name, m.role, u.totp.is_not(None), m.created_at)
        .join(user, u.id == m.user_id)
        .where(m.workspace_id == workspace_id)
        .order_by(u.name, u.email_key)
    )
    return [Member(row[0], row[1], row[2], Role(row[3]), bool(row[4]), row[5]) for row in rows]


def of_user(c: Connection, user_id: Id) -> Sequence[tuple[Id, str, Role]]:
    """The workspaces somebody belongs to, by name, and what they are there."""
    m, w = membership.c, workspace.c
    found = select(w.id, w.name, m.role).join(workspace, w.id == m.workspace_id).where(m.user_id == user_id)
    return [(row.id, row.name, Role(row.role)) for row in c.execute(found.order_by(w.name))]


def role_of(c: Connection, workspace_id: Id, user_id: Id) -> Role | None:
    """What somebody is in a workspace; None for a stranger."""
    m = membership.c
    found = c.scalar(select(m.role).where(m.workspace_id == workspace_id, m.user_id == user_id))
    return Role(found) if found else None


def set_role(c: Connection, workspace_id: Id, user_id: Id, role: Role) -> None:
    """Somebody is that from now on. Raises LastOwner when nobody would own the workspace."""
    if role is not Role.OWNER:
        _keep_an_owner(c, workspace_id, user_id)
    m = membership.c
    c.execute(update(membership).where(m.workspace_id == workspace_id, m.user_id == user_id).values(role=role))


def leave(c: Connection, workspace_id: Id, user_id: Id) -> None:
    """Somebody belongs to the workspace no more. Raises LastOwner when nobody would own it."""
    _keep_an_owner(c, workspace_id, user_id)
    m = membership.c
    c.execute(delete(membership).where(m.workspace_id == workspace_id, m.user_id == user_id))


def _keep_an_owner(c: Connection, workspace_id: Id, user_id: Id) -> None:
    in_turn(c, f"owners {workspace_id.hex()}")  # two owners who unmake each other at once
    m = membership.c
    owners = c.scalars(select(m.user_id).where(m.workspace_id == workspace_id, m.role == Role.OWNER)).all()
    if list(owners) == [user_id]:
        raise LastOwner


def everybody(c: Connection) -> list[Known]:
    """All accounts of the installation, by e-mail address."""
    u = user.c
    rows = c.execute(select(u.id, u.email, u.name, u.totp.is_not(None)).order_by(u.email_key)).all()
    places = {row[0]: ", ".join(f"{name} ({role})" for _, name, role in of_user(c, row[0])) for row in rows}
    return [Known(row[1], row[2], places[row[0]], bool(row[3])) for row in rows]
