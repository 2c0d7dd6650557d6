"""The page of opt-outs: what is typed is read line by line, and each change is in the audit log."""

from __future__ import annotations

import re

import pytest

from campana.core.ids import new_id
from campana.store import audit, suppressions
from campana.web.console.optouts import HERE, MOST, PAGE, read
from tests.web import front
from tests.web.front import client, worlds


async def pressed(http, path=HERE, **form):
    return await front.pressed(http, path, **form)


async def known(world, workspace=None):
    found = await world.db.read(suppressions.entries, workspace or worlds.WORKSPACE, "", ("", ""), 1000)
    return [(one.value, one.medium) for one in found]


def test_lines_are_read_as_numbers_and_addresses_and_what_is_neither_is_told():
    typed = read({"lines": " +52 55 1122 3344\n\nANA@Example.ORG\n+525511223344\n12\nhello", "medium": "fax"}, ["sms"])
    assert typed.values == ("+525511223344", "ana@example.org")
    assert list(typed.wrong) == ["12", "hello"]
    assert typed.medium == "all"  # what is unknown says nothing less than everything


async def test_what_is_wrong_with_a_line_is_told_in_the_language_of_the_reader(world):
    async with client(world) as http:
        http.cookies.set("lang", "es")
        answer = await pressed(http, lines="5511223344\nhello", reason="x")
    assert answer.status_code == 422
    assert "Falta el código de país. Escríbelo con +." in answer.text
    assert "is not a phone number" not in answer.text


async def test_what_is_added_holds_and_is_in_the_log(world):
    before = await known(world)
    async with client(world, "operator") as http:
        answer = await pressed(http, lines="+525599887766\nbruno@example.org", medium="sms", reason="asked on the phone")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?said=added")
        page = await http.get(f"{HERE}?q=%2B5255998")
    assert set(await known(world)) - set(before) == {("+525599887766", "sms"), ("bruno@example.org", "sms")}
    assert "operator@example.com: asked on the phone" in page.text
    assert "bruno@example.org" not in page.text
    noted = await world.db.read(audit.entries, worlds.WORKSPACE, what="optout.added")
    assert (noted[0].who, noted[0].about, noted[0].details["medium"]) == ("operator@example.com", "2 addresses", "sms")


async def test_more_lines_than_are_read_at_once_are_refused_and_kept(world):
    before, last = await known(world), "+525500010000"
    lines = "\n".join(f"+5255000{n:05}" for n in range(MOST + 1))
    assert lines.endswith(last)
    async with client(world) as http:
        answer = await pressed(http, lines=lines, reason="asked")
    assert (answer.status_code, "No more than 10,000 lines" in answer.text, last in answer.text) == (422, True, True)
    assert await known(world) == before


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"lines": "+525599887766\nnonsense", "reason": "x"}, "nonsense"),
        ({"lines": "  ", "reason": "x"}, "Write at least one"),
        ({"lines": "+525599887766", "reason": " "}, "Say why"),
    ],
)
async def test_a_form_that_is_wrong_adds_nothing_and_keeps_what_was_typed(world, form, said):
    before = await known(world)
    async with client(world) as http:
        answer = await pressed(http, **form)
    assert answer.status_code == 422
    assert said in answer.text
    assert form["lines"] in answer.text
    assert await known(world) == before


async def test_only_an_admin_lifts_and_the_log_keeps_what_was_known(world):
    await world.db.run(suppressions.suppress, worlds.WORKSPACE, ["+1"], "sms", worlds.NINE, "words of the person", "STOP")
    async with client(world, "operator") as http:
        assert (await pressed(http, f"{HERE}/lift", value="+1", medium="sms")).status_code == 403
    async with client(world, "admin") as http:
        first = await pressed(http, f"{HERE}/lift", value="+1", medium="sms")
        second = await pressed(http, f"{HERE}/lift", value="+1", medium="sms")
    assert [one.headers["location"] for one in (first, second)] == [f"{HERE}?said=lifted", f"{HERE}?said=gone"]
    assert ("+1", "sms") not in await known(world)
    noted = await world.db.read(audit.entries, worlds.WORKSPACE, what="optout.lifted")
    assert [(one.about, one.details["proof"]) for one in noted] == [("+1", "STOP")]


async def test_another_workspace_is_not_touched_and_long_lists_are_paged(world):
    other = new_id(worlds.NINE)
    numbers = [f"+1212555{at:04d}" for at in range(PAGE + 5)]
    await world.db.run(suppressions.suppress, other, ["+999"], "sms", worlds.NINE, "by hand", "")
    await world.db.run(suppressions.suppress, worlds.WORKSPACE, numbers, "sms", worlds.NINE, "by hand", "")
    async with client(world) as http:
        assert (await pressed(http, f"{HERE}/lift", value="+999", medium="sms")).headers["location"] == f"{HERE}?said=gone"
        first = (await http.get(f"{HERE}?q=%2B1212555")).text
        following = re.search(rf'href="({re.escape(HERE)}\?q=[^"]+after=[^"]+)"', first)
        second = (await http.get(following[1].replace("&amp;", "&"))).text
    shown = [re.findall(r'<th scope="row" class="num">([^<]+)<', page) for page in (first, second)]
    assert shown == [numbers[:PAGE], numbers[PAGE:]]
    assert await known(world, other) == [("+999", "sms")]
