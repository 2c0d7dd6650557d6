"""What the databases we run on say differently."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(c: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can be told what to do when the row is already there."""
    return postgresql.insert(table) if c.dialect.name == "postgresql" else sqlite.insert(table)
