"""Kills at the worst moments, and workers that come back after another has taken over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from campana.core.exchange import Request
from campana.core.ids import new_id
from campana.engine import recover, send, wake
from campana.engine.journal import HEAD, Journal
from campana.engine.worker import claim, pump
from campana.standin.faults import Faults, ReceiptOdds
from campana.store.units import Unit
from tests.engine.conftest import Worlds
from tests.engine.world import NINE, SECOND, Killed, World, numbers, sms, whatsapp

PEOPLE = numbers(12)


@pytest.mark.both_databases
@pytest.mark.parametrize("step", [sms(), whatsapp()], ids=["sms", "whatsapp"])
@pytest.mark.parametrize("calls", [1, 11])
@pytest.mark.parametrize("accepted", [True, False], ids=["after acceptance", "before the call"])
async def test_a_kill_in_the_midst_of_sending_loses_nobody_and_doubles_nobody(
    worlds: Worlds, step: dict[str, Any], calls: int, accepted: bool
) -> None:
    world = await worlds(pace=40)  # ten in a chunk
    await world.launch(step, people=PEOPLE)
    world.kill_after, world.kill_before = calls, not accepted
    await world.play_until_killed(hours=1)
    await world.play(hours=1)
    assert sorted(line.to for line in world.accepted()) == PEOPLE
    assert await world.outcomes() == {"delivered": 12}
    balance = await world.balance()
    assert (balance.lost, balance.twice, balance.unknown) == (0, 0, 0)


@pytest.mark.both_databases
async def test_who_was_not_called_is_sent_to_again_without_being_uncertain(worlds: Worlds) -> None:
    world = await worlds(pace=40)
    await world.launch(whatsapp(), people=PEOPLE)
    world.kill_after, world.kill_before = 4, True
    await world.play_until_killed(hours=1)
    statuses = sorted([await world.statuses_of(phone) for phone in PEOPLE])
    assert statuses == [[]] * 2 + [["failed"]] * 7 + [["uncertain"]] * 3  # three were called, seven of the chunk were not
    await world.play(seconds=10)
    assert sorted(line.to for line in world.accepted()) == PEOPLE


async def test_without_a_journal_all_that_was_started_is_uncertain(worlds: Worlds) -> None:
    world = await worlds(pace=40, faults=Faults(receipts=ReceiptOdds(missing=1)))
    await world.launch(whatsapp(), people=PEOPLE)
    world.kill_after, world.kill_before = 4, True
    with pytest.raises(Killed):
        await world.play(hours=1)
    await world.restart(keep_journal=False)
    statuses = sorted([await world.statuses_of(phone) for phone in PEOPLE])
    assert statuses == [[]] * 2 + [["uncertain"]] * 10
    await world.play(hours=1)
    assert len(world.accepted()) == 3 + 2  # nothing is sent again on a guess
    assert {tuple(await world.statuses_of(phone)) for phone in PEOPLE} == {("unknown",), ("queued",)}


def die(journal: Journal) -> None:
    """What the system does with the journal of a process that is killed."""
    journal._map.close()
    os.close(journal._file)


def test_a_journal_of_an_earlier_boot_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = Journal(tmp_path)
    token, called, other = earlier.new_token(), b"c" * 16, b"o" * 16
    earlier.begins(called)
    die(earlier)
    later = Journal(tmp_path)
    assert (later.has(token, called), later.has(token, other)) == (True, False)
    later = Journal(tmp_path)
    monkeypatch.setattr("campana.engine.journal.boot_id", lambda: b"after the power cut")
    assert (later.has(token, called), later.has(token, other)) == (None, None)


def test_a_journal_is_told_apart_by_its_token_and_removed_when_done(tmp_path: Path) -> None:
    first, second = Journal(tmp_path), Journal(tmp_path)
    token = first.new_token()
    first.begins(b"m" * 16)
    assert second.has(second.new_token(), b"m" * 16) is None  # it lives: what has not begun may still begin
    assert second.has(token, b"m" * 16) is None  # so does this one, though stopped perhaps
    assert token != first.new_token()
    die(first)
    assert second.has(token, b"m" * 16) is True
    assert second.has(token, b"o" * 16) is False
    second.forget_others()
    assert second.has(token, b"m" * 16) is True  # it may still be asked for
    second.forget_others(everything=True)
    assert second.has(token, b"m" * 16) is None
    assert second.has(token, b"m" * 16) is None
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_has_gone_round_says_nothing_of_what_gave_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campana.engine.journal.ROOM", 4)
    monkeypatch.setattr("campana.engine.journal.SIZE", HEAD + 16 * 4)
    first, second = Journal(tmp_path), Journal(tmp_path)
    ids = [new_id(NINE + at * 40 * SECOND) for at in range(8)]
    token = first.new_token()
    for one in ids[:6]:
        first.begins(one)
    die(first)
    assert [second.has(token, one) for one in ids] == [None, None, True, True, True, True, False, False]


async def claimed(world: World) -> Unit:
    """A unit in a worker's hands."""
    house, now = world.house, world.clock.now
    await pump(house)
    await house.db.run(wake.enrol, house, now())
    await pump(house)
    unit = await house.db.run(claim, house, now())
    assert unit is not None
    return unit


