"""Tasks that are told to end do so, also those that missed it the first time."""

from __future__ import annotations

import asyncio

from campana.bus.tasks import end_all


async def test_a_task_that_missed_its_cancellation_is_told_again() -> None:
    missed = 0

    async def hard_of_hearing() -> None:
        nonlocal missed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                missed += 1
                if missed == 2:
                    raise

    async def broken() -> None:
        raise ValueError

    tasks = [asyncio.create_task(hard_of_hearing()), asyncio.create_task(broken()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0)
    await end_all(tasks)
    assert missed == 2
    assert all(task.done() for task in tasks)
