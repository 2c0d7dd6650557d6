"""Set-up and workbench by their pages, as a browser without script uses them."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from campana.store import audit, drafts, jobs
from campana.store.schema import audience
from campana.store.workbench import CHANGE, Bench, look
from tests.engine.conftest import world, worlds  # noqa: F401 - fixtures
from tests.web.forms import filled, read_forms
from tests.web.studio import Studio, press

PEOPLE = (
    "name,phone,email\nAna,+525511223344,ana@example.com\nBruno,+525511223344,\nCarla,12,\n<b>Dora</b>,,\nEva,+122233344555,\n"
)


@pytest.fixture
async def studio(world) -> Studio:  # noqa: F811
    studio = Studio(world)
    await studio.begin(people=())
    return studio


async def upload(
    http: httpx.AsyncClient, home: str, content: str | bytes = PEOPLE, name: str = "people.csv", **more: str
) -> httpx.Response:
    """As the form of the set-up page does it."""
    html = (await http.get(f"{home}/setup")).text
    fields = {**filled(html, "upload"), **more}
    fields.pop("file", None)
    return await http.post(f"{home}/audience/upload", data=fields, files={"file": (name, content)})


async def bench_of(studio: Studio, **page: Any) -> Bench:
    found = await studio.world.house.db.read(look, studio.workspace_id, studio.campaign_id, limit=100, **page)
    assert found is not None
    return found


async def read(studio: Studio, http: httpx.AsyncClient, content: str | bytes = PEOPLE, **more: str) -> str:
    """Uploads a file, waits until it is read, and opens the workbench."""
    answer = await upload(http, studio.home, content, **more)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{studio.home}/audience")
    await settled(studio)
    return (await http.get(f"{studio.home}/audience")).text


async def settled(studio: Studio) -> None:
    """Returns when no file is being read any more."""
    for task in list(studio.world.installation.readings._tasks):
        await task


def numbers(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'<tr role="row" id="r(\d+)"', html)]


async def test_a_file_is_uploaded_and_its_rows_are_shown_with_what_is_wrong(studio: Studio):
    async with studio.as_user() as http:
        html = await read(studio, http)
        assert numbers(html) == [1, 2, 3, 4, 5]
        for words in (
            "The same address is in row 1 already",
            "There are too few digits",
            "nobody can be reached",
            "No numbering plan knows",
        ):
            assert words in html
        assert "&lt;b&gt;Dora" in html
        only = (await http.get(f"{studio.home}/audience?show=problems")).text
        assert numbers(only) == [2, 3, 4]
        assert "3 rows to mend" in (await http.get(f"{studio.home}/setup")).text


async def test_a_row_is_mended_dropped_and_brought_back_by_plain_forms(studio: Studio):
    async with studio.as_user() as http:
        html = await read(studio, http)
        answer = await http.post(
            f"{studio.home}/audience/rows/3", data={**filled(html, "f3"), "cell-1": "+525511223366", "do": "save"}
        )
        assert answer.status_code == 303
        html = (await http.get(answer.headers["location"])).text
        assert "Row 3 is mended." in html
        for do, words in (("drop", "Row 2 is dropped."), ("restore", "Row 2 is back."), ("drop", "Row 2 is dropped.")):
            answer = await http.post(f"{studio.home}/audience/rows/2", data={**filled(html, "f2"), "do": do})
            html = (await http.get(answer.headers["location"])).text
            assert words in html
        answer = await http.post(f"{studio.home}/audience/rows/5", data={**filled(html, "f5"), "do": "accept"})
        assert "Row 5 is used as it is." in (await http.get(answer.headers["location"])).text
    bench = await bench_of(studio)
    assert [row.flag for row in bench.rows] == [None, "dropped", None, "missing", None]
    assert bench.audience is not None
    assert (bench.audience.open_problems, bench.audience.summary.phones) == (1, 3)


async def test_a_part_of_the_page_is_answered_with_that_part(studio: Studio):
    async with studio.as_user() as http:
        html = await read(studio, http)
        fields = {**filled(html, "f3"), "cell-1": "1", "do": "save"}
        part = await http.post(f"{studio.home}/audience/rows/3", data=fields, headers={"hx-request": "true"})
        assert part.status_code == 200
        assert "<html" not in part.text
        assert "Row 3 still has a problem." in part.text
        assert 'aria-describedby="r3c1"' in part.text
        assert "<html" not in (await http.get(f"{studio.home}/audience/bench", headers={"hx-request": "true"})).text


async def test_all_of_a_kind_are_changed(studio: Studio):
    async with studio.as_user() as http:
        await read(studio, http)
        for kind in ("duplicate", "missing", "too_short"):
            html = (await http.get(f"{studio.home}/audience?show={kind}")).text
            answer = await http.post(
                f"{studio.home}/audience/rows", data={**filled(html, f"{studio.home}/audience/rows"), "do": f"drop:{kind}"}
            )
            assert answer.status_code == 303
        assert (await bench_of(studio)).audience.open_problems == 0  # type: ignore[union-attr]
        html = (await http.get(f"{studio.home}/audience?show=problems")).text
        assert "Nothing to mend." in html
        wrong = await http.post(f"{studio.home}/audience/rows", data={**filled(html, "reading"), "do": "drop:nonsense"})
        assert wrong.status_code == 404


async def test_problem_rows_come_as_a_file_that_is_safe_to_open(studio: Studio):
    async with studio.as_user() as http:
        await read(studio, http, PEOPLE + "=HYPERLINK(1),12,\n")
        answer = await http.get(f"{studio.home}/audience/problems.csv")
        rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
        assert rows[0] == ["name", "phone", "email", "Row", "What is wrong"]
        assert [row[3] for row in rows[1:]] == ["2", "3", "4", "6"]
        assert rows[4][0] == "'=HYPERLINK(1)"
        assert "too few digits" in rows[2][4]
        assert answer.headers["content-disposition"] == "attachment; filename=visits-problems.csv"
        assert (await http.get("/audience-template.csv")).text.splitlines()[0].endswith("name,phone,email")


async def test_a_file_is_read_again_with_columns_mapped_and_a_country(studio: Studio):
    async with studio.as_user() as http:
        html = await read(studio, http, "cliente,celular,ciudad\nAna,5511223344,X\nBea,5511223355,Y\n")
        assert "The file cannot be read this way:" in html
        fields = filled(html, "reading")
        assert [fields[f"name-{at}"] for at in range(3)] == ["cliente", "celular", "ciudad"]
        fields |= {"role-0": "field", "name-0": "name", "role-1": "phone", "role-2": "ignore", "country": "MX"}
        assert (await http.post(f"{studio.home}/audience/read", data=fields)).status_code == 303
        await settled(studio)
        bench = await bench_of(studio)
        assert bench.audience is not None
        assert (bench.audience.columns, bench.audience.open_problems) == (("name", "celular"), 0)
        assert [row.phone for row in bench.rows] == ["+525511223344", "+525511223355"]
        again = filled((await http.get(f"{studio.home}/audience")).text, "reading")
        assert [again[name] for name in ("role-0", "name-0", "role-1", "role-2", "country")] == [
            "field",
            "name",
            "phone",
            "ignore",
            "MX",
        ]


async def test_people_are_added_by_hand(studio: Studio):
    async with studio.as_user() as http:
        answer = await press(http, f"{studio.home}/audience/quick", "quick", (await http.get(f"{studio.home}/setup")).text,
                             people="Ana, +52 55 1122 3344\nana@example.com\n", country="")  # fmt: skip
        assert answer.headers["location"] == f"{studio.home}/audience"
        assert numbers((await http.get(f"{studio.home}/audience")).text) == [1, 2]
        html = (await http.get(f"{studio.home}/setup")).text
        answer = await press(http, f"{studio.home}/audience/quick", "quick", html, people="\n")
        assert (answer.status_code, "Write at least one number" in answer.text) == (422, True)
        many = "+525511223344\n" * 2001
        answer = await press(http, f"{studio.home}/audience/quick", "quick", html, people=many)
        assert (answer.status_code, "more than 2,000" in answer.text, many.strip() in answer.text) == (422, True, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Choose a file first"),
        (b"%PDF-1.4", None),
        (b"\x00\x01\x02binary", None),
        (b"only text", None),
        (b'name,phone\n"a,1\n', None),
    ],
)
async def test_a_file_that_cannot_be_used_says_why_and_harms_nobody(studio: Studio, content: bytes, words: str | None):
    async with studio.as_user() as http:
        answer = await upload(http, studio.home, content, name="people.csv" if content else "")
        if words:
            assert (answer.status_code, words in answer.text) == (422, True)
            return
        await settled(studio)
        html = (await http.get(f"{studio.home}/audience")).text
        assert "The file cannot be read this way:" in html
        assert await http.get(f"{studio.home}/setup") is not None


async def test_name_and_tags_are_kept_and_a_name_is_given_once(studio: Studio):
    await studio.write(drafts.create, studio.workspace_id, "Spring", drafts.Draft(), drafts.Author(None, "x"), 1)
    async with studio.as_user() as http:
        form = filled((await http.get(f"{studio.home}/setup")).text, "setup")
        taken = await http.post(f"{studio.home}/setup/name", data={**form, "name": "  spring "})
        assert "Another campaign has this name" in taken.text
        kept = await http.post(f"{studio.home}/setup/name", data={**form, "name": "Summer Visits"})
        assert "summer-visits" in kept.text
        assert ((await studio.draft()).name, 'name="version" value="2"' in kept.text) == ("Summer Visits", True)
        late = await http.post(f"{studio.home}/setup/name", data={**form, "name": "Autumn Visits"})
        assert ("Somebody else changed" in late.text, (await studio.draft()).name) == (True, "Summer Visits")
        refused = await press(http, f"{studio.home}/setup", "setup", name="SPRING", tag="vip")
        assert (refused.status_code, 'value="SPRING"' in refused.text, 'value="vip"' in refused.text) == (422, True, True)
        answer = await press(http, f"{studio.home}/setup", "setup", name="Winter Visits", tag="vip", do="continue")
        assert answer.headers["location"] == f"{studio.home}/journey"
        draft = await studio.draft()
        assert (draft.name, draft.tags) == ("Winter Visits", ("winter-visits", "vip"))
        await press(http, f"{studio.home}/setup", "setup", do="untag:vip")
        await press(http, f"{studio.home}/setup", "setup", do="untag:winter-visits")
        assert (await studio.draft()).tags == ("winter-visits",)


async def test_two_who_rename_a_draft_see_each_other(studio: Studio):
    async with studio.as_user() as ana, studio.as_user("berta") as berta:
        old = (await berta.get(f"{studio.home}/setup")).text
        await press(ana, f"{studio.home}/setup", "setup", name="Hers")
        answer = await press(berta, f"{studio.home}/setup", "setup", old, name="Mine")
        assert (answer.status_code, "ana@example.com changed this campaign" in answer.text) == (409, True)
        version = re.search(r'value="mine:(\d+)"', answer.text)[1]  # type: ignore[index]
        await press(berta, f"{studio.home}/setup", "setup", answer.text, do=f"mine:{version}")
        assert (await studio.draft()).name == "Mine"


async def test_a_change_of_rows_that_were_read_anew_says_so(studio: Studio):
    async with studio.as_user() as http:
        old = await read(studio, http)
        await read(studio, http)
        answer = await http.post(f"{studio.home}/audience/rows/2", data={**filled(old, "f2"), "do": "drop"})
        assert (answer.status_code, "read anew" in answer.text) == (409, True)


async def test_changes_stand_in_the_audit_log(studio: Studio):
    async with studio.as_user() as http:
        html = await read(studio, http)
        await http.post(f"{studio.home}/audience/rows/2", data={**filled(html, "f2"), "do": "drop"})
    found = await studio.world.house.db.read(audit.entries, studio.workspace_id)
    assert [(one.what, one.about, one.who) for one in found[:2]] == [
        ("audience.row", "row 2", "ana@example.com"),
        ("audience.uploaded", "people.csv", "ana@example.com"),
    ]


async def test_there_is_no_way_to_another_workspace(studio: Studio):
    other = "0" * 32
    async with studio.as_user() as http:
        html = await read(studio, http)
        for path in ("setup", "audience", "audience/bench", "audience/problems.csv"):
            assert (await http.get(f"/campaigns/{other}/{path}")).status_code == 404
        for path in ("setup", "audience/rows/1", "audience/rows", "audience/read", "audience/quick", "audience/upload"):
            assert (await http.post(f"/campaigns/{other}/{path}", data=filled(html, "f2"))).status_code == 404, path
        assert (await http.post(f"{studio.home}/audience/rows/2")).status_code == 403  # no form of ours
    kept = await studio.world.house.db.read(lambda c: c.scalars(select(audience.c.id)).all())
    assert len(kept) == 1
    assert read_forms(html).fields["f2"]


async def test_a_change_whose_process_died_is_told_and_can_be_done_to_its_end(studio: Studio):
    async with studio.as_user() as http:
        await read(studio, http)
        audience_id = (await bench_of(studio)).audience.id
        house, now = studio.world.house, studio.world.clock.now()
        await house.db.run(jobs.start, studio.workspace_id, CHANGE, audience_id, now, '"drop:missing"')
        assert "Change the others too" not in (await http.get(f"{studio.home}/audience")).text  # it may go on
        studio.world.clock.advance_to(now + jobs.SILENCE)
        html = (await http.get(f"{studio.home}/audience")).text
        assert "the program was stopped before all were" in html
        assert 'name="do" value="drop:missing"' in html
        path = f"{studio.home}/audience/rows"
        answer = await press(http, path, path, html, do="drop:missing")
        assert answer.status_code == 303
        assert "Change the others too" not in (await http.get(f"{studio.home}/audience")).text
    assert (await bench_of(studio)).rows[3].flag == "dropped"


async def test_a_row_of_too_many_cells_is_mended_in_the_page(studio: Studio):
    wide = "name,phone,city\nPérez, Juan,+525511223344,Lima\nAna,+525511223355,Quito,x,y\nBea,+525511223366,Lima,,\n"
    async with studio.as_user() as http:
        html = await read(studio, http, wide)
        assert ("belongs to no column" in html, "Surplus cell 2 of row 2" in html) == (False, True)
        fields = filled(html, "f1")
        assert [fields[f"cell-{at}"] for at in range(4)] == ["Pérez", " Juan", "+525511223344", "Lima"]
        path = f"{studio.home}/audience/rows/{{}}"
        await http.post(path.format(1), data={**fields, "do": "join-0"})
        await http.post(path.format(2), data={**filled(html, "f2"), "cell-2": "Cuenca", "do": "cut"})
    rows = (await bench_of(studio)).rows
    assert [(row.cells, row.flag) for row in rows[:2]] == [
        (("Pérez, Juan", "+525511223344", "Lima"), None),
        (("Ana", "+525511223355", "Cuenca"), None),
    ]
    assert rows[2].flag is None  # cells with nothing in them are too many for nobody


async def test_two_who_change_one_row_see_each_other(studio: Studio):
    async with studio.as_user() as ana, studio.as_user("berta") as berta:
        hers = filled(await read(studio, ana), "f4")
        path, name = f"{studio.home}/audience/rows/4", next(one for one in hers if one.startswith("cell-"))
        old = filled((await berta.get(f"{studio.home}/audience")).text, "f4")
        await ana.post(path, data={**hers, name: "+525511229901", "do": "save"})
        answer = await berta.post(path, data={**old, name: "+525511229902", "do": "save"})
        assert (answer.status_code, "Somebody else changed row 4 meanwhile" in answer.text) == (409, True)
        assert "Now: +525511229901" in answer.text
        now = filled(answer.text, "f4")
        assert now[name] == "+525511229902"  # what she typed is still there
        dropped = await berta.post(path, data={**old, "do": "drop"})
        assert dropped.status_code == 409
        assert (await berta.post(path, data={**now, "do": "save"})).status_code == 303
    assert (await bench_of(studio)).rows[3].phone == "+525511229902"


async def test_names_of_columns_are_no_formulas_in_the_file_of_problems(studio: Studio):
    async with studio.as_user() as http:
        await read(studio, http, "name,phone,=1+1\nAna,12,x\n")
        text = (await http.get(f"{studio.home}/audience/problems.csv")).text
    head = next(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert head[:3] == ["name", "phone", "'=1+1"]


async def test_the_list_says_whom_a_draft_is_for(studio: Studio):
    async with studio.as_user() as http:
        await read(studio, http)
        html = (await http.get("/campaigns")).text
    assert ("2 people" in html, "0 of 0" in html) == (True, False)
