"""Alembic's entry: it is always handed an open connection by store.migrate."""

from __future__ import annotations

from alembic import context

from campana.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=False,  # the caller's transaction holds all of it
)
context.run_migrations()
