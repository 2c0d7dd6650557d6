"""Views of pages that people keep: the query of an address under a name, shared by everybody of a workspace."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from campana.core.ids import Id, new_id
from campana.store.dialect import counted, in_turn, upsert
from campana.store.schema import saved_view

MOST = 100  # of one page


class TooMany(Exception):
    """A page has as many saved views as it may have. Delete one that nobody needs any more."""


class NameTaken(Exception):
    """Another view of the page has the name."""


@dataclass(frozen=True, slots=True)
class View:
    """One of them."""

    id: Id
    page: str
    name: str
    query: str


V = saved_view.c
VIEW = select(V.id, V.page, V.name, V.query)


def of_page(c: Connection, workspace_id: Id, page: str) -> list[View]:
    """Those of a page, by name."""
    rows = c.execute(VIEW.where(V.workspace_id == workspace_id, V.page == page).order_by(func.lower(V.name), V.id).limit(MOST))
    return [View(*row) for row in rows]


def get(c: Connection, workspace_id: Id, view_id: Id) -> View | None:
    """One view of the workspace."""
    row = c.execute(VIEW.where(V.id == view_id, V.workspace_id == workspace_id)).first()
    return View(*row) if row else None


def add(c: Connection, workspace_id: Id, page: str, name: str, query: str, owner_id: Id | None, now: int) -> Id:
    """A new view. Raises NameTaken, TooMany."""
    in_turn(c, "saved views")
    if len(of_page(c, workspace_id, page)) >= MOST:
        raise TooMany
    view_id = new_id(now)
    row = {"id": view_id, "workspace_id": workspace_id, "page": page, "name": name, "query": query}
    made = upsert(c, saved_view).values(**row, owner_id=owner_id, created_at=now).on_conflict_do_nothing()
    if not counted(c, made):
        raise NameTaken
    return view_id


def rename(c: Connection, view: View, workspace_id: Id, name: str) -> None:
    """The view has another name. Raises NameTaken."""
    in_turn(c, "saved views")
    same = (V.workspace_id == workspace_id, V.page == view.page, V.name == name, V.id != view.id)
    if c.scalar(select(V.id).where(*same)) is not None:
        raise NameTaken
    c.execute(update(saved_view).where(V.id == view.id).values(name=name))


def remove(c: Connection, view: View) -> None:
    """The view is gone."""
    c.execute(delete(saved_view).where(V.id == view.id))
