"""Several samples of one prompt, asked for only until enough of them are right.

They are asked for in rounds. How many a round has follows from what the rounds before it brought, and never from what
came first; so it is the same samples that are asked, whatever order their replies come in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tracemill.respond.answer import Question
from tracemill.tasks import all_ended

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rounds(Generic[T]):
    """What came of the samples that were asked for."""

    came: list[T]
    """In the order of their indexes."""
    needed: int
    """So many of them, from the first on, were needed: enough agreed, or all were asked."""
    agreed: bool


async def in_rounds(
    questions: Sequence[Question],
    ask: Callable[[Question], Awaitable[T]],
    right: Callable[[Sequence[T]], Awaitable[int]],
    agree: int,
    ahead: int = 0,
) -> Rounds[T]:
    """Ask until `agree` samples are right, or all are asked.

    Args:
        questions: Of one prompt and mode, in index order.
        right: How many of the first samples are right, if only these had been asked.
        ahead: So many more in each round than are lacking.
    Raises:
        Whatever an `ask` raised first in index order, after all of its round have ended.
    """
    came: list[T] = []
    known = 0
    while len(came) < len(questions):
        size = max(1, agree - known) + ahead
        tasks = [asyncio.ensure_future(ask(question)) for question in questions[len(came) : len(came) + size]]
        before = len(came)
        came += await all_ended(tasks)
        for needed in range(before + 1, len(came) + 1):
            known = await right(came[:needed])
            if known >= agree:
                return Rounds(came, needed, True)
    return Rounds(came, len(came), False)
