"""Vendor accounts, the senders of each, and the templates that a vendor has approved."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from campana.store.schema.base import an_id, metadata, of_workspace
from campana.store.types import IdType, Micros, Packed

integration = Table(
    "integration",
    metadata,
    an_id(),
    of_workspace(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("hook", Text, nullable=False, unique=True),  # its address under /hooks/
    Column("credentials", Packed, nullable=False),  # JSON of the channel's settings, sealed
    Column("moved_at", Micros),  # when they last became others: what the vendor held before, it may not show any more
    Column("from_file", Boolean, nullable=False, server_default=text("false")),  # campana.toml says what it is
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("checked_at", Micros),  # when the vendor last took its credentials
    Column("last_error", Text),
    Column("refused", Integer, nullable=False, server_default=text("0")),  # webhooks, since the last good one
    Column("refused_since", Micros),
    Column("refused_at", Micros),  # the last of them
    Column("heard_at", Micros),  # about when a good webhook last came; NULL: none ever did
    Column("removed_at", Micros),  # its credentials are gone; what was sent over it stays known by its name
    Column("changed_at", Micros, nullable=False),
    Column("created_at", Micros, nullable=False),
    Index("integration_changed", "changed_at"),
)

Index(
    "integration_name",
    integration.c.workspace_id,
    integration.c.name,
    unique=True,
    sqlite_where=text("removed_at IS NULL"),
    postgresql_where=text("removed_at IS NULL"),
)

sender = Table(
    "sender",
    metadata,
    an_id(),
    of_workspace(),
    Column("integration_id", IdType, ForeignKey("integration.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("moved_at", Micros),  # when its address or its account last became another
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("weight", Text),  # what pace and limit count: "messages" or "segments"; NULL: as the channel does
    Column("rate", Float, nullable=False),  # of what it counts, a second
    Column("tat", Micros, nullable=False, server_default=text("0")),  # when its pace has caught up with what was reserved
    Column("daily_limit", Integer),
    Column("day", Integer, nullable=False, server_default=text("0")),  # UTC day since 1970 that `day_used` counts
    Column("day_used", Integer, nullable=False, server_default=text("0")),
    Column("paused_at", Micros),
    Column("trouble", Text),  # why it is paused or slow, in words
    Column("setbacks", Integer, nullable=False, server_default=text("0")),  # vendor not reached this many times running
    Column("removed_at", Micros),  # what was sent from it stays known
    Column("created_at", Micros, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

template = Table(
    "template",
    metadata,
    of_workspace(),
    Column("integration_id", IdType, ForeignKey("integration.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("parameter_format", Text, nullable=False),
    Column("components", Text, nullable=False),
    Column("vendor_id", Text, nullable=False),
    Column("changed_at", Micros, nullable=False),
    PrimaryKeyConstraint("workspace_id", "integration_id", "name", "language"),
)

# A test message of a few minutes ago: so many are enough, and a press that is repeated sends no second one.
trial = Table(
    "trial",
    metadata,
    an_id(),
    of_workspace(),
    Column("press", Packed, nullable=False),  # a hash of who sent what, from where, to whom
    Column("at", Micros, nullable=False),
    Column("verdict", Text),  # JSON of what the vendor said; NULL until it has
    Index("trial_workspace", "workspace_id", "at"),
)

# One row, sealed: a process whose key does not open it has not the key of this installation.
seal = Table(
    "seal",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("proof", Packed, nullable=False),
)
