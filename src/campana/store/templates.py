"""Vendors' templates: as each account's vendor lists them, and what it told of them since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from campana.core.durations import MINUTE
from campana.core.ids import Id
from campana.store.schema import integration, template

APPROVED = "APPROVED"
CLOCK_MARGIN = 5 * MINUTE  # our clock and a vendor's differ: what it told shortly before we read its list may be news


def put_templates(c: Connection, workspace_id: Id, integration_id: Id, found: Iterable[Any], asked_at: int) -> None:
    """The vendor's whole list replaces what we knew, but for what it told after we asked for the list. Each has name, language,
    status, category, parameter_format, components and vendor_id."""
    t = template.c
    mine = (t.workspace_id == workspace_id, t.integration_id == integration_id)
    news = c.execute(select(t.name, t.language, t.status, t.category, t.changed_at).where(*mine, t.changed_at > asked_at))
    told = {(row.name, row.language): row for row in news}
    c.execute(template.delete().where(*mine))
    rows = {}
    for one in found:
        key = (one.name, one.language)
        later = told.get(key)
        rows[key] = {
            "workspace_id": workspace_id,
            "integration_id": integration_id,
            "name": one.name,
            "language": one.language,
            "status": later.status if later else one.status,
            "category": later.category if later else one.category,
            "parameter_format": one.parameter_format,
            "components": msgspec.json.encode(one.components).decode(),
            "vendor_id": one.vendor_id,
            "changed_at": later.changed_at if later else asked_at - CLOCK_MARGIN,
        }
    if rows:
        c.execute(insert(template), list(rows.values()))


def change_template(
    c: Connection, integration_id: Id, name: str, language: str, status: str | None, category: str | None, at: int
) -> int:
    """Writes down what a webhook told of a template, unless a later status is known: vendors repeat theirs for days.

    Returns how many rows it changed.
    """
    values: dict[str, object] = {}
    if status is not None:
        values |= {"status": status, "changed_at": at}
    if category is not None:
        values["category"] = category
    t = template.c
    where = (t.integration_id == integration_id, t.name == name, t.language == language, t.changed_at <= at)
    return c.execute(update(template).where(*where).values(**values)).rowcount if values else 0


def find_template(c: Connection, integration_id: Id, name: str, language: str) -> Any:
    """None, or one template: name, language, status, category, format, components as JSON, vendor id."""
    t = template.c
    return c.execute(
        select(t.name, t.language, t.status, t.category, t.parameter_format, t.components, t.vendor_id).where(
            t.integration_id == integration_id, t.name == name, t.language == language
        )
    ).first()


def of_integration(c: Connection, workspace_id: Id, integration_id: Id) -> Sequence[Any]:
    """All templates of an account by name and language: name, language, status, category, format, components, vendor id,
    changed_at."""
    t = template.c
    columns = (t.name, t.language, t.status, t.category, t.parameter_format, t.components, t.vendor_id, t.changed_at)
    mine = (t.workspace_id == workspace_id, t.integration_id == integration_id)
    return c.execute(select(*columns).where(*mine).order_by(t.name, t.language)).all()


def approved_templates(c: Connection, workspace_id: Id, integration_id: Id) -> Sequence[Any]:
    """The templates of an account that may be chosen, as `of_integration` gives them; none when it is off."""
    i = integration.c
    on = c.scalar(select(i.active).where(i.workspace_id == workspace_id, i.id == integration_id))
    return [row for row in of_integration(c, workspace_id, integration_id) if on and row.status == APPROVED]
