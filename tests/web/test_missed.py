"""The page that makes a draft of people whom a campaign missed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from campana.engine import launch
from campana.engine.exporting import BUSY, CRASHED, BrokenExport, Busy, Exports
from campana.store.schema import audit
from tests.engine.conftest import Worlds, world, worlds  # noqa: F401 - fixtures
from tests.engine.test_missed import people_of
from tests.engine.world import World, numbers, sms
from tests.web.forms import filled
from tests.web.test_journey import words
from tests.web.test_progress import TEN_FIRST, home_of, opened


async def test_right_after_finish_it_asks_to_wait_and_keeps_what_was_typed(world: World) -> None:  # noqa: F811
    studio = await opened(world)
    await world.launch(sms(), people=numbers(40), canary=TEN_FIRST)
    await world.play(minutes=1)
    page = f"{await home_of(studio)}/missed"
    async with studio.as_user() as http:
        form = {**filled((await http.get(page)).text, "missed"), "name": "Once more", "outcome": ["ended", "unreached"]}
        await world.act(launch.finish)
        told = words((await http.get(await home_of(studio))).text)
        assert "whoever it did not get to is still being counted" in told
        assert "nobody was missed" not in told
        html = (await http.get(page)).text
        assert "This campaign was finished just now" in words(html)
        assert "obody was missed" not in html
        assert "ended" in ticked(html)
        refused = await http.post(page, data=form)
        assert refused.status_code == 422
        assert "Wait a moment" in words(refused.text)
        assert 'value="Once more"' in refused.text
        assert ticked(refused.text) == {"ended", "unreached"}
        await world.play(minutes=5)
        made = await http.post(page, data=form)
        assert made.status_code == 303
        assert (await http.post(page, data=form)).headers["location"] == made.headers["location"]
        other = await http.post(page, data={**form, "name": "Once more, changed"})
        assert other.headers["location"] != made.headers["location"]
    assert len((await people_of(world, bytes.fromhex(made.headers["location"].split("/")[2])))[1]) == 30


def ticked(html: str) -> set[Any]:
    """The outcomes that are chosen."""
    return {part.split('"', 1)[0] for part in html.split('name="outcome" value="')[1:] if " checked" in part.split(">", 1)[0]}


@pytest.mark.parametrize(("error", "said"), [(Busy(BUSY), "Other large files"), (BrokenExport(CRASHED), "The export ended")])
async def test_a_file_that_cannot_be_written_now_is_refused_in_words(
    error: Exception,
    said: str,
    worlds: Worlds,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*asked: object) -> AsyncIterator[bytes]:
        raise error
        yield b""

    monkeypatch.setattr(Exports, "audience", refuse)
    studio = await opened(await worlds())
    await studio.world.launch(sms(), people=numbers(2))
    async with studio.as_user() as http:
        answer = await http.get(f"{await home_of(studio)}/audience.csv")
        assert answer.status_code == 409
        assert said in words(answer.text)
        assert "Try it again" in words(answer.text)
        http.cookies.set("lang", "pt_BR")
        assert "Tente de novo" in words((await http.get(f"{await home_of(studio)}/audience.csv")).text)
    noted = await studio.world.house.db.read(lambda c: c.scalars(select(audit.c.what)).all())
    assert "campaign.exported" not in noted
