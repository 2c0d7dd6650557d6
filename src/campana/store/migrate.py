"""Brings a database to the schema this version of Campana works with."""

from __future__ import annotations

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DatabaseError

from campana.store.dialect import in_turn, is_postgresql
from campana.store.engines import StoreTrouble

# Words of PostgreSQL, and what a person does then. The first that are found count; without any it may not run at all.
ADVICE = (
    ('FATAL:  database "', "Make it, for example with `createdb --owner campana campana`, or correct CAMPANA_DATABASE"),
    ('FATAL:  role "', "Make the role, for example with `createuser --pwprompt campana`, or correct CAMPANA_DATABASE"),
    ("password", "Correct user and password in CAMPANA_DATABASE"),
    ("pg_hba.conf", "Allow this machine in the server's pg_hba.conf, or correct CAMPANA_DATABASE"),
    ("permission denied", "Make its role the owner of the database: ALTER DATABASE campana OWNER TO campana"),
    ("read-only transaction", "It is a copy that only reads: name the primary server in CAMPANA_DATABASE"),
    ("too many clients", "Raise max_connections of the server, or start fewer processes"),
    ("remaining connection slots", "Raise max_connections of the server, or start fewer processes"),
    ("too many connections", "Raise the limit of the role or the database, or start fewer processes"),
    ("connection option", "Correct what stands after the ? in CAMPANA_DATABASE"),
    ("resolve host", "Correct the host in CAMPANA_DATABASE"),
)


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
            _require_utf8(connection, engine)
            found = _revision(connection, engine)
            scripts = ScriptDirectory.from_config(alembic_config())
            if found == scripts.get_current_head():
                return
            if found and found not in {script.revision for script in scripts.walk_revisions()}:
                raise StoreTrouble(
                    f"The database {_place(engine)} was made by a newer version of Campana (schema {found}). "
                    "Upgrade Campana, or name another database in CAMPANA_DATABASE."
                )
            command.upgrade(alembic_config(connection), "head")
    except DatabaseError as error:
        raise StoreTrouble(_sentence(engine, error)) from error


def _revision(connection: Connection, engine: Engine) -> str | None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None and inspect(connection).get_table_names():
        raise StoreTrouble(f"The database {_place(engine)} has tables of somebody else. Name another one in CAMPANA_DATABASE.")
    return found


def _require_utf8(connection: Connection, engine: Engine) -> None:
    """In another encoding the first name that does not fit in would stop everything."""
    encoding = connection.scalar(text("SHOW server_encoding")) if is_postgresql(connection) else "UTF8"
    if encoding != "UTF8":
        raise StoreTrouble(
            f"The database {_place(engine)} keeps texts as {encoding}, which has no room for everybody's name. Make one with "
            "`createdb --encoding UTF8 --template template0 campana`, and name it in CAMPANA_DATABASE."
        )


def _place(engine: Engine) -> str:
    """The database as people name it, without its password."""
    return engine.url.set(drivername=engine.dialect.name).render_as_string()


def _sentence(engine: Engine, error: DatabaseError) -> str:
    place = _place(engine)
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
        advice = next((advice for words, advice in ADVICE if words in said), "Start it, or correct CAMPANA_DATABASE")
        return f"{place} cannot be used: {said.strip().splitlines()[0].rstrip('.')}. {advice}."
    return f"{place} cannot be prepared: {said}. Check the file, or name another one in CAMPANA_DATABASE."
