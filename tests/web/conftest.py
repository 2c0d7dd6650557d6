"""What tests of the web side share."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.web.doorstep import EDITOR, House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    await house.set_password(EDITOR)
    yield house
    await house.close()
