"""Everybody of a campaign as a file, written here or by a process of its own: the same file, which loads again."""

from __future__ import annotations

import asyncio
import csv
import gc
import io
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Collection
from pathlib import Path

import pytest

from campana.core.campaign import AudienceSpec
from campana.core.journey import OUTCOMES, Outcome
from campana.core.reason import read
from campana.engine import exporting
from campana.engine.exporting import BrokenExport, Busy, Exports, Turns
from campana.engine.load import load_audience
from campana.engine.report import ENGLISH, Words, guard
from campana.store import audiences, campaigns
from tests.engine.conftest import Worlds
from tests.engine.test_missed import FAULTS, PEOPLE
from tests.engine.world import World, sms

pytestmark = pytest.mark.both_databases

ODD = [
    '=HYPERLINK("http://x";"y")',
    "+52 (55) 1122-3344",
    "-2+3",
    "@SUM(1)",
    "+1+cmd|' /C calc'!A0",
    "a,b\n'c'",
    "\tx",
    "é",
    "",
    "x",
]
ROWS = [{**person, "note": note} for person, note in zip(PEOPLE, ODD, strict=True)]
OURS = Words(
    {str(one): f"<{one}>" for one in OUTCOMES}, "fuera", {"duplicate": "repetida"}, lambda reason: f"porque {read(reason).code}"
)


async def over(worlds: Worlds) -> World:
    """A campaign that is over, to ten people of eleven rows."""
    world = await worlds(faults=FAULTS)
    await world.launch(sms(), people=[*ROWS, ROWS[0]], name="Visits")
    await world.play(days=3)
    return world


async def file_of(world: World, words: Words = ENGLISH, outcomes: Collection[int] = (), small: int = 0) -> bytes:
    exports = Exports(world.house.db, world.database_url, small)
    run = await world.house.db.read(campaigns.get_run, world.runs[-1])
    assert run is not None
    return b"".join([piece async for piece in exports.audience(run.campaign_id, words, outcomes)])


def rows_of(file: bytes) -> list[list[str]]:
    assert file.startswith(b"\xef\xbb\xbf"), "spreadsheets know UTF-8 by this"
    return list(csv.reader(io.StringIO(file.decode("utf-8-sig"), newline="")))


async def test_both_ways_write_the_same_file(worlds: Worlds) -> None:
    world = await over(worlds)
    for words, outcomes in ((ENGLISH, ()), (OURS, ()), (OURS, {OUTCOMES.index(Outcome.UNREACHED)})):
        assert await file_of(world, words, outcomes) == await file_of(world, words, outcomes, small=100)


async def test_columns_in_their_order_then_outcome_and_reason(worlds: Worlds) -> None:
    world = await over(worlds)
    header, *rows = rows_of(await file_of(world, OURS))
    assert header == ["name", "phone", "city", "note", "outcome", "reason"]
    assert [row[:2] for row in rows] == [[one["name"], one["phone"]] for one in [*ROWS, ROWS[0]]]
    assert [row[4] for row in rows[:5]] == ["<replied>", "<delivered>", "<unreached>", "<unreached>", "<opted_out>"]
    assert rows[2][5] == "porque failure"
    assert rows[10][4:] == ["fuera", "repetida"]
    english_rows = rows_of(await file_of(world))
    assert english_rows[3][4:] == ["unreached", "Unknown handset: number not in service (30005)"]
    assert english_rows[11][4:] == ["left out", "duplicate"]
    chosen = {OUTCOMES.index(Outcome.UNREACHED), OUTCOMES.index(Outcome.REPLIED)}
    assert [row[0] for row in rows_of(await file_of(world, OURS, chosen))[1:]] == ["Ana 1", "Ana 3", "Ana 4"]


async def test_no_cell_is_a_formula_and_phones_stay_readable(worlds: Worlds) -> None:
    world = await over(worlds)
    notes = [row[3] for row in rows_of(await file_of(world))[1:11]]
    guarded = {0, 2, 3, 4, 6}
    assert notes == [f"'{note}" if at in guarded else note for at, note in enumerate(ODD)]
    assert [row[1] for row in rows_of(await file_of(world))[1:11]] == [one["phone"] for one in ROWS]


async def test_the_file_loads_again(worlds: Worlds, tmp_path: Path) -> None:
    world = await over(worlds)
    path = tmp_path / "again.csv"
    path.write_bytes(await file_of(world, OURS))
    spec = AudienceSpec(duplicates="first")
    audience_id = await load_audience(world.house, world.installation.workspace_id, path, spec)
    rows = await world.house.db.read(audiences.rows_after, audience_id, 0, 100)
    assert [row.phone for row in rows if row.left_out is None] == [one["phone"] for one in PEOPLE]


