"""The pilot of a translation: a few rows into one language, measured, before the whole is paid for.

The rows are drawn by hash from all of the input, and the replies go into the run's own journal, so the whole run asks
nothing of them again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.engines.local import LocalEngine
from tracemill.engines.signals import Signals
from tracemill.errors import UsageError
from tracemill.estimate.intervals import Interval, ratio, share
from tracemill.gather.drawn import draw, lay_out
from tracemill.gather.spool import Unit
from tracemill.mill import Run, Silent, Watch, check_place, default_workers
from tracemill.models.budget import money
from tracemill.multilingual.run import check_apart
from tracemill.plan import Plan
from tracemill.recipe import Recipe
from tracemill.recipe.translate import STAGE as TRANSLATE
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock
from tracemill.storage.machine import check_machine
from tracemill.storage.units import UnitNote, UnitStore
from tracemill.translation.stage import setup

ALONE = 1000
"""Units of the pilot hold about one row each, so that what a row took is known by itself."""


@dataclass
class Tally:
    """One row of the pilot, or the few that share a unit."""

    rows: int = 0
    kept: int = 0
    segments: int = 0
    asked: int = 0
    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class TranslationPilot:
    """What a pilot found. An interval holds the truth in 95 of 100 pilots; None: nothing to tell."""

    language: str
    rows: int
    of: int
    """Rows in all."""
    languages: int
    """Languages that the whole is to be in."""
    sent: int
    """Requests that this call sent."""
    accepted: Interval | None
    """Share of the rows that pass every gate."""
    lost: dict[str, int]
    """Rows by "stage: reason"."""
    refused: dict[str, int]
    """Translations of segments that a gate refused, most of them asked again."""
    asked_per_segment: Interval | None
    calls_per_row: Interval | None
    tokens_per_row: Interval | None
    cost_per_row: Interval | None
    """None without prices."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {k: v.to_json() if isinstance(v, Interval) else v for k, v in self.__dict__.items()}

    def to_text(self) -> str:
        """For a terminal."""
        whole = self.of * self.languages
        out = [f"pilot: {self.rows:,} of {self.of:,} rows into {self.language}; {self.sent:,} requests sent"]
        if self.accepted is not None:
            out.append(f"accepted {_percent(self.accepted)}")
        out += [f"  lost {reason}: {count:,}" for reason, count in self.lost.items()]
        out += [f"  segments refused by {gate}: {count:,}" for gate, count in self.refused.items()]
        for name, value in (
            ("requests for a segment", self.asked_per_segment),
            ("calls for a row", self.calls_per_row),
            ("tokens for a row", self.tokens_per_row),
            ("cost of a row", self.cost_per_row),
        ):
            if value is not None:
                out.append(f"{name} {_shown(value)}")
        out.append(f"the whole, {self.of:,} rows into {self.languages} languages, if the others are like this one:")
        for name, value in (
            ("calls", self.calls_per_row),
            ("tokens", self.tokens_per_row),
            ("cost", self.cost_per_row),
        ):
            if value is not None:
                out.append(f"  {name} {_shown(value.times(whole))}, less what equal segments save")
        return "\n".join(out)


