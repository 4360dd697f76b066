"""What a run has spent, and what it may spend. Every request asks first, so that a limit is a limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tracemill.errors import BudgetSpent, EndpointError
from tracemill.recipe import Limits, Recipe
from tracemill.storage.flight import Flown
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.journal import Journal

TELLS_NOTHING = 20
"""So many replies without a word about tokens show that their endpoint never counts them."""


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


@dataclass(frozen=True, slots=True)
class Account:
    """What one teacher, or all of them, have been paid, as far as the journal tells."""

    requests: int = 0
    """Replies and failed attempts."""
    replies: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    """Replies whose endpoint did not say how many tokens they took; they stand for none here."""
    cost: float | None = 0.0
    """By the recipe's prices; None if a price is missing."""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Account) -> Account:
        return Account(
            self.requests + other.requests,
            self.replies + other.replies,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.uncounted + other.uncounted,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
        )

    def to_json(self, rows: int) -> dict[str, Any]:
        """Plain values; with what each of so many rows took, if there are any."""
        told = asdict(self)
        told["tokens_per_row"] = self.tokens / rows if rows else None
        told["cost_per_row"] = self.cost / rows if rows and self.cost is not None else None
        return told

    def to_text(self, rows: int) -> str:
        """For a person, in one line.

        Args:
            rows: Kept rows, which all of it was spent on.
        """
        parts = [
            f"{self.requests:,} requests, {self.prompt_tokens:,} + {self.completion_tokens:,} tokens"
            + (f", {self.tokens / rows:,.0f} for each kept row" if rows else "")
        ]
        if self.cost:
            parts.append(
                f"cost {money(self.cost)}" + (f", {money(self.cost / rows)} for each kept row" if rows else "")
            )
        if self.uncounted:
            parts.append(f"{self.uncounted:,} replies whose tokens were not told")
        return "; ".join(parts)


def money(amount: float) -> str:
    """An amount, exact enough to tell small ones apart."""
    return f"{amount:,.2f}" if amount >= 100 or amount == 0 else f"{amount:.4g}"


def accounts(journal: Journal, recipe: Recipe) -> dict[str, Account]:
    """What each teacher has been paid since the run began, by all that the journal holds: retries, answers that were
    dropped later, and replies to requests that the recipe no longer makes. Those of the recipe come first.

    What was bought elsewhere and imported is not among it, nor what `compact` has taken away.
    """
    found = journal.spent()
    out = {}
    for name in [*(n for n in recipe.teachers if n in found), *sorted(set(found) - set(recipe.teachers))]:
        requests, replies, prompt, completion, uncounted = found[name]
        cost = _cost(recipe, name, prompt, completion)
        out[name] = Account(requests, replies, prompt, completion, uncounted, cost)
    return out


def paid(directory: Path, recipe: Recipe, fs: Fs = REAL) -> dict[str, Account]:
    """The same for the journal in a directory."""
    journal = Journal(directory, writable=False, fs=fs)
    try:
        return accounts(journal, recipe)
    finally:
        journal.close()


def total(of: Mapping[str, Account]) -> Account:
    """All teachers together."""
    return sum(of.values(), Account())


def spent_lines(of: Mapping[str, Account], rows: int) -> list[str]:
    """What was spent, for a person: all of it, and each teacher where there are several."""
    lines = [total(of).to_text(rows)]
    if len(of) > 1:
        lines += [f"{name}: {account.to_text(0)}" for name, account in of.items()]
    return lines


def _cost(recipe: Recipe, name: str, prompt: int, completion: int) -> float | None:
    teacher = recipe.teachers.get(name)
    if teacher is not None and teacher.price is not None:
        return teacher.price.of(prompt, completion)
    return 0.0 if teacher is not None and teacher.url == "builtin" else None


def spent_by(flown: Flown) -> Spent:
    """What the processes of this call have spent, from their shared numbers."""
    return Spent(flown.sent, flown.tokens, flown.cost, flown.replies, flown.open)


