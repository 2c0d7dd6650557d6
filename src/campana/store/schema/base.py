"""What all tables have in common."""

from __future__ import annotations

from sqlalchemy import Column, MetaData

from campana.store.types import IdType

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
    }
)


def an_id() -> Column[bytes]:
    """The id of a row, its primary key."""
    return Column("id", IdType, primary_key=True)


def of_workspace() -> Column[bytes]:
    """The workspace that a row belongs to."""
    return Column("workspace_id", IdType, nullable=False)
