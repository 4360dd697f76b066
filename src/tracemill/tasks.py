"""Several things under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


async def all_ended(tasks: Sequence[asyncio.Future[T]]) -> list[T]:
    """The results in order, once every task has ended. A failed task does not cancel the others, for a reply on its way is
    never given up because another request failed; our own cancellation cancels them all.

    Raises:
        Whatever the first failed task in order raised.
    """
    try:
        if tasks:
            await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    failed = [error for task in tasks if (error := None if task.cancelled() else task.exception())]
    if failed:
        raise failed[0]
    return [task.result() for task in tasks]
