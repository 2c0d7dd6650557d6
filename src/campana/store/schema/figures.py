"""Figures, and what is told to others."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, UniqueConstraint, text

from campana.store.schema.base import an_id, metadata, of_workspace
from campana.store.types import Count, IdType, Micros, Packed, RowNumber

counter_delta = Table(
    "counter_delta",
    metadata,
    Column("number", RowNumber, primary_key=True, autoincrement=True),
    Column("run_id", IdType, nullable=False),
    Column("key", Text, nullable=False),
    Column("n", Integer, nullable=False),
)

counter = Table(
    "counter",
    metadata,
    Column("run_id", IdType, nullable=False),
    Column("key", Text, nullable=False),
    Column("n", Count, nullable=False),
    PrimaryKeyConstraint("run_id", "key"),
)

outbox = Table(
    "outbox",
    metadata,
    an_id(),
    of_workspace(),
    Column("stream", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", Packed, nullable=False),
    Column("at", Micros, nullable=False),
)

# What somebody looks at again and again: the address of a page with its filters, under a name.
saved_view = Table(
    "saved_view",
    metadata,
    an_id(),
    of_workspace(),
    Column("page", Text, nullable=False),  # reports, messages, campaigns
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("owner_id", IdType),
    Column("created_at", Micros, nullable=False),
    UniqueConstraint("workspace_id", "page", "name"),
)

# A report that goes out by e-mail, again and again.
report_mail = Table(
    "report_mail",
    metadata,
    an_id(),
    of_workspace(),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),  # of the report, without its period: that follows from `every`
    Column("every", Text, nullable=False),  # day, week, month
    Column("at", Text, nullable=False),  # HH:MM in `zone`
    Column("zone", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("addresses", Text, nullable=False),  # JSON list
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("next_at", Micros, nullable=False),
    Column("token", IdType),  # of whoever sends it now
    Column("lease_until", Micros),
    Column("sent_at", Micros),
    Column("trouble", Text),
    Column("owner_id", IdType),
    Column("created_at", Micros, nullable=False),
    Index("report_mail_due", "active", "next_at"),
)
