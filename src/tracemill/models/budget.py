"""What a run may spend. Every request asks first, so that a limit is a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tracemill.errors import BudgetSpent
from tracemill.recipe import Limits, Recipe
from tracemill.storage.flight import Flown
from tracemill.storage.journal import Journal


@dataclass(frozen=True, slots=True)
class Spent:
    """What has been spent, by all processes and since the run began."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0
    replies: int = 0
    open: int = 0
    """Requests in flight, whose tokens nobody knows yet."""

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests,
            self.tokens + other.tokens,
            self.cost + other.cost,
            self.replies + other.replies,
            self.open + other.open,
        )


def spent_by(flown: Flown) -> Spent:
    """What the processes of this call have spent, from their shared numbers."""
    return Spent(flown.sent, flown.tokens, flown.cost, flown.replies, flown.open)


def spent_before(journal: Journal, recipe: Recipe) -> Spent:
    """What earlier calls have spent, from what the journal holds."""
    total = Spent()
    for name, (requests, replies, prompt, completion) in journal.spent().items():
        teacher = recipe.teachers.get(name)
        cost = teacher.price.of(prompt, completion) if teacher is not None and teacher.price is not None else 0.0
        total += Spent(requests, prompt + completion, cost, replies)
    return total


class Budget:
    """Lets requests go out until a limit is reached.

    Args:
        spent: What all processes have spent until now; asked before every request.
        began: When this call of the command began, by `time.time`.
    """

    def __init__(
        self,
        limits: Limits = Limits(),  # noqa: B008  frozen
        spent: Callable[[], Spent] = Spent,
        began: float | None = None,
    ) -> None:
        self.limits, self._spent = limits, spent
        self._began = time.time() if began is None else began
        self._on = limits.any()

    def sending(self) -> None:
        """Before a request is sent.

        What is in flight counts with what a reply has cost on average, so that it fits the limit when it has come.

        Raises:
            BudgetSpent: one more would go beyond a limit.
        """
        if not self._on:
            return
        limits, spent = self.limits, self._spent()
        mean = 1 / spent.replies if spent.replies else 0.0
        coming = spent.open * mean
        if limits.requests is not None and spent.requests >= limits.requests:
            raise BudgetSpent("requests", f"{spent.requests:,} of {limits.requests:,} requests")
        if limits.tokens is not None and spent.tokens * (1 + coming) >= limits.tokens:
            raise BudgetSpent("tokens", f"{spent.tokens:,} of {limits.tokens:,} tokens")
        if limits.cost is not None and spent.cost * (1 + coming) >= limits.cost:
            raise BudgetSpent("cost", f"{spent.cost:,.4f} of {limits.cost:,.4f}")
        if limits.minutes is not None and time.time() - self._began >= limits.minutes * 60:
            raise BudgetSpent("minutes", f"all of {limits.minutes:g} minutes")