def pilot(
    recipe: Recipe,
    out: str | Path,
    count: int,
    *,
    limit: int | None = None,
    workers: int | None = None,
    wait_for_endpoint: float | None = None,
    watch: Watch | None = None,
    fs: Fs = REAL,
) -> TranslationPilot:
    """Translate `count` rows into the first language of a recipe, and measure what it takes.

    Raises:
        UsageError: `count` is below 1, the recipe translates nothing, or its rows lie in `out`.
        Others: As `build`; what came is stored, the same call goes on.
    """
    if count < 1:
        raise UsageError(f"--pilot must be at least 1, it is {count}")
    wanted = recipe.translate
    if wanted is None:
        raise UsageError("the recipe has no `translate`")
    check_apart(recipe, out)
    small = recipe.model_copy(update={"translate": wanted.model_copy(update={"to": wanted.to[:1]})})
    paths, watch = RunPaths(Path(out)), watch or Silent()
    check_place(paths)
    check_machine()
    with Signals() as signals, RunLock(paths.lock) as lock:
        run = Run(paths, small, limit, watch, fs, signals)
        engine = LocalEngine(workers or default_workers(), lock.fd, run.show, fs, wait_for_endpoint)
        plan = run.planned()
        drawn = _Few(small, lay_out(draw(plan.spool, count, recipe.seed, fs), paths.spool, fs), limit)
        store = UnitStore(paths.units / drawn.fingerprint[:16], fs)
        notes = run.work(engine, drawn, store, run.committed(drawn, store))
        try:
            return _found(
                small, [notes[unit.name] for unit in drawn.units], plan.spool.prompts, len(wanted.to), run.sent
            )
        finally:
            for leftover in (store.directory, drawn.spool.directory):
                fs.remove_tree(leftover)


class _Few(Plan):
    """A plan whose units hold about one row each."""

    @property
    def units(self) -> list[Unit]:
        return self.spool.units(ALONE)


def _found(recipe: Recipe, notes: list[UnitNote], of: int, languages: int, sent: int) -> TranslationPilot:
    tallies = [_tally(recipe, note) for note in notes]
    lost: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for line in (line for note in notes for line in note.ledger if line["language"] == _code(recipe)):
        for reason, rows in (*line["dropped"].items(), *line["failed"].items()):
            lost[f"{line['stage']}: {reason}"] += rows
        for name, amount in line.get("measured", {}).items():
            if name.startswith("refused "):
                refused[name.removeprefix("refused ")] += amount

    def per(above: str, below: str = "rows") -> Interval | None:
        return ratio([getattr(t, above) for t in tallies], [getattr(t, below) for t in tallies], of)

    priced = all(recipe.teachers[name].price for name in _route(recipe))
    return TranslationPilot(
        language=_code(recipe),
        rows=sum(t.rows for t in tallies),
        of=of,
        languages=languages,
        sent=sent,
        accepted=share([t.kept for t in tallies], [t.rows for t in tallies]),
        lost=dict(lost),
        refused=dict(refused),
        asked_per_segment=per("asked", "segments"),
        calls_per_row=per("asked"),
        tokens_per_row=per("tokens"),
        cost_per_row=per("cost") if priced else None,
    )


def _tally(recipe: Recipe, note: UnitNote) -> Tally:
    tally = Tally()
    for line in note.ledger:
        if line["language"] != _code(recipe):
            continue
        if line["stage"] != TRANSLATE:
            tally.kept -= sum(line["dropped"].values())
            continue
        tally.rows += line["spawned"]
        tally.kept += line["kept"]
        measured = line.get("measured", {})
        tally.segments += measured.get("segments", 0)
        tally.asked += measured.get("asked", 0)
        for name in _route(recipe):
            prompt, completion = (measured.get(f"{kind} tokens {name}", 0) for kind in ("prompt", "completion"))
            tally.tokens += prompt + completion
            price = recipe.teachers[name].price
            tally.cost += price.of(prompt, completion) if price is not None else 0.0
    return tally


def _code(recipe: Recipe) -> str:
    found = setup(recipe)
    assert found is not None  # whoever calls has looked
    return found.targets[0].code


def _route(recipe: Recipe) -> tuple[str, ...]:
    assert recipe.translate is not None  # whoever calls has looked
    return recipe.translate.route(_code(recipe))


def _percent(value: Interval) -> str:
    ends = "" if value.low is None else f" ({value.low:.1%} to {value.high:.1%})"
    return f"{value.value:.1%}{ends}"


def _shown(value: Interval) -> str:
    ends = "" if value.low is None or value.high is None else f" ({money(value.low)} to {money(value.high)})"
    return f"{money(value.value)}{ends}"