def spent_before(directory: Path, recipe: Recipe, fs: Fs = REAL) -> Spent:
    """What earlier calls have spent, from the journal in a directory; a teacher without a price cost nothing."""
    found = paid(directory, recipe, fs).values()
    return Spent(
        sum(a.requests for a in found),
        sum(a.tokens for a in found),
        sum(a.cost or 0.0 for a in found),
        sum(a.replies for a in found),
    )


FIRST = 4
"""Requests that a process sends before it knows what one takes, where tokens or money are limited."""


class Budget:
    """Lets requests go out until a limit is reached.

    Args:
        spent: What all processes have spent until now; asked before every request.
        began: When this call of the command began, by `time.time`.
        turn: Makes the processes take turns, so that two do not both send the last request.
    """

    def __init__(
        self,
        limits: Limits = Limits(),  # noqa: B008  frozen
        spent: Callable[[], Spent] = Spent,
        began: float | None = None,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.limits, self._spent = limits, spent
        self._began = time.time() if began is None else began
        self._on = limits.any()
        self._turn = turn

    def turn(self) -> AbstractContextManager[None]:
        """Open while a request is admitted and counted."""
        return self._turn() if self._on else nullcontext()

    def sending(self) -> bool:
        """Whether a request may be sent now; False as long as one in flight may turn out not to have been spent.

        What is in flight counts with what a reply has cost on average, so that it fits the limit when it has come.

        Raises:
            BudgetSpent: one more would go beyond a limit.
            EndpointError: tokens or cost are limited, and no reply says how many tokens it took.
        """
        if not self._on:
            return True
        limits, spent = self.limits, self._spent()
        coming = spent.open / spent.replies if spent.replies else 0.0
        self.late()
        if self._may_come_back(spent):
            return False
        if limits.requests is not None and spent.requests >= limits.requests:
            raise self.reached("requests", spent)
        if limits.tokens is not None and spent.tokens * (1 + coming) >= limits.tokens:
            raise self.reached("tokens", spent)
        if limits.cost is not None and spent.cost * (1 + coming) >= limits.cost:
            raise self.reached("cost", spent)
        if (limits.tokens or limits.cost) is not None and not spent.tokens and spent.replies >= TELLS_NOTHING:
            raise EndpointError(
                f"none of {spent.replies:,} replies says how many tokens it took (`usage`), so budget."
                f"{'tokens' if limits.tokens is not None else 'cost'} cannot be held. Every reply is stored. "
                "Limit budget.requests instead, and run the command again"
            )
        return True

    def waits(self) -> bool:
        """Whether to wait before more is asked for: until the first replies tell what a reply takes, and while one in
        flight may turn out not to have been spent.
        """
        if not self._on:
            return False
        spent = self._spent()
        first = self.limits.tokens is not None or self.limits.cost is not None
        return (first and spent.replies == 0 and spent.open >= FIRST) or self._may_come_back(spent)

    def _may_come_back(self, spent: Spent) -> bool:
        """Whether the last of the allowed requests are in flight. One that is throttled, or finds nobody there, is not
        spent, and leaves its place to another.
        """
        most = self.limits.requests
        return most is not None and spent.requests - spent.open < most <= spent.requests

    def reached(self, limit: str, spent: Spent) -> BudgetSpent:
        """What to say of a limit (requests, tokens or cost) that let no further request go, with these figures."""
        limits, words = self.limits, ""
        if limit == "requests":
            words = f"{spent.requests:,} of {limits.requests or 0:,} requests"
        elif limit == "tokens":
            words = f"{spent.tokens:,} of {limits.tokens or 0:,} tokens"
        elif limit == "cost":
            words = f"{money(spent.cost)} of {money(limits.cost or 0.0)}"
        in_flight = f", with {spent.open:,} requests in flight" if spent.open and limit != "requests" else ""
        return BudgetSpent(limit, words + in_flight)

    def settled(self, error: BudgetSpent, spent: Spent) -> BudgetSpent:
        """The same error with what was spent when all that was in flight had come."""
        return self.reached(error.limit, spent) if error.limit in ("tokens", "cost") else error

    def late(self) -> None:
        """Raises BudgetSpent once the time of this call is over."""
        minutes = self.limits.minutes
        if minutes is not None and time.time() - self._began >= minutes * 60:
            raise BudgetSpent("minutes", f"all of {minutes:g} minutes")
