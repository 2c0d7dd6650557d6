"""Brings a database to the schema this version of Campana works with."""

from __future__ import annotations

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DatabaseError

from campana.store.dialect import in_turn
from campana.store.engines import StoreTrouble


def alembic_config(connection: Connection | None = None) -> Config:
    """The configuration of our migrations, on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(files("campana.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Creates or upgrades the schema, in one transaction; refuses a database this version does not know.

    Of several processes that start together one does it, the others wait and find it done.
    """
    try:
        with engine.connect() as connection, connection.begin():
            in_turn(connection, "migrate")
            found = _revision(connection, engine)
            scripts = ScriptDirectory.from_config(alembic_config())
            if found == scripts.get_current_head():
                return
            if found and found not in {script.revision for script in scripts.walk_revisions()}:
                raise StoreTrouble(
                    f"The database {engine.url.render_as_string()} was made by a newer version of Campana (schema {found}). "
                    "Upgrade Campana, or name another database in CAMPANA_DATABASE."
                )
            command.upgrade(alembic_config(connection), "head")
    except DatabaseError as error:
        raise StoreTrouble(_sentence(engine, error)) from error


def _revision(connection: Connection, engine: Engine) -> str | None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None and inspect(connection).get_table_names():
        raise StoreTrouble(
            f"The database {engine.url.render_as_string()} has tables of somebody else. Name another one in CAMPANA_DATABASE."
        )
    return found


def _sentence(engine: Engine, error: DatabaseError) -> str:
    place = engine.url.render_as_string()
    said = str(error.orig)
    if "not a database" in said:
        return f"{place} is not a database. Name another file in CAMPANA_DATABASE."
    if "unable to open" in said:
        return f"{place} cannot be opened. Make its folder, or name another file in CAMPANA_DATABASE."
    if "locked" in said:
        return f"{place} is in use by another program. End that program, then start again."
    if "full" in said:
        return "The disk of the database is full. Free some space and start again: nothing was lost."
    if engine.dialect.name == "postgresql":
        return f"{place} cannot be used: {said.strip().splitlines()[0]}. Start it, or check CAMPANA_DATABASE."
    return f"{place} cannot be prepared: {said}. Check the file, or name another one in CAMPANA_DATABASE."
