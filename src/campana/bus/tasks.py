"""Ending tasks for sure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

PATIENCE = 1.0  # seconds until whoever goes on is told again


async def end_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks and returns when all have ended, whatever became of them.

    Once is not enough: `asyncio.wait_for` of Python 3.11, by which the NATS client waits, loses a cancellation that comes in the
    moment in which its answer does, and the task goes on.
    """
    going_on = {task for task in tasks if not task.done()}
    while going_on:
        for task in going_on:
            task.cancel()
        _, going_on = await asyncio.wait(going_on, timeout=PATIENCE)
