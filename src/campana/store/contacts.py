"""People and the addresses they are known by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select, update

from campana.core.ids import Id, new_id
from campana.store.dialect import locked, upsert
from campana.store.schema import address, contact, contact_channel


def find(c: Connection, workspace_id: Id, aliases: Iterable[str]) -> Id | None:
    """The person known by one of `kind:value`, the first that is known."""
    for alias in aliases:
        kind, _, value = alias.partition(":")
        where = (address.c.workspace_id == workspace_id, address.c.kind == kind, address.c.value == value)
        found: Id | None = c.scalar(select(address.c.contact_id).where(*where))
        if found is not None:
            return found
    return None


def find_or_make(c: Connection, workspace_id: Id, aliases: Sequence[str], now: int) -> Id:
    """The person of those names; all of them are theirs afterwards, but for names that belong to somebody else."""
    found = find(c, workspace_id, aliases)
    if found is not None:
        add_aliases(c, [(workspace_id, found, alias) for alias in aliases])
        return found
    fresh = new_id(now)
    add_aliases(c, [(workspace_id, fresh, alias) for alias in aliases])
    faster = next((owner for alias in aliases if (owner := find(c, workspace_id, [alias])) not in {None, fresh}), None)
    if faster is not None:  # somebody else made this person meanwhile, perhaps by one name only
        c.execute(update(address).where(address.c.contact_id == fresh).values(contact_id=faster))
        return faster
    c.execute(upsert(c, contact).values(id=fresh, workspace_id=workspace_id, created_at=now))
    return fresh


def lock(c: Connection, contact_id: Id) -> None:
    """Until the transaction ends, nobody else deals with what this person writes."""
    c.execute(locked(select(contact.c.id).where(contact.c.id == contact_id), contact))


def add_aliases(c: Connection, known: Iterable[tuple[Id, Id, str]]) -> None:
    """Each (workspace, person, `kind:value`) is known from now on."""
    rows = []
    for workspace_id, contact_id, alias in known:
        kind, _, value = alias.partition(":")
        rows.append({"workspace_id": workspace_id, "kind": kind, "value": value, "contact_id": contact_id})
    if rows:
        c.execute(upsert(c, address).on_conflict_do_nothing(), rows)


def addresses_of(c: Connection, contact_id: Id) -> list[tuple[str, str]]:
    """All names of a person: (kind, value)."""
    rows = c.execute(select(address.c.kind, address.c.value).where(address.c.contact_id == contact_id))
    return [(kind, value) for kind, value in rows]


def wrote_in(c: Connection, workspace_id: Id, contact_id: Id, medium: str, at: int) -> None:
    """The person wrote on that medium: its service window opens anew."""
    row = {"workspace_id": workspace_id, "contact_id": contact_id, "medium": medium, "last_in_at": at}
    statement = upsert(c, contact_channel).values(row)
    c.execute(
        statement.on_conflict_do_update(
            index_elements=["workspace_id", "contact_id", "medium"], set_={"last_in_at": statement.excluded.last_in_at}
        )
    )


def withhold(c: Connection, workspace_id: Id, contact_id: Id, medium: str, until: int) -> None:
    """The vendor wants no marketing to this person before then."""
    row = {"workspace_id": workspace_id, "contact_id": contact_id, "medium": medium, "withheld_until": until}
    statement = upsert(c, contact_channel).values(row)
    c.execute(
        statement.on_conflict_do_update(
            index_elements=["workspace_id", "contact_id", "medium"],
            set_={"withheld_until": statement.excluded.withheld_until},
        )
    )
