"""A pilot: a few prompts, spread over the whole input by hash, are asked and checked like a run, and measured.

The replies go into the run's own journal, so that the build pays for them no second time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tracemill import identity
from tracemill.errors import UsageError
from tracemill.estimate.follows import verdict_on
from tracemill.estimate.intervals import Interval, ratio, share
from tracemill.gather.drawn import draw, lay_out
from tracemill.mill import Engine, Run
from tracemill.models.budget import money
from tracemill.plan import Plan
from tracemill.schema import from_row
from tracemill.storage.entries import REPLY
from tracemill.storage.journal import Journal
from tracemill.storage.parquet import read_batches
from tracemill.storage.units import UnitNote, UnitStore
from tracemill.verify.judge import Judge


@dataclass
class Asked:
    """One prompt of the pilot, with all that its samples took: replies, retries and failed attempts."""

    samples: int = 0
    kept: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """Samples that did not make it, by "stage: reason"."""
    replies: int = 0
    timed: int = 0
    """Replies whose latency is known."""
    counted: int = 0
    """Replies that say how many tokens they took."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True)
class Pilot:
    """What a pilot found. An interval holds the truth in 95 of 100 pilots; None: nothing to tell."""

    prompts: int
    of: int
    """Prompts in all."""
    samples: int
    sent: int
    """Requests sent by this call; what an earlier one had stored is not asked again."""
    latency_p50: float | None
    latency_p95: float | None
    prompt_tokens: Interval | None
    """Of a reply, as are the next three."""
    completion_tokens: Interval | None
    latency: Interval | None
    cost: Interval | None
    """None without prices."""
    accepted: Interval
    """Share of the samples that pass every check. Duplicates are found only among the pilot's own rows."""
    lost: dict[str, Interval]
    """Shares of the samples, by "stage: reason"."""
    cost_per_row: Interval | None
    """Of a kept row, what its rejected siblings took included; None without prices, or if none was kept."""
    tokens_per_row: Interval | None
    whole: dict[str, Interval]
    """What the whole input would take from the beginning: rows (kept), calls, prompt_tokens, completion_tokens, cost."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: _plain(value) for name, value in self.__dict__.items()}

    def lines(self) -> list[str]:
        """For a person."""
        out = [f"{self.prompts:,} of {self.of:,} prompts, {self.samples:,} samples; {self.sent:,} requests sent now"]
        for name, value, unit in (
            ("prompt tokens of a call", self.prompt_tokens, ""),
            ("tokens of a reply", self.completion_tokens, ""),
            ("latency of a reply", self.latency, " s"),
        ):
            if value is not None:
                out.append(f"{name} {shown(value)}{unit}")
        if self.latency_p50 is not None:
            out.append(f"half of the replies within {self.latency_p50:.2f} s, 95 % within {self.latency_p95:.2f} s")
        out.append(f"accepted {percent(self.accepted)}")
        out += [f"  {reason} {percent(value)}" for reason, value in self.lost.items()]
        if self.tokens_per_row is not None:
            out.append(f"tokens for a kept row {shown(self.tokens_per_row)}")
        if self.cost is not None:
            out.append(f"cost of a call {shown(self.cost)}")
        if self.cost_per_row is not None:
            out.append(f"cost of a kept row {shown(self.cost_per_row)}")
        out.append("the whole, from the beginning:")
        return out + [f"  {name.replace('_', ' ')} {shown(value)}" for name, value in self.whole.items()]


def shown(value: Interval) -> str:
    """A figure with its interval: 12.3 (10.1 to 14.5)."""
    if value.low is None or value.high is None or value.low == value.high:
        return number(value.value)
    return f"{number(value.value)} ({number(value.low)} to {number(value.high)})"


def number(value: float) -> str:
    """Short, and exact enough."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else money(value)


def percent(value: Interval) -> str:
    """A share with its interval, as percentages."""
    ends = "" if value.low is None else f" ({value.low:.1%} to {value.high:.1%})"
    return f"{value.value:.1%}{ends}"


def run_pilot(run: Run, engine: Engine, plan: Plan, count: int) -> Pilot:
    """Ask `count` prompts of a plan and measure what comes.

    Args:
        run: Its input is spooled and its journal made, for the whole plan.
    Raises:
        EndpointError, BudgetSpent, DiskError, Interrupted: as a build; what came is stored, the same call goes on.
    """
    if count < 1:
        raise UsageError(f"--pilot must be at least 1, it is {count}")
    prompts = draw(plan.spool, count, plan.recipe.seed, run.fs)
    small = Plan(plan.recipe, lay_out(prompts, run.paths.spool, run.fs), plan.limit)
    store = UnitStore(run.paths.units / small.fingerprint[:16], run.fs)
    before = run.sent
    notes = run.work(engine, small, store, run.committed(small, store))
    homes = {identity.prompt_key(prompt): prompt.hash for prompt in prompts}
    asked = {key: Asked() for key in homes}
    journal = Journal(run.paths.journal, writable=False, fs=run.fs)
    try:
        rows = _rows(store, notes.values(), bool(plan.rubrics))
        latencies = sorted(_measure(asked, homes, rows, journal, plan))
    finally:
        journal.close()
    for leftover in (store.directory, small.spool.directory):
        run.fs.remove_tree(leftover)
    priced = all(teacher.price for teacher in plan.recipe.teachers.values())
    return told(list(asked.values()), plan.spool.prompts, run.sent - before, latencies, priced=priced)


