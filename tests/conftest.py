"""Databases for tests, and attendance."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from campana.store.database import create_store_engine
from campana.store.migrate import migrate
from tests.attendance import pytest_configure  # noqa: F401 - a hook of pytest
from tests.postgres import Postgres, postgres_for_tests

ROOT = Path(__file__).parents[1]
SQLITE, POSTGRESQL, BOTH = "sqlite", "postgresql", "both"
ON_BOTH = ROOT / "tests" / "store"  # whose tests run on both databases, as do those marked `both_databases`
NewStore = Callable[[Path], str]


def pytest_addoption(parser: pytest.Parser) -> None:
    said = "The database of every test that uses one. Without it: both for tests/store and a choice of stories, else sqlite."
    parser.addoption("--database", choices=[SQLITE, POSTGRESQL, BOTH], help=said)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", _kinds(metafunc))


def _kinds(metafunc: pytest.Metafunc) -> list[Any]:
    """The databases a test runs on. `sqlite_only` is about SQLite itself, `postgresql_only` about
    several writers at once."""
    asked = metafunc.config.getoption("database")
    if metafunc.definition.get_closest_marker("sqlite_only"):
        skip = [pytest.mark.skip(reason="it is about SQLite")] if asked == POSTGRESQL else []
        return [pytest.param(SQLITE, marks=skip)]
    if metafunc.definition.get_closest_marker("postgresql_only"):
        skip = [pytest.mark.skip(reason="it is about several processes")] if asked == SQLITE else []
        return [pytest.param(POSTGRESQL, marks=skip)]
    on_both = metafunc.definition.path.is_relative_to(ON_BOTH) or metafunc.definition.get_closest_marker("both_databases")
    asked = asked or (BOTH if on_both else SQLITE)
    return [SQLITE, POSTGRESQL] if asked == BOTH else [asked]


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with its schema and nothing in it, to be copied: migrating once is enough for all tests."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL to make databases on, for all tests."""
    with postgres_for_tests() as server:
        yield server


@pytest.fixture(scope="session")
def empty_database(postgres: Postgres) -> Iterator[str]:
    """The name of a PostgreSQL database with its schema and nothing in it, to be copied."""
    name = f"campana_empty_{secrets.token_hex(6)}"
    _migrate(postgres.create_database(name))
    yield name
    postgres.drop_database(name)


@pytest.fixture
def new_store(database_kind: str, request: pytest.FixtureRequest) -> Iterator[NewStore]:
    """Makes a store with its schema and nothing in it, as a file of a folder or a database; gone with the test. Gives its URL."""
    made: list[str] = []

    def on_sqlite(folder: Path) -> str:
        shutil.copy(request.getfixturevalue("empty_file"), folder / "campana.db")
        return f"sqlite:///{folder / 'campana.db'}"

    def on_postgresql(folder: Path) -> str:
        postgres, empty = request.getfixturevalue("postgres"), request.getfixturevalue("empty_database")
        made.append(f"campana_test_{secrets.token_hex(6)}")
        url: str = postgres.create_database(made[-1], template=empty)
        return url

    yield on_sqlite if database_kind == SQLITE else on_postgresql
    for name in made:
        request.getfixturevalue("postgres").drop_database(name)


def _migrate(url: str) -> None:
    engine = create_store_engine(url)
    migrate(engine)
    engine.dispose()
