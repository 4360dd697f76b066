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
from tracemill.estimate.lots import FEW, Lot, count, places
from tracemill.estimate.pilot import Pilot, number, run_pilot
from tracemill.estimate.tokens import HIGH, LATIN, LOW, Range
from tracemill.gather.spool import open_spool
from tracemill.mill import Run, Silent, Watch, check_place, default_workers, refuse_nothing
from tracemill.models.budget import Account, money, paid, spent_lines
from tracemill.plan import Plan
from tracemill.recipe import Recipe
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock
from tracemill.storage.machine import check_machine

STORED = (500, 0.6)
ROW = (550, 0.85)
"""Bytes of a reply in the journal, and of its row in the unit and the dataset together: for each, and for each character
of the reply. Measured with solutions of 300 to 11,000 characters; they differ by a third with what is written."""
OFF = 1 / 3


@dataclass(frozen=True)
class Forecast:
    """What a run will take. Ranges are estimates; None: not known, and `missing` says why."""

    prompts: int
    bad_lines: int
    """Input lines that cannot be prompts."""
    samples: int
    lots: list[Lot]
    """By teacher and reasoning mode."""
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
        yield (
            "calls",
            [f"{self.to_ask:,} to ask, {self.samples - self.to_ask:,} answered by the journal", *self._lots()],
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
            for lot in self.lots
        ]

    def _tokens(self) -> list[str]:
        if not self.to_ask:
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
        return _Sums(plan, paths, lots, latency, reply_tokens, fs).forecast(found)


@contextmanager
def _left_as_stopped(run: Run) -> Iterator[None]:
    """Let status.json say in the end that nobody is at it."""
    try:
        yield
    finally:
        run.state = "stopped"
        run._status(Progress())


