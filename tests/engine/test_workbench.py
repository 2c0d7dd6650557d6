"""An audience is read, read again, mended and added to; its figures are those of its rows after every change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, func, select

from campana.core.audience import BadAudience
from campana.core.campaign import AudienceSpec
from campana.core.draft import Draft
from campana.core.ids import Id
from campana.core.quick_add import read_lines
from campana.core.reading import Told, mapped
from campana.core.tally import EMPTY, moved
from campana.core.workbench import Row
from campana.engine import workbench
from campana.engine.readings import NotADraft, Place, Readings
from campana.engine.workbench import Unchangeable
from campana.sources.forms import Limits
from campana.sources.table import Reader
from campana.store import audience_rows, campaigns, drafts, jobs
from campana.store.drafts import Author
from campana.store.schema import audience, audience_row, upload
from campana.store.workbench import CHANGE, IMPORT, Bench, busy, look, rows_of
from tests.engine.world import World, sms

pytestmark = pytest.mark.both_databases

PEOPLE = """name,phone,email
Ana,+525511223344,ana@example.com
Bruno,+525511223344,bruno@example.com
Carla,12,
Dora,,
Eva,+122233344555,eva@example.com
Fede,+525511223355,ANA@example.com
"""
FLAGS = ["", "duplicate", "too_short", "missing", "not_in_plan", "duplicate"]


def nothing(c: Connection) -> None:
    """No audit log."""


async def pieces(text: str | bytes, size: int = 30) -> AsyncIterator[bytes]:
    body = text.encode() if isinstance(text, str) else text
    for at in range(0, len(body), size):
        yield body[at : at + size]


class Desk:
    """A draft and whoever works on its audience."""

    def __init__(self, world: World, readings: Readings, at: Place) -> None:
        self.world, self.readings, self.at, self.db = world, readings, at, world.house.db

    async def upload(self, text: str | bytes = PEOPLE, told: Told | None = None, **spec: Any) -> asyncio.Task[None]:
        spec_ = AudienceSpec(flagged="leave_out", **spec)
        return await self.readings.upload(self.at, "people.csv", pieces(text), told or Told(), spec_, nothing)

    async def loaded(self, text: str | bytes = PEOPLE, **more: Any) -> Bench:
        await (await self.upload(text, **more))
        return await self.bench()

    async def bench(self, shown: str = "", **page: int) -> Bench:
        def both(c: Connection) -> tuple[Bench | None, list[Row]]:
            """The page and all rows as of one moment: others may be changing them."""
            seen = look(c, self.at.workspace_id, self.at.campaign_id, shown, **{"limit": 100, **page})
            there = seen is not None and seen.audience is not None
            return seen, rows_of(audience_rows.from_number(c, seen.audience.id, "", 0, 10_000)) if there else []

        found, rows = await self.db.read(both)
        assert found is not None
        self.is_right(found, rows)
        return found

    def is_right(self, bench: Bench, rows: list[Row]) -> None:
        """The figures are those of a count of the rows."""
        if bench.audience is None or not bench.audience.loaded:
            return
        counted = moved(EMPTY, bench.audience.spec, [], rows)
        assert replace(counted, fields=bench.audience.summary.fields, changed=bench.audience.summary.changed) == replace(
            bench.audience.summary, refusal=counted.refusal
        )

    async def change(self, number: int, what: Any = "save", cells: dict[int, str] | None = None) -> workbench.Changed:
        audience_id = (await self.bench()).audience.id  # type: ignore[union-attr]
        return await workbench.change(self.world.house, self.at, audience_id, number, what, cells or {}, nothing)

    async def change_all(self, what: Any, kind: str) -> Bench:
        audience_id = (await self.bench()).audience.id  # type: ignore[union-attr]
        await workbench.change_all(self.readings, self.at, audience_id, what, kind, nothing)
        await asyncio.gather(*self.readings._tasks)
        return await self.bench()

    async def left(self) -> list[int]:
        tables = (audience, audience_row, upload)
        return await self.db.read(lambda c: [c.scalar(select(func.count()).select_from(one)) or 0 for one in tables])


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Desk]:
    house, workspace_id = world.house, world.installation.workspace_id
    campaign_id: Id = await house.db.run(drafts.create, workspace_id, "Visits", Draft(), Author(None, "test"), house.clock.now())
    readings = Readings(house, world.folder / "readings", Limits(file_bytes=100_000))
    yield Desk(world, readings, Place(workspace_id, campaign_id))
    await readings.close()
    assert list((world.folder / "readings").glob("*")) == []  # a file lies there only while it is read


def flags(rows: Any) -> list[str]:
    return [row.flag or "" for row in rows]


async def test_an_uploaded_file_is_the_audience_of_its_draft(desk: Desk) -> None:
    bench = await desk.loaded()
    assert bench.audience is not None
    assert bench.audience.columns == ("name", "phone", "email")
    assert (bench.audience.file_name, bench.audience.loaded, bench.audience.open_problems, bench.last) == (
        "people.csv",
        True,
        4,
        6,
    )
    assert flags(bench.rows) == FLAGS
    assert bench.reading is not None
    assert (bench.reading.done, bench.reading.total, bench.reading.trouble) == (6, 6, None)
    assert bench.audience.reading.found is not None
    assert bench.audience.reading.found.sample[0] == ("Ana", "+525511223344", "ana@example.com")


async def test_rows_are_found_by_what_is_wrong_with_them_a_page_at_a_time(desk: Desk) -> None:
    await desk.loaded()
    pages = [("problems", {"first": 1}, [2, 3, 4, 6]), ("problems", {"first": 3, "limit": 2}, [3, 4]),
             ("problems", {"until": 5, "limit": 2}, [3, 4]), ("duplicate", {}, [2, 6]), ("not_in_plan", {}, [5]),
             ("", {"first": 5}, [5, 6]), ("dropped", {}, [])]  # fmt: skip
    for shown, page, numbers in pages:
        assert [row.number for row in (await desk.bench(shown, **page)).rows] == numbers, (shown, page)


async def test_a_fixed_row_is_checked_by_the_same_rules(desk: Desk) -> None:
    await desk.loaded()
    assert (await desk.change(3, cells={1: "+52 55 1122 3366"})).row.phone == "+525511223366"
    assert (await desk.change(4, cells={2: "+525511223344"})).row.flag == "malformed"
    again = (await desk.change(4, cells={1: "+52 55 1122 3344", 2: ""})).row
    assert (again.flag, again.issues[0].of) == ("duplicate", 1)
    bench = await desk.bench()
    assert flags(bench.rows) == ["", "duplicate", "", "duplicate", "not_in_plan", "duplicate"]
    assert bench.rows[3].cells == ("Dora", "+52 55 1122 3344", "")


async def test_a_repetition_is_offered_once_the_first_is_gone_and_not_when_it_is_back(desk: Desk) -> None:
    await desk.loaded()
    changed = await desk.change(1, "drop")
    assert (changed.row.flag, changed.freed) == ("dropped", (2, 6))
    assert flags((await desk.bench()).rows) == ["dropped", "", "too_short", "missing", "not_in_plan", ""]
    back = await desk.change(1, "restore")
    assert (back.row.flag, [issue.of for issue in back.row.issues]) == ("duplicate", [2, 6])


async def test_a_change_that_means_nothing_to_others_looks_for_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(*_: Any) -> Any:
        raise AssertionError("a million rows would be read")

    await desk.loaded("name,phone\nAna,+525511223344\nBea,12\nCaio,+525511223355\n")
    monkeypatch.setattr(audience_rows, "with_addresses", scan)
    await desk.change(1, cells={0: "Anna"})
    await desk.change(2, "drop")
    await desk.change(3, "drop")
    assert flags((await desk.bench()).rows) == ["", "dropped", "dropped"]


async def test_of_many_repetitions_one_is_offered_and_the_others_name_it(desk: Desk) -> None:
    await desk.loaded("name,phone,email\n" + "".join(f"P{n},+525511223344,p{n % 3}@example.com\n" for n in range(6)))
    await desk.change(1, cells={1: "+525511229999"})
    bench = await desk.bench()
    assert flags(bench.rows) == ["", "", *["duplicate"] * 4]
    assert [row.issues[0].of for row in bench.rows[2:]] == [2, 2, 2, 2]


async def test_a_number_that_only_the_plan_dislikes_is_kept_when_somebody_says_so(desk: Desk) -> None:
    await desk.loaded()
    changed = await desk.change(5, "accept")
    assert (changed.row.flag, changed.row.left_out, changed.row.issues[0].severity) == (None, None, "accepted")
    assert (await desk.change(5, cells={0: "Evita"})).row.flag is None  # the number is the one that was accepted
    assert (await desk.change(5, cells={1: "+122233344556"})).row.flag == "not_in_plan"


async def test_all_of_a_kind_are_dropped_and_brought_back(desk: Desk) -> None:
    await desk.loaded()
    assert flags((await desk.change_all("drop", "duplicate")).rows) == [
        "",
        "dropped",
        "too_short",
        "missing",
        "not_in_plan",
        "dropped",
    ]
    await desk.change_all("drop", "missing")
    await desk.change_all("accept", "not_in_plan")
    bench = await desk.change_all("drop", "too_short")
    assert bench.audience is not None
    assert (bench.audience.open_problems, bench.audience.summary.offered, bench.audience.summary.changed) == (0, 2, 5)
    assert flags((await desk.change_all("restore", "dropped")).rows) == ["", "duplicate", "too_short", "missing", "", "duplicate"]


async def test_repetitions_are_offered_when_all_of_the_kind_before_them_are_dropped(desk: Desk) -> None:
    await desk.loaded("phone\n+122233344555\n+122233344555\n+525511223344\n")
    bench = await desk.change_all("drop", "not_in_plan")
    assert flags(bench.rows) == ["dropped", "not_in_plan", ""]


TWICE = "phone\n+122233344555\n+122233344555\n+525511223344\n"


async def test_a_kill_before_the_repetitions_are_looked_at_loses_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.loaded(TWICE)
    with monkeypatch.context() as patch:
        patch.setattr(workbench, "_check_all", lambda *_: asyncio.Event().wait())
        audience_id = (await desk.bench()).audience.id  # type: ignore[union-attr]
        await workbench.change_all(desk.readings, desk.at, audience_id, "drop", "not_in_plan", nothing)
        assert flags((await desk.bench()).rows) == ["dropped", "duplicate", ""]
        await desk.readings.close()
    half = (await desk.bench()).change
    assert half is not None
    desk.world.clock.advance_to(half.beat_at + jobs.SILENCE)
    assert half.died(desk.world.clock.now())
    assert (await desk.bench()).changes == "drop:not_in_plan"
    assert flags((await desk.change_all("drop", "not_in_plan")).rows) == ["dropped", "not_in_plan", ""]


async def test_a_change_whose_process_is_gone_stands_in_nobodys_way_for_long(desk: Desk) -> None:
    audience_id = (await desk.loaded()).audience.id  # type: ignore[union-attr]
    now = desk.world.clock.now()
    await desk.db.run(jobs.start, desk.at.workspace_id, CHANGE, audience_id, now, '"drop:too_short"')  # and then it is killed

    async def stands_in_the_way() -> bool:
        return await desk.db.read(busy, desk.at.campaign_id, audience_id, desk.world.clock.now())

    assert await stands_in_the_way()
    with pytest.raises(Unchangeable, match="being changed"):
        await desk.change(1, "drop")
    desk.world.clock.advance_to(now + jobs.SILENCE)
    assert not await stands_in_the_way()
    await desk.change(1, "drop")


async def test_a_change_that_stumbles_says_so_and_is_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.loaded(TWICE)

    async def stumble(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(workbench, "_check_all", stumble)
        change = (await desk.change_all("drop", "not_in_plan")).change
    assert change is not None
    assert change.finished_at is not None
    assert "a reason of ours" in (change.trouble or "")


async def test_a_change_of_what_is_not_there_any_more_says_so(desk: Desk) -> None:
    old = (await desk.loaded()).audience
    assert old is not None
    with pytest.raises(Unchangeable, match="no row 7"):
        await desk.change(7, "drop")
    await desk.loaded()
    with pytest.raises(Unchangeable, match="read anew"):
        await workbench.change(desk.world.house, desk.at, old.id, 1, "drop", {}, nothing)


async def test_two_who_change_rows_at_once_both_do(desk: Desk) -> None:
    await desk.loaded("phone\n1\n2\n3\n4\n")
    await asyncio.gather(*(desk.change(n, cells={0: "+525511223344"}) for n in (1, 2, 3)))
    assert sorted(flags((await desk.bench()).rows)) == ["", "duplicate", "duplicate", "too_short"]


async def test_people_of_another_campaign_are_not_changed_through_this_one(desk: Desk) -> None:
    bench = await desk.loaded()
    assert bench.audience is not None
    now = desk.world.clock.now()
    other = await desk.db.run(drafts.create, desk.at.workspace_id, "Other", Draft(), Author(None, "test"), now, bench.audience.id)
    with pytest.raises(Unchangeable, match="Another campaign"):
        await desk.change(1, "drop")
    await (await desk.readings.again(desk.at, Told(), AudienceSpec(), nothing))
    await desk.change(1, "drop")
    rows = (await desk.db.read(look, desk.at.workspace_id, other, limit=10)).rows
    assert flags(rows) == FLAGS


async def test_what_was_launched_is_not_changed(desk: Desk) -> None:
    run = await desk.world.launch(sms())
    row = await desk.db.read(campaigns.get_run, run)
    assert row is not None
    at = Place(desk.at.workspace_id, row.campaign_id)
    with pytest.raises(NotADraft):
        await desk.readings.upload(at, "people.csv", pieces(PEOPLE), Told(), AudienceSpec(), nothing)
    with pytest.raises(NotADraft):
        await workbench.add(desk.world.house, at, read_lines("+525511223344"), None, nothing)
    assert (await desk.left())[2] == 0


# --- reading again ----------------------------------------------------------------------------------------------------------


async def test_another_way_of_reading_replaces_the_audience_and_keeps_the_file(desk: Desk) -> None:
    first = await desk.loaded("name;phone;city\nAna;5511223344;X\n", told=Told(separator=","))
    assert first.audience is not None
    assert (first.audience.loaded, first.audience.columns) == (False, ())
    assert "neither a phone" in (first.audience.trouble or "")
    told, spec = mapped(
        Told(),
        AudienceSpec(country="MX"),
        ("name", "phone", "city"),
        {0: ("field", "first name"), 1: ("phone", "phone"), 2: ("ignore", "")},
    )
    await (await desk.readings.again(desk.at, told, spec, nothing))
    bench = await desk.bench()
    assert bench.audience is not None
    assert (bench.audience.loaded, bench.audience.trouble, bench.audience.columns) == (True, None, ("first name", "phone"))
    assert (bench.rows[0].cells, bench.rows[0].phone) == (("Ana", "5511223344"), "+525511223344")
    assert await desk.left() == [1, 1, 2]


async def test_an_attempt_that_fails_leaves_what_there_was(desk: Desk) -> None:
    before = await desk.loaded()
    await (await desk.readings.again(desk.at, Told(encoding="utf-16"), AudienceSpec(), nothing))
    after = await desk.bench()
    assert before.audience is not None
    assert after.audience is not None
    assert after.reading is not None
    assert (after.audience.id, flags(after.rows)) == (before.audience.id, FLAGS)
    assert "not written in utf-16" in (after.reading.trouble or "")
    assert after.attempt is not None
    assert after.attempt.told.encoding == "utf-16"
    assert (await desk.left())[0] == 1


async def test_of_two_files_the_later_one_is_the_audience(desk: Desk) -> None:
    tasks = [await desk.upload("phone\n" + "+525511223344\n" * 5000), await desk.upload(PEOPLE)]
    await asyncio.gather(*tasks)
    assert flags((await desk.bench()).rows) == FLAGS
    assert (await desk.left())[:2] == [1, 6]


async def test_a_reading_whose_process_died_can_be_begun_again(desk: Desk) -> None:
    task = await desk.upload("phone\n" + "+525511223344\n" * 5000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    half = await desk.bench()
    assert half.reading is not None
    assert half.reading.runs(desk.world.clock.now())
    desk.world.clock.advance_to(half.reading.beat_at + jobs.SILENCE)
    assert half.reading.died(desk.world.clock.now())
    assert half.attempt is not None
    await (await desk.readings.again(desk.at, half.attempt.told, AudienceSpec(), nothing))
    bench = await desk.bench()
    assert bench.audience is not None
    assert (bench.audience.loaded, bench.audience.summary.rows) == (True, 5000)
    assert (await desk.left())[:2] == [1, 5000]


async def test_what_is_too_large_or_no_table_is_refused_in_words(desk: Desk) -> None:
    with pytest.raises(BadAudience, match="100,000 bytes"):
        await desk.upload("phone\n" + "x" * 100_000)
    assert await desk.left() == [0, 0, 0]
    bench = await desk.loaded(b"%PDF-1.7 not a table")
    assert bench.audience is not None
    assert "no table" in (bench.audience.trouble or "")
    with pytest.raises(Unchangeable, match="still being read"):
        await desk.change(1, "drop")


async def test_what_was_made_ready_for_a_file_ends_with_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Noted(Reader):
        def __init__(self) -> None:
            super().__init__()
            made.append(self._process)

    monkeypatch.setattr("campana.engine.readings.Reader", Noted)
    with pytest.raises(BadAudience):
        await desk.upload("phone\n" + "x" * 100_000)
    await desk.loaded()
    await desk.upload()
    await desk.readings.close()
    assert [process.poll() is None for process in made] == [False] * 3


async def test_a_draft_without_a_file_has_none_to_read_again(desk: Desk) -> None:
    with pytest.raises(BadAudience, match="no file"):
        await desk.readings.again(desk.at, Told(), AudienceSpec(), nothing)


# --- people typed by hand ---------------------------------------------------------------------------------------------------


async def test_people_typed_by_hand_are_checked_like_those_of_a_file(desk: Desk) -> None:
    text = "Ana, +525511223344\nbruno@example.com\n+525511223344\nhello\n"
    rows = await workbench.add(desk.world.house, desk.at, read_lines(text), None, nothing)
    assert flags(rows) == ["", "", "duplicate", "missing"]
    more = await workbench.add(desk.world.house, desk.at, read_lines("Caio BRUNO@example.com\n5511223355"), "MX", nothing)
    assert [(row.number, row.flag, row.phone) for row in more] == [(5, "duplicate", None), (6, None, "+525511223355")]
    bench = await desk.bench()
    assert bench.audience is not None
    assert (bench.audience.columns, bench.audience.summary.fields) == (("name", "phone", "email"), ("name",))
    assert bench.rows[0].cells == ("Ana", "+525511223344", "")


async def test_people_typed_by_hand_join_those_of_a_file(desk: Desk) -> None:
    await desk.loaded("nombre,phone\nAna,+525511223344\n")
    rows = await workbench.add(desk.world.house, desk.at, read_lines("Bea +525511223355\n+525511223344"), None, nothing)
    assert [(row.cells, row.flag) for row in rows] == [(("Bea", "+525511223355"), None), (("", "+525511223344"), "duplicate")]
    with pytest.raises(Unchangeable, match="no column for e-mail"):
        await workbench.add(desk.world.house, desk.at, read_lines("bea@example.com"), None, nothing)


async def test_a_job_that_is_over_takes_no_more_words(desk: Desk) -> None:
    await desk.loaded()
    newest = await desk.db.read(jobs.latest, desk.at.campaign_id, IMPORT)
    assert newest is not None
    assert newest.finished_at is not None
    assert not await desk.db.run(jobs.beat, newest.id, 1, 1, 1)
    assert not await desk.db.run(jobs.finish, newest.id, None, "late", 1)
    assert await desk.db.read(jobs.latest, desk.at.campaign_id, IMPORT) == newest
