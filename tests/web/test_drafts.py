"""Making, copying and throwing away drafts by the pages, for those who may."""

from __future__ import annotations

import re

import pytest

from campana.core.draft import Draft
from campana.core.ids import id_of
from campana.store import audit, drafts
from tests.web.front import client, pressed, worlds

ANA = drafts.Author(None, "ana@example.com")


async def made(world, name="Spring survey", workspace=worlds.WORKSPACE):
    return await world.db.run(drafts.create, workspace, name, Draft(), ANA, worlds.NINE)


async def test_the_list_makes_a_draft_and_leads_to_its_first_page(world):
    async with client(world) as http:
        answers = [await pressed(http, "/campaigns/new") for _ in range(2)]
    places = [re.fullmatch(r"/campaigns/(\w{32})/setup", answer.headers["location"])[1] for answer in answers]
    found = [await world.db.read(drafts.load, worlds.WORKSPACE, id_of(place)) for place in places]
    assert [one.name for one in found] == ["Untitled campaign", "Untitled campaign 2"]
    assert found[0].changed_by == "owner@example.com"


async def test_who_may_not_edit_sees_no_button_and_is_refused(world):
    one = await made(world)
    async with client(world, "operator") as http:
        assert "Create campaign" not in (await http.get("/campaigns")).text
        assert (await http.get(f"/campaigns/{one.hex()}")).status_code == 200
        assert (await http.get(f"/campaigns/{one.hex()}/delete")).status_code == 403


async def test_a_draft_is_copied(world):
    one = await made(world)
    async with client(world) as http:
        answer = await pressed(http, f"/campaigns/{one.hex()}/duplicate")
    copy = await world.db.read(drafts.load, worlds.WORKSPACE, id_of(answer.headers["location"].split("/")[2]))
    assert (copy.name, copy.version) == ("Copy of Spring survey", 1)


async def test_a_copy_is_named_as_its_original_is_spelled(world):
    one = await made(world, name="Tom & Jerry's <day>")
    async with client(world) as http:
        answer = await pressed(http, f"/campaigns/{one.hex()}/duplicate")
    copy = await world.db.read(drafts.load, worlds.WORKSPACE, id_of(answer.headers["location"].split("/")[2]))
    assert copy.name == "Copy of Tom & Jerry's <day>"


async def test_a_draft_is_deleted_once_the_page_has_asked(world):
    one = await made(world)
    path = f"/campaigns/{one.hex()}/delete"
    async with client(world) as http:
        page = await http.get(path)
        assert "Delete the draft “Spring survey”?" in page.text
        assert await world.db.read(drafts.load, worlds.WORKSPACE, one) is not None
        assert (await pressed(http, path, on=path)).headers["location"] == "/campaigns"
        assert (await http.get(path)).status_code == 404
    assert await world.db.read(drafts.load, worlds.WORKSPACE, one) is None


@pytest.mark.parametrize("what", ["duplicate", "delete"])
async def test_a_draft_of_another_workspace_is_not_there(world, what):
    theirs = await made(world, workspace=worlds.ELSEWHERE)
    async with client(world) as http:
        assert (await pressed(http, f"/campaigns/{theirs.hex()}/{what}")).status_code == 404
    assert await world.db.read(drafts.load, worlds.ELSEWHERE, theirs) is not None


async def test_the_log_says_for_whom_a_proxy_asked(world):
    async with client(world) as http:
        http.headers["x-forwarded-for"] = "203.0.113.7"
        assert (await pressed(http, "/campaigns/new")).status_code == 303
    assert [one.address for one in await world.db.read(audit.entries, worlds.WORKSPACE)] == ["203.0.113.7"]