async def started(world: World) -> tuple[Unit, Any]:
    """A unit in a worker's hands whose first chunk is written down and not yet called."""
    unit = await claimed(world)
    return unit, await world.house.db.run(send.start, world.house, unit, world.clock.now())


@pytest.mark.both_databases
async def test_a_worker_that_lost_its_lease_still_writes_what_was_answered(worlds: Worlds) -> None:
    world = await worlds(pace=40, faults=Faults(receipts=ReceiptOdds(missing=1)))
    await world.launch(sms(), people=PEOPLE)
    house = world.house
    unit, chunk = await started(world)
    answers = await send.call(house, chunk.account, chunk.started, house.boottime() + 10_000_000)
    await world.outlast_leases()
    assert await house.db.run(recover.recover, house, world.clock.now()) == 1
    assert {tuple(await world.statuses_of(phone)) for phone in PEOPLE} == {("uncertain",), ()}
    taken = await house.db.run(claim, house, world.clock.now())
    assert taken is not None
    assert (taken.id, taken.token != unit.token) == (unit.id, True)
    after = await house.db.run(send.settle_and_start, house, unit, chunk, answers, world.clock.now())
    assert after.started == ()  # the lease is another's: this worker starts nothing more
    assert {tuple(await world.statuses_of(phone)) for phone in PEOPLE} == {("queued",), ()}
    await send.send_unit(house, taken)
    await world.play(hours=1)
    assert sorted(line.to for line in world.accepted()) == PEOPLE


async def test_a_worker_that_lost_its_lease_before_its_start_starts_nothing(worlds: Worlds) -> None:
    world = await worlds(pace=4000)
    await world.launch(sms(), people=PEOPLE)
    house = world.house
    late = await claimed(world)
    await world.outlast_leases()
    assert await send.send_unit(house, late) == 0
    await world.play(hours=1)
    assert sorted(line.to for line in world.accepted()) == PEOPLE


@pytest.mark.both_databases
async def test_nothing_is_sent_twice_when_a_restart_meets_a_reply_and_a_follow_up(worlds: Worlds) -> None:
    world = await worlds()
    await world.launch(whatsapp(), follow_ups=[sms("again")], people=PEOPLE[:4])
    await world.play(hours=1)
    world.kill_after = 2

    async def reply_meanwhile(request: Request) -> None:
        world.reply(PEOPLE[3], "yes", over="whatsapp")
        world.answering = None

    world.answering = reply_meanwhile
    await world.play_until_killed(days=2)
    await world.play(days=2)
    balance = await world.balance()
    assert (balance.lost, balance.twice) == (0, 0)
    assert await world.outcome_of(PEOPLE[3]) == "replied"
    assert sum((await world.outcomes()).values()) == 4


async def test_a_worker_that_could_not_give_a_unit_back_leaves_its_journal_to_whoever_recovers_it(world: World) -> None:
    async def breaks(*_: Any) -> Any:
        raise RuntimeError("broken before the call")

    await world.launch(whatsapp(), people=PEOPLE)
    unit = await claimed(world)
    world.house.exchange = breaks
    await world.installation.worker._send_unit(unit)
    assert {tuple(await world.statuses_of(phone)) for phone in PEOPLE} == {("preparing",)}
    await world.restart(keep_journal=False)  # what closing leaves, no more
    assert "uncertain" not in {status for phone in PEOPLE for status in await world.statuses_of(phone)}
    await world.play(hours=1)
    assert sorted(line.to for line in world.accepted()) == PEOPLE
