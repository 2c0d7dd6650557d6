"""Figures, and what is told to others."""

from __future__ import annotations

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, Table, Text

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
