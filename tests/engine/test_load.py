"""Reading a file into the store can be stopped at any chunk, and leaves nothing then."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from campana.core.campaign import AudienceSpec
from campana.engine.load import Stopped, load_audience
from campana.store.schema import audience, audience_row
from tests.engine.world import World, numbers


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_who_asks_to_stop_is_heard_while_a_file_is_read(world: World, tmp_path: Path, after: int) -> None:
    file = tmp_path / "people.csv"
    file.write_text("name,phone\n" + "".join(f"Ana,{one}\n" for one in numbers(2000)), encoding="utf-8")
    asked: list[bool] = []

    def stopping() -> bool:
        asked.append(len(asked) >= after)
        return asked[-1]

    with pytest.raises(Stopped):
        await load_audience(world.house, world.installation.workspace_id, file, AudienceSpec(), stopping=stopping)
    assert asked == [False] * after + [True]
    for table in (audience, audience_row):
        assert await world.house.db.read(lambda c, rows=table: c.scalar(select(func.count()).select_from(rows))) == 0