_WHY = {"rejected": ("stage", "reason"), "failed": ("error_class",)}
"""Columns that say why a row is not kept."""


def _rows(store: UnitStore, notes: Iterable[UnitNote], judged: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind, row) of every sample; whole rows where some are judged."""
    for note in notes:
        for kind in note.files:
            path = store.path(note, kind)
            assert path is not None
            for batch in read_batches(path):
                for row in (
                    batch if judged else batch.select(["prompt_key", "requests", *_WHY.get(kind, ())])
                ).to_pylist():
                    yield kind, row


def _asked_for(row: dict[str, Any], home: str, plan: Plan) -> Iterator[tuple[str, str]]:
    """(key, home) of each request of a row, the one for a verdict on it included."""
    yield from ((key, home) for key in row["requests"])
    if plan.rubrics and (row.get("stage") == Judge.name or any(v["step"] == Judge.name for v in row["verdicts"])):
        yield from ((request.key, request.home) for request in asyncio.run(verdict_on(plan, from_row(row))))


def _measure(
    asked: dict[str, Asked],
    homes: dict[str, str],
    rows: Iterable[tuple[str, dict[str, Any]]],
    journal: Journal,
    plan: Plan,
) -> Iterator[float]:
    """Count what became of each sample and what it took. The latencies of the replies, in seconds."""
    for kind, row in rows:
        one = asked[row["prompt_key"]]
        one.samples += 1
        if kind == "kept":
            one.kept += 1
        else:
            one.lost["failed: " + row["error_class"] if kind == "failed" else f"{row['stage']}: {row['reason']}"] += 1
        for key, home in _asked_for(row, homes[row["prompt_key"]], plan):
            for entry in journal.entries(key, home):
                if entry.outcome != REPLY:
                    continue
                one.replies += 1
                if entry.latency_ms is not None:
                    one.timed += 1
                    one.seconds += entry.latency_ms / 1000
                    yield entry.latency_ms / 1000
                if entry.completion_tokens is not None:
                    prompt, completion = entry.prompt_tokens or 0, entry.completion_tokens
                    one.counted += 1
                    one.prompt_tokens += prompt
                    one.completion_tokens += completion
                    teacher = plan.recipe.teachers.get(entry.teacher)
                    if teacher is not None and teacher.price is not None:
                        one.cost += teacher.price.of(prompt, completion)


def told(asked: list[Asked], of: int, sent: int, latencies: list[float], *, priced: bool) -> Pilot:
    """The figures and their intervals.

    Args:
        latencies: Of all replies, in order.
        priced: Whether every teacher has a price.
    """

    def per(above: str, below: str) -> Interval | None:
        return ratio([getattr(a, above) for a in asked], [getattr(a, below) for a in asked], of)

    samples = [a.samples for a in asked]
    accepted = share([a.kept for a in asked], samples)
    assert accepted is not None  # every prompt has a sample
    reasons = sorted({reason for a in asked for reason in a.lost})
    lost = {reason: share([a.lost[reason] for a in asked], samples) for reason in reasons}
    tokens = [a.prompt_tokens + a.completion_tokens for a in asked]
    whole = {}
    for name, column in (("rows", "kept"), ("calls", "replies"), ("prompt_tokens",) * 2, ("completion_tokens",) * 2):
        whole[name] = _in_all([getattr(a, column) for a in asked], of)
    if priced:
        whole["cost"] = _in_all([a.cost for a in asked], of)
    return Pilot(
        prompts=len(asked),
        of=of,
        samples=sum(samples),
        sent=sent,
        latency_p50=latencies[len(latencies) // 2] if latencies else None,
        latency_p95=latencies[int(len(latencies) * 0.95)] if latencies else None,
        prompt_tokens=per("prompt_tokens", "counted"),
        completion_tokens=per("completion_tokens", "counted"),
        latency=per("seconds", "timed"),
        cost=per("cost", "counted") if priced else None,
        accepted=accepted,
        lost={reason: value for reason, value in lost.items() if value is not None},
        cost_per_row=per("cost", "kept") if priced else None,
        tokens_per_row=ratio(tokens, [a.kept for a in asked], of),
        whole=whole,
    )


def _in_all(each: list[float], of: int) -> Interval:
    """The sum over all prompts, from that of the few."""
    mean = ratio(each, [1.0] * len(each), of)
    assert mean is not None
    return mean.times(of)


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return value.to_json()
    return {name: _plain(held) for name, held in value.items()} if isinstance(value, dict) else value
