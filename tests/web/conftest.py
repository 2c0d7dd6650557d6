"""What tests of the web side share."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.web.doorstep import EDITOR, House, worlds


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    await house.set_password(EDITOR)
    yield house
    await house.close()


@pytest.fixture
async def world() -> AsyncIterator[Any]:
    """A store that holds a campaign of each kind; tests of engines have a world of their own."""
    world = worlds.World()
    yield world
    world.close()
