"""Worlds for the engine's stories: a real SQLite file each, the vendors' stand-ins, a clock that is moved by hand."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from campana.store.database import Database
from campana.store.migrate import migrate
from tests.engine.world import World

Worlds = Callable[..., Awaitable[World]]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its schema and nothing in it, to be copied: migrating once is enough for all stories."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    db = Database(f"sqlite:///{path}")
    migrate(db.engine)
    db.close()
    return path


@pytest.fixture
async def worlds(tmp_path: Path, empty_store: Path) -> AsyncIterator[Worlds]:
    """Makes worlds; each is closed at the end of the story, its books checked once more."""
    made: list[World] = []

    async def make(**settings: Any) -> World:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        shutil.copy(empty_store, folder / "campana.db")
        made.append(World(folder, **settings))
        await made[-1].open()
        return made[-1]

    yield make
    for world in made:
        await world.close()


@pytest.fixture
async def world(worlds: Worlds) -> World:
    """A world in which nothing goes wrong unless the story says so."""
    return await worlds()
