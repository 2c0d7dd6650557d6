"""The page of the emergency stop: what it would hold, what it holds, and how it is lifted."""

from __future__ import annotations

import re
from typing import Any

import pytest

from campana.core.access import Role
from campana.store import audit
from tests.engine.conftest import world, worlds  # noqa: F401 - fixtures
from tests.engine.world import World, numbers, sms
from tests.web.forms import filled
from tests.web.studio import Studio, _join

HERE = "/stop"


@pytest.fixture
async def studio(worlds: Any) -> Studio:  # noqa: F811
    studio = Studio(await worlds(pace=8))
    await studio.prepare()
    return studio


async def sending(world: World, name: str) -> None:  # noqa: F811
    """A campaign is on its way, some people written to, others not."""
    await world.launch(sms(), people=numbers(30), name=name)
    await world.play(seconds=1)


async def test_one_press_stops_what_is_sent_and_another_lets_it_go_on(studio: Studio) -> None:
    await sending(studio.world, "Visits")
    async with studio.as_user() as http:
        page = (await http.get(HERE)).text
        assert "1 campaign is sending or scheduled" in page
        assert "Visits" in page
        answer = await http.post(HERE, data=filled(page, "/stop"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/stop?done=stopped")
        before = len(studio.world.accepted())
        await studio.world.play(hours=1)
        assert 0 < len(studio.world.accepted()) == before < 30
        page = (await http.get(HERE)).text
        assert "Everything is stopped since" in page
        assert "by Ana." in page
        answer = await http.post(f"{HERE}/lift", data=filled(page, "/stop/lift", go_on="yes"))
        assert "Campaigns are sent again." in (await http.get(answer.headers["location"])).text
    await studio.world.play(hours=1)
    assert len(studio.world.accepted()) == 30
    noted = await studio.world.house.db.read(audit.entries, studio.workspace_id)
    assert [one.what for one in noted][:2] == ["workspace.stop_lifted", "workspace.stopped"]
    assert noted[0].details == {"campaigns": 1}


async def test_campaigns_stay_paused_unless_they_are_wanted_again(studio: Studio) -> None:
    await sending(studio.world, "Visits")
    async with studio.as_user() as http:
        await http.post(HERE, data=filled((await http.get(HERE)).text, "/stop"))
        answer = await http.post(f"{HERE}/lift", data=filled((await http.get(HERE)).text, "/stop/lift"))
        page = (await http.get(answer.headers["location"])).text
    assert "The stop was lifted. The campaigns that it paused stay paused until somebody resumes them." in page
    assert "Campaigns are sent again" not in page
    before = len(studio.world.accepted())
    await studio.world.play(hours=1)
    assert len(studio.world.accepted()) == before
    assert await studio.world.status() == "paused"


async def test_while_everything_is_stopped_no_test_message_goes_out(studio: Studio) -> None:
    await studio.write(_join, studio.workspace_id, "olga", Role.OWNER, studio.world.clock.now())
    async with studio.as_user("olga") as http:
        await http.post(HERE, data=filled((await http.get(HERE)).text, "/stop"))
        page = (await http.get("/integrations")).text
        homes = re.findall(r'href="(/integrations/[0-9a-f]{32})"', page)
        home = [one for one in homes if 'name="text"' in (await http.get(one)).text][0]  # noqa: RUF015 - asked one by one
        page = (await http.get(home)).text
        sender = re.search(r'<option value="([0-9a-f]{32})"', page)
        assert sender is not None
        answer = await http.post(
            f"{home}/test", data=filled(page, f"{home}/test", sender=sender[1], to="+12125550177", text="Hello")
        )
    assert "Everything is stopped, test messages too." in answer.text
    assert studio.world.accepted() == []


async def test_a_viewer_sees_the_stop_and_has_no_button(studio: Studio) -> None:
    now = studio.world.clock.now()
    await studio.write(_join, studio.workspace_id, "vera", Role.VIEWER, now)
    async with studio.as_user("vera") as http:
        page = (await http.get(HERE)).text
        assert 'action="/stop"' not in page
        assert (await http.post(HERE, data=filled(page, "/sign-out"))).status_code == 403
