"""Worlds for the engine's stories: a real database each, the vendors' stand-ins, a clock that is moved by hand."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.conftest import NewStore
from tests.engine.world import World

Worlds = Callable[..., Awaitable[World]]


@pytest.fixture
async def worlds(tmp_path: Path, new_store: NewStore) -> AsyncIterator[Worlds]:
    """Makes worlds; each is closed at the end of the story, its books checked once more."""
    made: list[World] = []

    async def make(**settings: Any) -> World:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(World(folder, new_store(folder), **settings))
        await made[-1].open()
        return made[-1]

    yield make
    for world in made:
        await world.close()


@pytest.fixture
async def world(worlds: Worlds) -> World:
    """A world in which nothing goes wrong unless the story says so."""
    return await worlds()
