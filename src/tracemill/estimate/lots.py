"""What a plan asks, counted by teacher and reasoning mode, with what the journal tells of the replies that it has."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tracemill.engines.wanted import stored, walk
from tracemill.estimate.intervals import Interval, Ratio
from tracemill.estimate.tokens import Range, about, tokens_asked
from tracemill.models.wire import Request
from tracemill.plan import Plan
from tracemill.recipe import Recipe
from tracemill.storage.entries import serving
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths

FEW = 10
"""Fewer stored replies than these say nothing of those to come."""
OFF_BY = 0.1
"""How far prompt tokens may be off when the stored prompts of the same lot have told the rate."""
ENOUGH = 10_000
"""Latencies that are kept to tell the slow ones."""


@dataclass
class Lot:
    """All samples that one teacher makes in one reasoning mode."""

    teacher: str
    mode: str
    model: str
    samples: int = 0
    to_ask: int = 0
    """Samples that the journal does not answer. Each is one call, unless its answer is empty or fails."""
    estimated: float = 0.0
    """Prompt tokens of the calls to ask, by the rule for characters."""
    reply_limit: int = 0
    """Tokens that the replies to them may have at most."""
    replies: int = 0
    """Stored replies of this lot, of which the following are sums."""
    counted: int = 0
    """Those that say how many tokens they took."""
    used_prompt: int = 0
    estimated_prompt: float = 0.0
    """What the estimate would have said of the same prompts."""
    length: Ratio = field(default_factory=Ratio)
    """Tokens of a reply, gathered prompt by prompt."""
    of_prompt: tuple[str, int, int] = ("", 0, 0)
    """The prompt that is being gathered: its key, reply tokens, replies."""
    characters: int = 0
    """Length of their bodies."""
    timed: int = 0
    """Those whose latency is known: they did not come from a file."""
    seconds: float = 0.0
    first_latencies: array[float] = field(default_factory=lambda: array("d"))
    """Of the first `ENOUGH` in key order, which is no order of the input: as good as drawn."""

    @property
    def reply_tokens(self) -> Interval | None:
        """What a stored reply took on average; None if there are too few."""
        return self.length.interval() if self.counted >= FEW else None

    @property
    def prompt_tokens(self) -> Range:
        """Of the calls to ask: at the rate of the stored ones, if there are enough, else by the rule alone."""
        if self.counted < FEW or not self.estimated_prompt:
            return about(self.estimated)
        likely = self.estimated * self.used_prompt / self.estimated_prompt
        return Range(likely * (1 - OFF_BY), likely, likely * (1 + OFF_BY))

    def gather(self, key: str, tokens: int) -> None:
        """One reply to a prompt; those to the same one come one after the other."""
        known, before, replies = self.of_prompt
        if key != known:
            self.gathered()
            before = replies = 0
        self.of_prompt = (key, before + tokens, replies + 1)

    def gathered(self) -> None:
        """No more replies to the last prompt come."""
        _, tokens, replies = self.of_prompt
        if replies:
            self.length.add(tokens, replies)
        self.of_prompt = ("", 0, 0)

    @property
    def latency(self) -> float | None:
        """Mean seconds of a stored reply; None if there are too few."""
        return self.seconds / self.timed if self.timed >= FEW else None

    @property
    def slow(self) -> float | None:
        """Seconds below which 95 % of the stored replies came; None if there are too few."""
        ordered = sorted(self.first_latencies)
        return ordered[int(len(ordered) * 0.95)] if len(ordered) >= FEW else None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "teacher": self.teacher,
            "reasoning": self.mode,
            "model": self.model,
            "samples": self.samples,
            "in_journal": self.samples - self.to_ask,
            "to_ask": self.to_ask,
            "prompt_tokens": self.prompt_tokens.to_json(),
            "reply_tokens_at_most": self.reply_limit,
            "measured": {
                "replies": self.replies,
                "reply_tokens": self.reply_tokens.to_json() if self.reply_tokens else None,
                "latency": self.latency,
                "latency_p95": self.slow,
            },
        }


def count(plan: Plan, paths: RunPaths, fs: Fs = REAL, tell: Callable[[str], None] = lambda text: None) -> list[Lot]:
    """Walk the plan as a build would, asking nobody.

    Args:
        paths: Of the run whose journal is looked into, if it has one.
    """
    return asyncio.run(_count(plan, paths, fs, tell))


async def _count(plan: Plan, paths: RunPaths, fs: Fs, tell: Callable[[str], None]) -> list[Lot]:
    lots: dict[tuple[str, str], Lot] = {}
    journal = stored(paths, fs)
    try:
        async for walked in walk(plan, journal, tell):
            asked = walked.question.request
            lot = lots.setdefault((asked.teacher, asked.reasoning), Lot(asked.teacher, asked.reasoning, asked.model))
            lot.samples += 1
            if walked.wanted is not None:
                lot.to_ask += 1
                lot.estimated += tokens_asked(walked.wanted.messages, walked.wanted.tools)
                lot.reply_limit += walked.wanted.max_tokens
            for request in walked.answered:
                assert journal is not None
                if request.teacher == asked.teacher:  # others play a part in an episode
                    _learn(lot, journal, request)
    finally:
        if journal is not None:
            journal.close()
    for lot in lots.values():
        lot.gathered()
    order = {name: place for place, name in enumerate(plan.recipe.teachers)}
    return sorted(lots.values(), key=lambda lot: (order[lot.teacher], lot.mode == "off"))


def _learn(lot: Lot, journal: Journal, request: Request) -> None:
    entry = serving(journal.entries(request.key, request.home), request.max_tokens)
    if entry is None:
        return
    lot.replies += 1
    lot.characters += len(entry.body)
    if entry.completion_tokens is not None:
        lot.counted += 1
        lot.used_prompt += entry.prompt_tokens or 0
        lot.estimated_prompt += tokens_asked(request.messages, request.tools)
        lot.gather(request.home, entry.completion_tokens)
    if entry.latency_ms is not None:
        lot.timed += 1
        lot.seconds += entry.latency_ms / 1000
        if lot.timed <= ENOUGH:
            lot.first_latencies.append(entry.latency_ms / 1000)


def places(recipe: Recipe, teacher: str) -> int:
    """Requests that may be in flight to a teacher at once, over all its endpoints."""
    return sum(recipe.teachers[teacher].urls().values())