class _Sums:
    """Adds up what the lots tell."""

    def __init__(
        self, plan: Plan, paths: RunPaths, lots: list[Lot], latency: float | None, reply_tokens: float | None, fs: Fs
    ) -> None:
        self.plan, self.paths, self.lots, self.fs = plan, paths, lots, fs
        self.latency, self.reply_tokens = latency, reply_tokens
        self.open = [lot for lot in lots if lot.to_ask]
        self.basis: list[str] = []
        self.missing: list[str] = []

    def forecast(self, pilot: Pilot | None) -> Forecast:
        """All of it."""
        if any(lot.counted < FEW for lot in self.open):
            self.basis.append(
                f"prompt tokens are estimated from characters, by script; the truth lies between {LOW} and {HIGH} times that"
            )
        if any(lot.counted >= FEW for lot in self.open):
            self.basis.append("prompt tokens are estimated from characters, at the rate that the stored prompts had")
        replies = self._replies()
        cost, most = self._cost()
        disk = self._disk()
        seconds, slow = self._time()
        journal = (self.paths.journal / "journal.json").is_file()
        return Forecast(
            prompts=self.plan.spool.prompts,
            bad_lines=sum(source["bad_lines"] for source in self.plan.spool.inputs),
            samples=self.plan.samples,
            lots=self.lots,
            prompt_tokens=self._sum(self._prompt),
            reply_tokens=replies,
            reply_limit=sum(lot.reply_limit for lot in self.lots),
            cost=cost,
            cost_limit=most,
            disk=disk,
            free=self.fs.free_bytes(self.paths.root)[0],
            seconds=seconds,
            slow=slow,
            basis=self.basis,
            missing=list(dict.fromkeys(self.missing)),
            spent=paid(self.paths.journal, self.plan.recipe, self.fs) if journal else {},
            pilot=pilot,
        )

    def _sum(self, of: Any) -> Range:
        return sum((of(lot) for lot in self.open), Range())

    def _prompt(self, lot: Lot) -> Range:
        return lot.prompt_tokens

    def _reply(self, lot: Lot) -> Range | None:
        """Tokens of all replies to ask of a lot: as told, or as its stored ones were, with their 95 % interval."""
        if self.reply_tokens is not None:
            each = Range(*(self.reply_tokens,) * 3)
        elif (seen := lot.reply_tokens) is None:
            return None
        else:
            low, high = (seen.value if end is None else end for end in (seen.low, seen.high))
            each = Range(low, seen.value, high)
        return each.times(lot.to_ask)

    def _replies(self) -> Range | None:
        unknown = [lot for lot in self.open if self._reply(lot) is None]
        if unknown:
            self.missing.append(
                f"how long replies are ({_names(unknown)}): --pilot 20 with --out measures it, --reply-tokens N tells it"
            )
            return None
        if self.open:
            measured = sum(lot.counted for lot in self.open)
            told = self.reply_tokens is not None
            self.basis.append(
                "replies are as long as --reply-tokens says"
                if told
                else f"replies are as {measured:,} stored ones were"
            )
        return self._sum(self._reply)

    def _cost(self) -> tuple[Range | None, float | None]:
        cost, most = Range(), 0.0
        teachers = self.plan.recipe.teachers
        unpriced = [lot for lot in self.open if teachers[lot.teacher].price is None]
        if (
            self.open
            and len(unpriced) == len(self.open)
            and not any(_waited_for(self.plan.recipe, lot) for lot in self.open)
        ):
            return None, None
        if paid_for := [lot for lot in unpriced if _waited_for(self.plan.recipe, lot)]:
            names = sorted({lot.teacher for lot in paid_for})
            self.missing.append("what tokens cost: set " + ", ".join(f"teachers.{name}.price" for name in names))
            return None, None
        for lot in self.open:
            price, replies = teachers[lot.teacher].price, self._reply(lot)
            if price is None:
                continue
            prompts = self._prompt(lot)
            most += price.of(prompts.high, lot.reply_limit)
            cost += prompts.times(price.of(1, 0)) + (replies or Range()).times(price.of(0, 1))
        return (None if any(self._reply(lot) is None for lot in self.open) else cost), most

    def _disk(self) -> Range | None:
        """Journal, units and dataset, for the replies to come. The input lies there already."""
        likely = 0.0
        for lot in self.open:
            if self.reply_tokens is not None:
                characters = self.reply_tokens * LATIN
            elif lot.replies >= FEW:
                characters = lot.characters / lot.replies
            else:
                return None
            likely += lot.to_ask * (STORED[0] + ROW[0] + (STORED[1] + ROW[1]) * characters)
        if self.open:
            self.basis.append("disk is by bytes for each character of a reply, as measured on other solutions")
        return Range(likely * (1 - OFF), likely, likely * (1 + OFF))

    def _time(self) -> tuple[float | None, float | None]:
        """Teachers are asked side by side: the one that takes longest decides. Each has all its places taken until the
        last replies, which are its slow ones.
        """
        recipe = self.plan.recipe
        longest, slowest = 0.0, 0.0
        for name in recipe.teachers:
            lots = [lot for lot in self.open if lot.teacher == name]
            if not lots or not _waited_for(recipe, lots[0]):
                continue
            work = 0.0
            slow = 0.0
            for lot in lots:
                each = self.latency if self.latency is not None else lot.latency
                if each is None:
                    self.missing.append(
                        f"how long a reply takes ({_names(lots)}): --pilot 20 with --out measures it, --latency S tells it"
                    )
                    return None, None
                work += lot.to_ask * each
                slow = max(slow, self.latency or lot.slow or each)
            took = work / places(recipe, name) + slow
            if took > longest:
                longest, slowest = took, slow
        if longest:
            room = ", ".join(f"{name} {places(recipe, name):,}" for name in {lot.teacher: None for lot in self.open})
            self.basis.append(
                f"time is latency times calls over requests in flight ({room}), if the endpoints bear that many without "
                "slowing down, and then the slowest replies"
            )
        return (longest, slowest) if longest or not self.open else (None, None)


def _names(lots: list[Lot]) -> str:
    return ", ".join(f"{lot.teacher} {lot.mode}" for lot in lots)


def _waited_for(recipe: Recipe, lot: Lot) -> bool:
    """Whether a lot costs money and time: the built-in teacher answers at once and for nothing."""
    return recipe.teachers[lot.teacher].url != "builtin"


def _headed(head: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for place, line in enumerate(lines):
        yield (head if not place else ""), line


def _range(value: Range) -> str:
    if value.low == value.high:
        return number(value.likely)
    return f"about {number(value.likely)} ({number(value.low)} to {number(value.high)})"


def _json(value: Range | None) -> dict[str, float] | None:
    return None if value is None else value.to_json()
