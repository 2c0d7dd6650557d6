"""People, the names they are known by, and what must not be sent to them."""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text

from campana.store.schema.base import an_id, metadata, of_workspace
from campana.store.types import BySigns, IdType, Micros

contact = Table("contact", metadata, an_id(), of_workspace(), Column("created_at", Micros, nullable=False))

address = Table(
    "address",
    metadata,
    of_workspace(),
    Column("kind", Text, nullable=False),  # phone, email, wa_id, user_id
    Column("value", BySigns, nullable=False),
    Column("contact_id", IdType, nullable=False),
    PrimaryKeyConstraint("workspace_id", "kind", "value"),
    Index("address_contact", "contact_id"),
)

contact_channel = Table(
    "contact_channel",
    metadata,
    of_workspace(),
    Column("contact_id", IdType, nullable=False),
    Column("medium", Text, nullable=False),
    Column("last_in_at", Micros),  # opens the vendor's service window
    Column("withheld_until", Micros),  # the vendor asked for no marketing before then
    PrimaryKeyConstraint("workspace_id", "contact_id", "medium"),
)

suppression = Table(
    "suppression",
    metadata,
    of_workspace(),
    Column("value", BySigns, nullable=False),  # the address, normalised
    Column("medium", Text, nullable=False),  # as channels call it, or all
    Column("at", Micros, nullable=False),
    Column("renewed_at", Micros, nullable=False),  # when the wish was last told: what was written before does not lift it
    Column("rule", Text, nullable=False),  # which rule said so
    Column("proof", Text, nullable=False),  # the words, the vendor's code or event
    Column("message_id", IdType),
    PrimaryKeyConstraint("workspace_id", "value", "medium"),
)
