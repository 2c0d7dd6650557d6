"""Views that people keep: a page with its filters, under a name, for everybody of the workspace.

A page takes part by its name in PAGES and the macro of `_views.html`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.core.ids import id_of
from campana.store import saved_views
from campana.store.saved_views import NameTaken, TooMany, View
from campana.web.access import noting
from campana.web.console.page import AnyRequest, Desk, draw, preference, typed
from campana.web.visitor import Visitor

HERE = "/views"
PAGES = {"reports": "/reports", "messages": "/messages", "campaigns": "/campaigns"}
LONGEST_NAME, LONGEST_QUERY = 80, 2000


def _query(text: str) -> str:
    """The query of an address as we write it ourselves."""
    return urlencode(parse_qsl(text[:LONGEST_QUERY].lstrip("?")))


async def _page(
    request: AnyRequest, page: str, given: dict[str, str], errors: dict[str, str] | None = None, said: str = ""
) -> Response[Any]:
    if page not in PAGES:
        raise NotFoundException
    views = await Desk.of(request).console.read(saved_views.of_page, Visitor.of(request).workspace_id, page)
    return draw(
        request,
        "views.html",
        status=422 if errors else 200,
        page=page,
        path=PAGES[page],
        views=views,
        given=given,
        errors=errors or {},
        said=said,
        ask=request.query_params.get("ask", ""),
        longest=LONGEST_NAME,
    )


@get(HERE, needs=Permission.EDIT, include_in_schema=False)
async def views_page(request: AnyRequest) -> Response[Any]:
    """The views of a page, and the form that keeps what it shows now."""
    if answer := preference(request):
        return answer
    asked = request.query_params
    return await _page(
        request, asked.get("page", "reports"), {"query": _query(asked.get("query", ""))}, said=asked.get("said", "")
    )


def _wrong(name: str) -> str:
    """The word for what is wrong with a name."""
    return "" if 0 < len(name) <= LONGEST_NAME else "long" if name else "empty"


@post(HERE, needs=Permission.EDIT, include_in_schema=False)
async def keep_view(request: AnyRequest) -> Response[Any]:
    """Keeps a view under a name, and leads to it."""
    console, visitor, given = Desk.of(request).console, Visitor.of(request), await typed(request)
    page, name, query = given.get("page", ""), " ".join(given.get("name", "").split()), _query(given.get("query", ""))
    if page not in PAGES:
        raise NotFoundException
    wrong = _wrong(name)

    def add(c: Connection) -> None:
        view_id = saved_views.add(c, visitor.workspace_id, page, name, query, visitor.user_id, console.clock.now())
        noting(request, "view.kept", name, view_id)(c)

    try:
        if not wrong:
            await console.write(add)
    except NameTaken:
        wrong = "taken"
    except TooMany:
        wrong = "many"
    if wrong:
        return await _page(request, page, {**given, "query": query}, {"name": wrong})
    return Redirect(f"{PAGES[page]}?{query}", status_code=303)


async def _known(request: AnyRequest, view: str) -> View:
    found = await Desk.of(request).console.read(saved_views.get, Visitor.of(request).workspace_id, id_of(view) or b"")
    if found is None:
        raise NotFoundException
    return found  # type: ignore[no-any-return]


def _home(view: View, said: str) -> Redirect:
    return Redirect(f"{HERE}?{urlencode({'page': view.page, 'said': said})}", status_code=303)


@post(HERE + "/{view:str}/rename", needs=Permission.EDIT, include_in_schema=False)
async def rename_view(request: AnyRequest, view: FromPath[str]) -> Response[Any]:
    """Gives a view another name."""
    found, given, visitor = await _known(request, view), await typed(request), Visitor.of(request)
    name = " ".join(given.get("name", "").split())
    wrong, field = _wrong(name), f"name-{found.id.hex()}"

    def rename(c: Connection) -> None:
        saved_views.rename(c, found, visitor.workspace_id, name)
        noting(request, "view.renamed", name, found.id, {"before": found.name})(c)

    try:
        if not wrong:
            await Desk.of(request).console.write(rename)
    except NameTaken:
        wrong = "taken"
    if wrong:
        return await _page(request, found.page, {field: name, "query": _query(given.get("query", ""))}, {field: wrong})
    return _home(found, "renamed")


@post(HERE + "/{view:str}/delete", needs=Permission.EDIT, include_in_schema=False)
async def delete_view(request: AnyRequest, view: FromPath[str]) -> Response[Any]:
    """A view is gone; what it showed is not."""
    found = await _known(request, view)

    def remove(c: Connection) -> None:
        saved_views.remove(c, found)
        noting(request, "view.deleted", found.name, found.id)(c)

    await Desk.of(request).console.write(remove)
    return _home(found, "deleted")
