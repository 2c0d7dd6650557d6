"""What vendors and people told us."""

from __future__ import annotations

from sqlalchemy import Column, Index, SmallInteger, Table, Text, UniqueConstraint, text

from campana.store.schema.base import an_id, metadata, of_workspace
from campana.store.types import IdType, Micros, Packed

inbox = Table(
    "inbox",
    metadata,
    an_id(),
    Column("integration", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", Packed, nullable=False),
    Column("at", Micros, nullable=False),
)

stray = Table(
    "stray",
    metadata,
    an_id(),
    of_workspace(),
    Column("integration", Text, nullable=False),
    Column("at", Micros, nullable=False),
    Column("words", Text, nullable=False),
)

inbound = Table(
    "inbound",
    metadata,
    an_id(),
    of_workspace(),
    Column("integration_id", IdType, nullable=False),
    Column("vendor_id", Text, nullable=False),
    Column("contact_id", IdType, nullable=False),
    Column("conversation_id", IdType),
    Column("recipient_id", IdType),
    Column("medium", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Micros, nullable=False),
    UniqueConstraint("integration_id", "vendor_id"),
    Index("inbound_contact", "contact_id"),
)

conversation = Table(
    "conversation",
    metadata,
    an_id(),
    of_workspace(),
    Column("contact_id", IdType, nullable=False),
    Column("run_id", IdType),
    Column("recipient_id", IdType),
    Column("status", Text, nullable=False),  # open, closed
    Column("opened_at", Micros, nullable=False),
    Column("closed_at", Micros),
    Index("conversation_contact", "workspace_id", "contact_id"),
    Index("conversation_run", "run_id"),
)

turn = Table(
    "turn",
    metadata,
    an_id(),
    of_workspace(),
    Column("conversation_id", IdType, nullable=False),
    Column("inbound_id", IdType, nullable=False, unique=True),  # one answer to each inbound
    Column("flow_id", IdType, nullable=False),
    Column("due_at", Micros),
    Column("unit_id", IdType),
    Column("message_id", IdType),
    Column("status", SmallInteger, nullable=False, server_default=text("0")),
)
