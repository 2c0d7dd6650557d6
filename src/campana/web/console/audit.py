"""The audit log: who changed what, when."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from litestar import Response, get
from sqlalchemy import Connection

from campana.core.access import Permission
from campana.core.ids import Id, id_of
from campana.store import audit
from campana.store.audit import Entry
from campana.web.console.page import AnyRequest, Desk, draw, preference
from campana.web.visitor import Visitor

HERE = "/settings/audit"
PAGE = 50


@get(HERE, needs=Permission.ADMIN, include_in_schema=False)
async def audit_page(request: AnyRequest) -> Response[Any]:
    """A page of the log, filtered by who and what, from an entry on; all of it lives in the address."""
    if answer := preference(request):
        return answer
    asked = request.query_params
    who, what = asked.get("who", ""), asked.get("what", "")
    before, after = id_of(asked.get("before", "")), id_of(asked.get("after", ""))

    def look(c: Connection) -> tuple[list[Entry], bool, bool, Any]:
        workspace_id = Visitor.of(request).workspace_id
        return *_page(c, workspace_id, who, what, before, after), audit.people(c, workspace_id)

    found, newer, older, people = await Desk.of(request).console.read(look)

    def url(**place: str) -> str:
        named = {"who": who, "what": what, **place}
        return f"{HERE}?" + urlencode({name: value for name, value in named.items() if value})

    shown: dict[str, Any] = {
        "entries": [_read(one) for one in found],
        "newer": url(after=found[0].id.hex()) if newer else "",
        "older": url(before=found[-1].id.hex()) if older else "",
        "narrowed": bool(who or what or before),
    }
    return draw(request, "audit.html", who=who, what=what, people=people, **shown)


def _page(
    c: Connection, workspace_id: Id, who: str, what: str, before: Id | None, after: Id | None
) -> tuple[list[Entry], bool, bool]:
    """The entries, and whether there are newer and older ones. The newest page is whole, whatever entry it was asked from."""
    if after is not None:
        found = audit.entries(c, workspace_id, who, what, after=after, limit=PAGE + 1)
        if len(found) > PAGE:
            return found[1:], True, True
        before = None
    found = audit.entries(c, workspace_id, who, what, before=before, limit=PAGE + 1)
    return found[:PAGE], before is not None and bool(found), len(found) > PAGE


def _read(entry: Entry) -> Entry:
    """The entry with its hours as the settings have them; they are kept as text."""
    hours = entry.details.get("hours")
    return replace(entry, details={**entry.details, "hours": json.loads(hours)}) if isinstance(hours, str) else entry
