"""What a plan asks, counted by teacher, reasoning mode and what for, with what the journal tells of the replies it has."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tracemill.engines.wanted import Walked, stored, walk
from tracemill.estimate.follows import NONE, PARTS, Follows, Part, exactly, following, part_of, planted
from tracemill.estimate.intervals import Interval, Ratio
from tracemill.estimate.tokens import HIGH, LOW, Range, tokens_asked
from tracemill.models.budget import paid
from tracemill.models.player import Player
from tracemill.models.wire import Request
from tracemill.plan import Plan
from tracemill.recipe import Recipe
from tracemill.storage.entries import Entry, serving
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths

FEW = 10
"""Fewer stored replies than these say nothing of those to come."""
OFF_BY = 0.1
"""How far prompt tokens may be off when the stored prompts of the same lot have told the rate."""
ENOUGH = 10_000
"""Latencies that are kept to tell the slow ones."""


def spread(amount: Range, low: float, high: float) -> Range:
    """A range whose ends are so much further away."""
    return Range(amount.low * low, amount.likely, amount.high * high)


def less(amount: Range, done: int) -> Range:
    """What is left of a number of calls."""
    return Range(max(0, amount.low - done), max(0, amount.likely - done), max(0, amount.high - done))


@dataclass
class Lot:
    """All that one teacher is asked for one purpose in one reasoning mode."""

    teacher: str
    mode: str
    model: str
    part: Part = "answers"
    samples: int = 0
    """Of answers, as is `to_ask`."""
    to_ask: int = 0
    """Samples that the journal does not answer. Each asks for one call now, of this lot or, within an episode, of another."""
    calls: Range = NONE
    """Calls to ask: those that are known, and those that follow from them. An answer that is empty or fails takes more."""
    estimated: Range = NONE
    """Prompt tokens of the calls to ask, by the rule for characters, if that were exact."""
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
    per_call: tuple[float, int] = (0.0, 0)
    """Of verdicts: tokens of a prompt, and at most of a reply."""
    first_latencies: array[float] = field(default_factory=lambda: array("d"))
    """Of the first `ENOUGH` in key order, which is no order of the input: as good as drawn."""

    def add(self, calls: Range, prompt: float, limit: int) -> None:
        """Calls to ask, with prompts of so many tokens, by the rule, and replies of so many at most."""
        self.calls += calls
        self.estimated += calls.times(prompt)
        self.reply_limit += round(calls.high * limit)

    @property
    def reply_tokens(self) -> Interval | None:
        """What a stored reply took on average; None if there are too few."""
        return self.length.interval() if self.counted >= FEW else None

    @property
    def prompt_tokens(self) -> Range:
        """Of the calls to ask: at the rate of the stored ones, if there are enough, else by the rule alone."""
        if self.counted < FEW or not self.estimated_prompt:
            return spread(self.estimated, LOW, HIGH)
        return spread(self.estimated.times(self.used_prompt / self.estimated_prompt), 1 - OFF_BY, 1 + OFF_BY)

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

    def learn(self, request: Request, entry: Entry, prompt: float) -> None:
        """What one stored reply tells of those to come.

        Args:
            prompt: Tokens that the forecast would have said its prompt has.
        """
        self.replies += 1
        self.characters += len(entry.body)
        if entry.completion_tokens is not None:
            self.counted += 1
            self.used_prompt += entry.prompt_tokens or 0
            self.estimated_prompt += prompt
            self.gather(request.home, entry.completion_tokens)
        if entry.latency_ms is not None:
            self.timed += 1
            self.seconds += entry.latency_ms / 1000
            if self.timed <= ENOUGH:
                self.first_latencies.append(entry.latency_ms / 1000)

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
            "part": self.part,
            "calls": self.calls.to_json(),
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
    lots = _Lots(plan, stored(paths, fs))
    try:
        async for walked in walk(plan, lots.journal, tell):
            lots.take(walked)
        if plan.rubrics:
            for unit in plan.units:
                for request in await planted(plan, plan.spool.read(unit)):
                    lots.take_planted(request)
            spent = paid(paths.journal, plan.recipe, fs) if lots.journal is not None else {}
            lots.judge_the_answered({name: account.replies for name, account in spent.items()})
    finally:
        if lots.journal is not None:
            lots.journal.close()
    return lots.counted()


class _Lots:
    """All lots of a plan, while it is walked."""

    def __init__(self, plan: Plan, journal: Journal | None) -> None:
        self.plan, self.journal = plan, journal
        self.lots: dict[tuple[str, str, Part], Lot] = {}
        self.roles = plan.recipe.respond.roles()
        self.answered = NONE
        """Verdicts on samples whose answers are stored."""

    def take(self, walked: Walked) -> None:
        """Count one sample, with what follows from it."""
        first, wanted = walked.question.request, walked.wanted
        asked = tokens_asked(first.messages, first.tools)
        lot = self._lot(first.teacher, first.reasoning, first.model, "answers")
        lot.samples += 1
        done = Counter(part_of(request, walked.question, self.roles) for request in walked.answered)
        if wanted is not None:
            lot.to_ask += 1
            part = part_of(wanted, walked.question, self.roles)
            done[part] += 1
            prompt = asked if wanted is first else tokens_asked(wanted.messages, wanted.tools)
            self._lot(wanted.teacher, wanted.reasoning, wanted.model, part).add(exactly(1), prompt, wanted.max_tokens)
        prompts: dict[Part, float] = {"answers": asked}
        for more in following(walked.question, self.plan, asked):
            prompts[more.part] = more.prompt
            lot = self._lot_of(more, first)
            if wanted is not None:
                lot.add(less(more.calls, done[more.part]), more.prompt, more.limit)
            elif more.part == "judge":
                self.answered += more.calls
                lot.per_call = more.prompt, more.limit
        for request in walked.answered:
            part = part_of(request, walked.question, self.roles)
            self._learn(self._lot(request.teacher, request.reasoning, request.model, part), request, prompts.get(part))

    def take_planted(self, request: Request) -> None:
        """Count a canary."""
        lot = self._lot(request.teacher, request.reasoning, request.model, "canaries")
        if not self._learn(lot, request):
            lot.add(exactly(1), tokens_asked(request.messages), request.max_tokens)

    def judge_the_answered(self, replies: Mapping[str, int]) -> None:
        """Count the verdicts that samples with a stored answer still lack, by how many replies each teacher has given: which
        of them are judged, nobody knows before the checks are made.
        """
        lot = next((lot for lot in self.lots.values() if lot.part == "judge"), None)
        if lot is not None and self.answered.high:
            others = sum(each.replies for each in self.lots.values() if each.teacher == lot.teacher)
            there = max(0, replies.get(lot.teacher, 0) - others)
            likely = max(0.0, self.answered.low - there)
            lot.add(Range(0, likely, max(likely, self.answered.likely - there)), *lot.per_call)

    def counted(self) -> list[Lot]:
        """The lots in order: by teacher as in the recipe, part, and mode."""
        for lot in self.lots.values():
            lot.gathered()
        order = {name: place for place, name in enumerate(self.plan.recipe.teachers)}
        return sorted(
            self.lots.values(), key=lambda lot: (order[lot.teacher], PARTS.index(lot.part), lot.mode == "off")
        )

    def _lot_of(self, more: Follows, first: Request) -> Lot:
        if more.part == "turns":
            return self._lot(first.teacher, first.reasoning, first.model, more.part)
        role = Player(more.teacher, self.plan.recipe)
        return self._lot(more.teacher, role.mode, role.model, more.part)

    def _lot(self, teacher: str, mode: str, model: str, part: Part) -> Lot:
        return self.lots.setdefault((teacher, mode, part), Lot(teacher, mode, model, part))

    def _learn(self, lot: Lot, request: Request, prompt: float | None = None) -> bool:
        """Whether a reply is stored; then the lot learns from it.

        Args:
            prompt: Tokens that the forecast would have said its prompt has; None: by its own text.
        """
        entry = None
        if self.journal is not None:
            entry = serving(self.journal.entries(request.key, request.home), request.max_tokens)
        if entry is not None:
            lot.learn(request, entry, tokens_asked(request.messages, request.tools) if prompt is None else prompt)
        return entry is not None


def places(recipe: Recipe, teacher: str) -> int:
    """Requests that may be in flight to a teacher at once, over all its endpoints."""
    return sum(recipe.teachers[teacher].urls().values())
