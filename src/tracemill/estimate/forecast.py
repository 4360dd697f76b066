"""What a run will take: calls, tokens, money, disk and time, before anything is spent.

What can be counted is counted. What has to be estimated has a rule and a range. What nobody has told or measured is not
guessed: the forecast says what is missing, and what would tell it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.engines.local import LocalEngine
from tracemill.engines.messages import Progress, span
from tracemill.engines.signals import Signals
from tracemill.errors import UsageError
from tracemill.estimate.lots import Lot, count
from tracemill.estimate.pilot import Pilot, number, run_pilot
from tracemill.estimate.sums import Sums
from tracemill.estimate.tokens import Range
from tracemill.gather.spool import open_spool
from tracemill.mill import Run, Silent, Watch, check_place, default_workers, refuse_nothing
from tracemill.models.budget import Account, money, paid, spent_lines
from tracemill.plan import Plan
from tracemill.recipe import Recipe
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock
from tracemill.storage.machine import check_machine

_FOR = {
    "turns": "later turns of episodes",
    "tools": "playing tools",
    "user": "playing the user",
    "judge": "verdicts",
    "canaries": "verdicts on planted answers",
}
"""What else than a first answer a teacher is asked for."""


@dataclass(frozen=True)
class Forecast:
    """What a run will take. Ranges are estimates; None: not known, and `missing` says why."""

    prompts: int
    bad_lines: int
    """Input lines that cannot be prompts."""
    samples: int
    lots: list[Lot]
    """By teacher, reasoning mode and what for."""
    calls: Range
    """To ask: samples that the journal does not answer, and what follows from their answers."""
    prompt_tokens: Range
    """Of the calls to ask, as is all that follows."""
    reply_tokens: Range | None
    reply_limit: int
    """Tokens that the replies have at most, by `max_tokens`."""
    cost: Range | None
    cost_limit: float | None
    """If every reply were as long as it may be; None without prices."""
    disk: Range | None
    """Bytes that the run takes more than now, its input included."""
    free: int
    """Bytes that are free where it is to lie, or where this was tried."""
    seconds: float | None
    slow: float | None
    """Seconds of the slowest replies, at the end of `seconds`."""
    basis: list[str]
    """What the estimates rest on."""
    missing: list[str]
    spent: dict[str, Account]
    """What earlier calls have paid, by teacher."""
    pilot: Pilot | None = None

    @property
    def to_ask(self) -> int:
        """Samples that the journal does not answer."""
        return sum(lot.to_ask for lot in self.lots)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "prompts": self.prompts,
            "bad_lines": self.bad_lines,
            "samples": self.samples,
            "in_journal": self.samples - self.to_ask,
            "to_ask": self.to_ask,
            "calls": self.calls.to_json(),
            "teachers": [lot.to_json() for lot in self.lots],
            "prompt_tokens": self.prompt_tokens.to_json(),
            "reply_tokens": _json(self.reply_tokens),
            "reply_tokens_at_most": self.reply_limit,
            "cost": _json(self.cost),
            "cost_at_most": self.cost_limit,
            "disk_bytes": _json(self.disk),
            "disk_free": self.free,
            "seconds": self.seconds,
            "basis": self.basis,
            "missing": self.missing,
            "spent": {name: account.to_json(0) for name, account in self.spent.items()},
            "pilot": self.pilot.to_json() if self.pilot else None,
        }

    def to_text(self) -> str:
        """For a person."""
        return "\n".join(
            f"{head:<9} {line}".rstrip() for head, lines in self._parts() for head, line in _headed(head, lines)
        )

    def _parts(self) -> Iterator[tuple[str, list[str]]]:
        bad = f"; {self.bad_lines:,} input lines cannot be prompts" if self.bad_lines else ""
        yield "rows", [f"at most {self.samples:,}, from {self.prompts:,} prompts{bad}"]
        follows = f"; with what follows {_range(self.calls)}" if self.calls.high > self.to_ask else ""
        yield (
            "calls",
            [f"{self.to_ask:,} to ask, {self.samples - self.to_ask:,} answered by the journal{follows}", *self._lots()],
        )
        yield "tokens", self._tokens()
        if self.cost is not None or self.cost_limit is not None:
            most = f"at most {money(self.cost_limit)}" if self.cost_limit is not None else ""
            yield "money", [f"{_range(self.cost)}; {most}" if self.cost is not None else most]
        if self.disk is not None:
            yield "disk", [f"{_range(self.disk.times(1e-6))} MB more; {self.free / 1e9:,.1f} GB are free"]
        if self.seconds is not None:
            tail = f", of which {span(self.slow)} for the slowest replies" if self.slow else ""
            yield "time", [f"about {span(self.seconds)}{tail}"]
        if self.spent:
            yield "spent", spent_lines(self.spent, 0)
        if self.pilot is not None:
            yield "pilot", self.pilot.lines()
        yield "by", self.basis
        yield "missing", self.missing

    def _lots(self) -> list[str]:
        return [
            f"{lot.teacher}, reasoning {lot.mode}: {lot.to_ask:,} of {lot.samples:,} to {lot.model}"
            if lot.part == "answers"
            else f"{lot.teacher}, {_FOR[lot.part]}: {_range(lot.calls)} to {lot.model}"
            for lot in self.lots
        ]

    def _tokens(self) -> list[str]:
        if not self.calls.high:
            return ["none"]
        most = f"at most {self.reply_limit:,}, as `max_tokens` says"
        replies = most if self.reply_tokens is None else f"{_range(self.reply_tokens)}; {most}"
        return [f"prompts {_range(self.prompt_tokens)}", f"replies {replies}"]


def forecast(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    limit: int | None = None,
    pilot: int | None = None,
    latency: float | None = None,
    reply_tokens: float | None = None,
    workers: int | None = None,
    wait_for_endpoint: float | None = None,
    watch: Watch | None = None,
    fs: Fs = REAL,
) -> Forecast:
    """What a build of a recipe would take. Nothing is asked, but by a pilot.

    Args:
        out: Directory of the run, whose journal is looked into and in which the input is spooled for the build. None: in
            a temporary directory, which goes.
        limit: Take only the first so many prompts, in input order.
        pilot: Ask so many prompts and measure what comes; the build in `out` uses the replies.
        latency: Seconds that a reply takes, where that is known; else as measured.
        reply_tokens: Tokens of a reply, where that is known; else as measured.
        workers: Worker processes of the pilot.
        wait_for_endpoint: As for `build`.
        watch: Shown what goes on.
    Raises:
        UsageError: a pilot without `out`, or `out` is no place for a run.
        RecipeError: the recipe or an input cannot be used.
        Locked: another process writes `out`.
        EndpointError, BudgetSpent, DiskError, Interrupted: the pilot stopped; the same call goes on.
    """
    for name, given in (("limit", limit), ("pilot", pilot), ("latency", latency), ("reply-tokens", reply_tokens)):
        if given is not None and given <= 0:
            raise UsageError(f"--{name} must be more than 0, it is {given:g}")
    if pilot is not None and out is None:
        raise UsageError("--pilot needs --out: its replies are paid for, and the build in the same directory uses them")
    check_machine()
    watch = watch or Silent()
    with ExitStack() as open_until_done:
        if out is None:
            out = open_until_done.enter_context(tempfile.TemporaryDirectory(prefix="tracemill-plan-"))
        paths = RunPaths(Path(out))
        check_place(paths)
        signals = open_until_done.enter_context(Signals())
        lock = open_until_done.enter_context(RunLock(paths.lock))
        found = None
        if pilot is not None:
            run = Run(paths, recipe, limit, watch, fs, signals)
            engine = LocalEngine(workers or default_workers(), lock.fd, run.show, fs, wait_for_endpoint)
            with _left_as_stopped(run):
                plan = run.planned()
                found = run_pilot(run, engine, plan, pilot)
        else:
            spool = open_spool(paths.spool, recipe, limit, fs, lambda n: watch.note(f"{n:,} rows read"))
            refuse_nothing(spool, fs)
            plan = Plan(recipe, spool, limit)
        lots = count(plan, paths, fs)
        return _told(Sums(recipe, lots, latency, reply_tokens), plan, paths, found, fs)


@contextmanager
def _left_as_stopped(run: Run) -> Iterator[None]:
    """Let status.json say in the end that nobody is at it."""
    try:
        yield
    finally:
        run.state = "stopped"
        run._status(Progress())


def _told(sums: Sums, plan: Plan, paths: RunPaths, pilot: Pilot | None, fs: Fs) -> Forecast:
    prompts, calls, replies = sums.prompts(), sums.calls(), sums.replies()
    cost, most = sums.cost()
    disk = sums.disk()
    seconds, slow = sums.time()
    journal = (paths.journal / "journal.json").is_file()
    return Forecast(
        prompts=plan.spool.prompts,
        bad_lines=sum(source["bad_lines"] for source in plan.spool.inputs),
        samples=plan.samples,
        lots=sums.lots,
        calls=calls,
        prompt_tokens=prompts,
        reply_tokens=replies,
        reply_limit=sum(lot.reply_limit for lot in sums.lots),
        cost=cost,
        cost_limit=most,
        disk=disk,
        free=fs.free_bytes(paths.root)[0],
        seconds=seconds,
        slow=slow,
        basis=sums.basis,
        missing=list(dict.fromkeys(sums.missing)),
        spent=paid(paths.journal, plan.recipe, fs) if journal else {},
        pilot=pilot,
    )


def _headed(head: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for place, line in enumerate(lines):
        yield (head if not place else ""), line


def _range(value: Range) -> str:
    if value.low == value.high:
        return number(value.likely)
    return f"about {number(value.likely)} ({number(value.low)} to {number(value.high)})"


def _json(value: Range | None) -> dict[str, float] | None:
    return None if value is None else value.to_json()
