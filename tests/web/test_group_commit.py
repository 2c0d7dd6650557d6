"""Many callers, few transactions, and each hears of its own row only."""

from __future__ import annotations

import asyncio

import pytest

from campana.web.group_commit import Full, Group


class Store:
    """Commits when it is let to. Rows named in `bad` break the transaction they are in."""

    def __init__(self, *bad: int, error: Exception | None = None) -> None:
        self.bad, self.error = set(bad), error or ValueError("a bad row")
        self.tried: list[list[int]] = []
        self.kept: list[int] = []
        self.may = asyncio.Event()
        self.asked = asyncio.Event()

    async def write(self, rows: list[int]) -> None:
        self.tried.append(rows)
        self.asked.set()
        await self.may.wait()
        if self.bad & set(rows):
            raise self.error
        self.kept += rows


async def outcomes(store: Store, futures: list[asyncio.Future[None]]) -> list[BaseException | None]:
    store.may.set()
    return await asyncio.gather(*futures, return_exceptions=True)


async def first_batch_under_way(store: Store, group: Group[int], row: int = 0) -> asyncio.Future[None]:
    done = group.add(row)
    await store.asked.wait()
    return done


async def test_what_arrives_during_a_commit_shares_the_next_one() -> None:
    store = Store()
    group = Group(store.write)
    first = await first_batch_under_way(store, group)
    rest = [group.add(number) for number in range(1, 100)]
    assert not any(done.done() for done in [first, *rest])
    assert await outcomes(store, [first, *rest]) == [None] * 100
    assert store.tried == [[0], list(range(1, 100))]


async def test_a_batch_stays_small_enough_for_one_transaction() -> None:
    store = Store()
    group = Group(store.write, batch=4)
    await outcomes(store, [group.add(number) for number in range(10)])
    assert store.tried == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("bad", [{0}, {3}, {7}, {2, 5}, set(range(8))])
async def test_one_bad_row_hurts_one_caller(bad: set[int]) -> None:
    store = Store(*bad)
    group = Group(store.write)
    got = await outcomes(store, [group.add(number) for number in range(8)])
    assert [number for number in range(8) if got[number] is not None] == sorted(bad)
    assert store.kept == [number for number in range(8) if number not in bad]


async def test_trouble_of_the_store_itself_is_not_halved() -> None:
    store = Store(3, error=OSError("the disk is full"))
    group = Group(store.write)
    got = await outcomes(store, [group.add(number) for number in range(8)])
    assert [str(error) for error in got] == ["the disk is full"] * 8
    assert len(store.tried) == 1
    store.bad.clear()
    assert await outcomes(store, [group.add(9)]) == [None]  # and the next ones find it mended


@pytest.mark.parametrize(("limits", "size"), [({"most_waiting": 3}, 0), ({"most_bytes": 300}, 100)])
async def test_a_full_queue_takes_nothing_more(limits: dict[str, int], size: int) -> None:
    store = Store()
    group = Group(store.write, **limits)
    taken = [group.add(number, size) for number in range(3)]
    with pytest.raises(Full, match="Try again"):
        group.add(3, size)
    assert await outcomes(store, taken) == [None] * 3
    assert await outcomes(store, [group.add(4, size) for _ in range(3)]) == [None] * 3  # there is room again
    assert 3 not in store.kept


async def test_a_caller_who_goes_hurts_nobody() -> None:
    store = Store()
    group = Group(store.write)
    first = await first_batch_under_way(store, group)
    gone, stays = group.add(1), group.add(2)
    gone.cancel()
    assert await outcomes(store, [first, stays]) == [None, None]
    assert store.kept == [0, 1, 2]


async def test_closing_drains() -> None:
    store = Store()
    group = Group(store.write, batch=2)
    taken = [group.add(number) for number in range(5)]
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    with pytest.raises(Full):
        group.add(6)
    assert not closing.done()
    store.may.set()
    await closing
    assert all(done.done() for done in taken)
    assert store.kept == [0, 1, 2, 3, 4]


async def test_a_group_that_was_stopped_leaves_nobody_waiting() -> None:
    store = Store()
    group = Group(store.write)
    done = await first_batch_under_way(store, group)
    waiting = group.add(1)
    (task,) = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    task.cancel()
    got = await asyncio.wait_for(asyncio.gather(done, waiting, return_exceptions=True), 10)
    assert [type(error) for error in got] == [asyncio.CancelledError] * 2
