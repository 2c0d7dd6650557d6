"""Workspaces, and what was done in them by whom."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from campana.store.schema.base import an_id, metadata, of_workspace
from campana.store.types import Micros

workspace = Table(
    "workspace",
    metadata,
    an_id(),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Micros, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    an_id(),
    of_workspace(),
    Column("at", Micros, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("about", Text, nullable=False),
)
