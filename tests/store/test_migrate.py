"""The schema: made once, brought up to date, and refused when it is not ours to touch."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

from campana.store.database import StoreTrouble, create_store_engine
from campana.store.migrate import migrate
from campana.store.schema import metadata


def open_file(path: Path) -> Engine:
    return create_store_engine(f"sqlite:///{path}")


def test_a_fresh_file_gets_all_tables_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    engine = open_file(tmp_path / "new.db")
    migrate(engine)
    first = sorted(inspect(engine).get_table_names())
    migrate(engine)
    assert sorted(inspect(engine).get_table_names()) == first
    assert set(metadata.tables) <= set(first)
    engine.dispose()


def test_the_migrations_make_what_the_tables_say(engine: Engine) -> None:
    with engine.connect() as connection:
        parts = _partitions(connection)

        def ours(name: str | None, kind: str, _: Any) -> bool:
            return kind != "table" or name not in parts

        context = MigrationContext.configure(connection, opts={"compare_type": False, "include_name": ours})
        assert compare_metadata(context, metadata) == []


def _partitions(connection: Connection) -> set[str]:
    """Tables that are parts of others: no table of ours says anything of them."""
    if connection.dialect.name != "postgresql":
        return set()
    return set(connection.scalars(text("SELECT inhrelid::regclass::text FROM pg_inherits")))


FOREIGN = [
    ("UPDATE alembic_version SET version_num = '9999'", "newer version of Campana"),
    ("DROP TABLE alembic_version", "somebody else"),
]


@pytest.mark.parametrize(("change", "words"), FOREIGN, ids=[row[1] for row in FOREIGN])
def test_a_schema_that_is_not_ours_to_touch_is_left_as_it_is(engine: Engine, change: str, words: str) -> None:
    migrate(engine)  # a second time changes nothing
    with engine.begin() as connection:
        connection.execute(text(change))
    before = sorted(inspect(engine).get_table_names())
    with pytest.raises(StoreTrouble, match=words):
        migrate(engine)
    assert sorted(inspect(engine).get_table_names()) == before


def refuse(path: Path, words: str) -> None:
    engine = open_file(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreTrouble, match=words) as told:
        migrate(engine)
    assert str(told.value).endswith(".")
    engine.dispose()
    if before is not None and before.startswith(b"SQLite"):
        assert sorted(_tables(path)) == sorted(_tables_of(before, path.with_suffix(".before")))


def _tables(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]


def _tables_of(content: bytes, path: Path) -> list[str]:
    path.write_bytes(content)
    return _tables(path)


@pytest.mark.sqlite_only
def test_a_database_of_a_newer_version_is_refused(url: str, tmp_path: Path) -> None:
    path = tmp_path / "campana.db"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    refuse(path, "newer version of Campana")


@pytest.mark.parametrize("table", ["workspace", "customers"])
def test_a_database_of_somebody_else_is_refused(tmp_path: Path, table: str) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {table} (anything)")
    refuse(path, "somebody else")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ana, this is not a database. " * 50)
    refuse(path, "not a database")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    refuse(tmp_path / "nowhere" / "campana.db", "Make its folder")


def test_a_file_of_people_is_kept_on_postgresql_without_packing_it_first(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        kept = "SELECT attstorage FROM pg_attribute WHERE attrelid = 'upload'::regclass AND attname = 'body'"
        if connection.dialect.name == "postgresql":  # SQLite packs nothing
            assert connection.scalar(text(kept)) in ("e", b"e")
