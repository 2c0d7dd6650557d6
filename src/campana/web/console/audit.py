"""The audit log: who changed what, when."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Response, get
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.store import audit
from campana.web.console.page import AnyRequest, Desk, draw, number, preference
from campana.web.visitor import Visitor

PAGE = 50


@get("/settings/audit", needs=Permission.ADMIN, include_in_schema=False)
async def audit_page(request: AnyRequest) -> Response[Any]:
    """A page of the log, filtered by who and what; both live in the address."""
    if answer := preference(request):
        return answer
    asked = request.query_params
    who, what, page = asked.get("who", ""), asked.get("what", ""), asked.get("page", "")
    at = max(1, number(page, 99_999))

    def look(c: Connection) -> Any:
        workspace_id, offset = Visitor.of(request).workspace_id, (at - 1) * PAGE
        return audit.entries(c, workspace_id, who, what, offset, PAGE + 1), audit.known(c, workspace_id)

    found, (people, deeds) = await Desk.of(request).console.read(look)

    def url(to: int) -> str:
        named = {"who": who, "what": what, "page": to if to > 1 else ""}
        return "/settings/audit?" + urlencode({name: value for name, value in named.items() if value})

    shown = {
        "entries": found[:PAGE],
        "newer": url(at - 1) if at > 1 else "",
        "older": url(at + 1) if found[PAGE:] else "",
    }
    return draw(request, "audit.html", who=who, what=what, people=people, deeds=deeds, **shown)