async def test_rows_of_people_who_wait_are_there_too(worlds: Worlds) -> None:
    world = await worlds()
    await world.launch(sms(), people=ROWS, start=world.clock.now() + 10**9)
    assert {row[4] for row in rows_of(await file_of(world))[1:]} == {"waiting"}
    waiting = {OUTCOMES.index(Outcome.WAITING)}
    assert len(rows_of(await file_of(world, ENGLISH, waiting))) == 11


async def test_a_reader_who_goes_leaves_no_process_behind(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    world, begun = await over(worlds), list[Process]()
    real = exporting._start

    async def start() -> Process:
        begun.append(await real())
        return begun[-1]

    monkeypatch.setattr(exporting, "_start", start)
    run = await world.house.db.read(campaigns.get_run, world.runs[-1])
    assert run is not None
    pieces = Exports(world.house.db, world.database_url, 0).audience(run.campaign_id, ENGLISH)
    assert await anext(pieces)
    await pieces.aclose()  # type: ignore[attr-defined]
    assert begun[0].returncode is not None


async def test_readers_who_stand_still_give_up_their_turn(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "STILL_SECONDS", 0.01)
    monkeypatch.setattr(exporting, "OF_A_WORKSPACE", 2)
    monkeypatch.setattr(exporting, "BITE", 100)
    world = await over(worlds)
    run = await world.house.db.read(campaigns.get_run, world.runs[-1])
    assert run is not None
    exports = Exports(world.house.db, world.database_url, 0)
    still = [exports.audience(run.campaign_id, ENGLISH) for _ in range(2)]
    begun = [await anext(one) for one in still]
    turns = [await exports._turns.take(run.workspace_id) for _ in still]
    for first, one in zip(begun, still, strict=True):
        assert len(first) <= 100
        with pytest.raises(BrokenExport, match="Try it again"):
            await anext(one)
    for turn in turns:
        turn.give_back()
    monkeypatch.setattr(exporting, "STILL_SECONDS", 60)
    assert await file_of(world) == b"".join([piece async for piece in exports.audience(run.campaign_id, ENGLISH)])


async def test_a_workspace_keeps_no_other_from_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "TURN_SECONDS", 0.01)
    turns = Turns()
    held = [await turns.take(b"one") for _ in range(exporting.OF_A_WORKSPACE)]
    with pytest.raises(Busy, match="Try it again"):
        await turns.take(b"one")
    held += [await turns.take(b"two") for _ in range(exporting.AT_ONCE - len(held))]
    with pytest.raises(Busy):
        await turns.take(b"three")
    for turn in (held[0], held[0]):
        turn.give_back()
    await turns.take(b"one")
    with pytest.raises(Busy):
        await turns.take(b"three")


async def test_a_process_with_a_full_pipe_ends_too(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    world, begun = await over(worlds), list[Process]()
    flood = "import sys, struct\nwhile True: sys.stdout.buffer.write(struct.pack('>cI', b'B', 1 << 20) + bytes(1 << 20))"

    async def start() -> Process:
        begun.append(await asyncio.create_subprocess_exec(sys.executable, "-c", flood, stdin=PIPE, stdout=PIPE))
        return begun[-1]

    monkeypatch.setattr(exporting, "_start", start)
    run = await world.house.db.read(campaigns.get_run, world.runs[-1])
    assert run is not None
    exports = Exports(world.house.db, world.database_url, 0)

    async def left() -> None:
        async for _ in exports.audience(run.campaign_id, ENGLISH):
            await asyncio.Event().wait()  # the reader takes no more

    reader = asyncio.create_task(left())
    while not begun or begun[0].stdout is None or not begun[0].stdout._paused:  # type: ignore[attr-defined]  # noqa: ASYNC110
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    del reader
    gc.collect()
    await asyncio.wait_for(begun[0].wait(), 60)
    await asyncio.gather(*exports._ends)
    assert await exports._turns.take(run.workspace_id)


async def test_a_process_that_dies_ends_the_file_with_an_error(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await over(worlds)
    real = exporting._start

    async def start() -> Process:
        process = await real()
        process.kill()
        return process

    monkeypatch.setattr(exporting, "_start", start)
    with pytest.raises(BrokenExport, match="Try it again"):
        await file_of(world)


async def test_a_campaign_without_a_run_has_an_empty_file(worlds: Worlds) -> None:
    world = await worlds()
    exports = Exports(world.house.db, world.database_url, 0)
    assert [piece async for piece in exports.audience(bytes(16), ENGLISH)] == []


@pytest.mark.parametrize("cell", ["+525511223344", "+1 (202) 555-0101", "+44 20/7946.0958", "x=1", "", "'=1", "1-2"])
def test_what_is_no_formula_stays_as_it_is(cell: str) -> None:
    assert guard(cell) == cell


@pytest.mark.parametrize("cell", ["=1", "+A1", "-1", "@x", "\t=1", "\r=1", "+1+cmd|' /C'!A", "+١", "+1\n=2"])
def test_what_may_be_one_is_a_text(cell: str) -> None:
    assert guard(cell) == "'" + cell
