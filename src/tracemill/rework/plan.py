"""The plan of a run over finished rows, and what is done to each of its units.

A unit's rows depend on the recipe and the unit's piece of a file alone, so the units of files that have not changed serve
again when others are added. What needs all rows, duplicates, is decided once all units are done: see `settle`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

import pyarrow as pa

from tracemill import identity
from tracemill.errors import RecipeError
from tracemill.fate import Failed, Fate, Outcome, Rejected, count, place_of
from tracemill.gather.spool import Unit
from tracemill.ledger import Ledger
from tracemill.legible import did_you_mean, quoted
from tracemill.models.wire import Ask
from tracemill.plan import READ, ROWS_VERSION, Pipeline, Plan
from tracemill.reading.json_lines import REASONS as UNREADABLE
from tracemill.reading.rows import REASONS as NO_ROWS
from tracemill.recipe import Recipe, Refine
from tracemill.record import Sample
from tracemill.rework.rows import FINDINGS, Row, rows_of
from tracemill.rework.settle import SIGNATURE, kept_notes, settle
from tracemill.rework.stock import Stock, asked
from tracemill.schema import from_row
from tracemill.sift.checked import UNCHECKED, Checked
from tracemill.sift.duplicates import digest
from tracemill.sift.select import Select
from tracemill.step import Drop, Step
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.units import UnitNote, UnitStore
from tracemill.tasks import all_ended
from tracemill.verify.checks import STEPS, concerns, to_judge
from tracemill.verify.complete import Complete
from tracemill.verify.judge import Judge
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.sound import Sound

GATHER, STRUCTURE = "gather", "structure"
BAD = frozenset(UNREADABLE) | NO_ROWS


@dataclass(frozen=True)
class RowsPlan(Plan):
    """What a run over finished rows will do."""

    command: ClassVar[str] = "refine"

    spool: Stock

    @property
    def refine(self) -> Refine:
        """The recipe's part on refining."""
        return self.recipe.refine or Refine()

    @cached_property
    def fingerprint(self) -> str:
        """Hex; equal plans give equal rows."""
        told: list[Any] = [self.recipe.rows_identity(), [file.content for file in self.spool.files]]
        told += [self.limit] if self.limit is not None else []
        return identity.digest([self.shelf, self.spool.identity(), *told])

    @cached_property
    def shelf(self) -> str:
        """The directory of its units: the same for all inputs, since a unit is named for what it is made of."""
        rubrics = {category: rubric.to_yaml() for category, rubric in self.rubrics.items()}
        told = self.recipe.rows_identity()
        del told["prompts"][0]["split"], told["verify"]["duplicates"]
        for of_the_whole in ("name", "version", "license"):
            del told[of_the_whole]
        return identity.digest(["rows", ROWS_VERSION, told, rubrics])[:16]

    def planned(self, unit: Unit) -> Counter[str]:
        """The uuids of all lines of a unit."""
        lot, piece = self.spool.piece(unit)
        found = rows_of(self.spool.source, piece, lot.rows, Refine(findings=()), cut=lot.cut)
        return Counter(row.sample.uuid for rows in found for row in rows)

    def prompt_hash(self, unit: Unit, row: Mapping[str, Any]) -> str | None:
        """The hash of the prompt that a row answers; None for a line that is no row."""
        sample = from_row(row)
        return asked(sample).hash if sample.messages else None

    def notes(self, store: UnitStore) -> list[UnitNote]:
        """The notes of the units that are done, duplicates taken out where that is known."""
        return kept_notes(self.fingerprint, [u.name for u in self.units], store)

    def settled(self, store: UnitStore, notes: list[UnitNote], fs: Fs = REAL) -> tuple[Plan, list[UnitNote]]:
        """Itself with its input counted, and its units without duplicates."""
        notes = settle(self.fingerprint, store, notes, self.recipe.verify.duplicates, fs)
        ledger = Ledger()
        for note in notes:
            ledger.add(Ledger.from_lines(note.ledger))
        return replace(self, spool=self.spool.counted(ledger)), notes


@dataclass(frozen=True, slots=True)
class RowsOutcome(Outcome):
    """What became of a unit, its rows as tables already: fewer are held as Python values at once."""

    made: list[tuple[str, pa.Table]] = field(default_factory=list)

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """The rows by kind, ready to be stored, some at a time."""
        return iter(self.made)


class RowsPipeline(Pipeline):
    """The build's steps for rows that have their answer."""

    def __init__(self, plan: Plan, ask: Ask, checker: MathChecker, window: int) -> None:
        super().__init__(plan, ask, checker, window)
        self.refine = plan.recipe.refine or Refine()
        only = {label: frozenset(values) for label, values in self.refine.only if values}
        self.select = Select(only, frozenset(self.refine.more_categories))
        steps = (Complete(any_turn=True) if isinstance(step, Complete) else step for step in self.steps)
        self.kept_steps: list[Step] = [step for step in steps if step.name not in self.refine.skip]
        self.checked = Checked(self.refine.must_check)

    async def work(
        self,
        unit: Unit,
        tell: Callable[[Iterable[Fate]], None] = lambda fates: None,
        all_begun: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Work all rows of a unit, a batch at a time. Another unit may begin when this one is done."""
        stock = self.plan.spool
        assert isinstance(stock, Stock)
        ledger = Ledger()
        made: list[tuple[str, pa.Table]] = []
        lot, piece = stock.piece(unit)
        try:
            for number, rows in enumerate(rows_of(stock.source, piece, lot.rows, self.refine, cut=lot.cut)):
                if self.judge is not None and not number:
                    mine = [replace(asked(row.sample), given=None) for row in rows if row.bad is None]
                    ledger.measured.update(await self.judge.measure(mine))
                fates = await all_ended([asyncio.create_task(self._row(row, ledger)) for row in rows])
                tell(fates)
                made += _tables(fates, ledger)
        finally:
            all_begun()
        stock.check(unit)
        ledger.close()
        return RowsOutcome([], [], [], ledger, made)

    async def _row(self, row: Row, ledger: Ledger) -> Fate:
        """One line of the input through every step."""
        sample = row.sample
        bad = None if row.bad is None else Drop(row.bad.reason, f"{row.bad.where}: {row.bad.evidence}")
        fate: Fate = count(GATHER, BAD, sample, bad or sample, ledger)
        if not isinstance(fate, Sample):
            return fate
        ledger.taken[place_of(READ, sample)] += 1
        ledger.kept[place_of(READ, sample)] += 1
        fate = sample = self._without_old_verdicts(sample)
        for step in (self.select, STRUCTURE, *self.kept_steps, self.judge, self.checked):
            if step is None:
                continue
            if isinstance(step, str):
                name = next((name for name in self.refine.findings if name in row.found), None)
                flaw = None if name is None else Drop(name, row.found[name])
                fate = count(STRUCTURE, frozenset(FINDINGS), sample, flaw or sample, ledger)
            elif isinstance(step, Judge):
                if to_judge(step, sample):
                    fate = await self._judged(step, sample, ledger)
            elif concerns(step, sample):
                fate = count(step.name, step.drops, sample, await step(sample), ledger)
            if not isinstance(fate, Sample):
                return fate
            sample = fate
        return sample

    def _without_old_verdicts(self, sample: Sample) -> Sample:
        """What is found out anew is not told twice."""
        if not sample.verdicts:
            return sample
        anew = {step.name for step in self.kept_steps if concerns(step, sample)} | {UNCHECKED}
        return replace(sample, verdicts=tuple(v for v in sample.verdicts if v.step not in anew))


def check_refine(recipe: Recipe) -> None:
    """Raises RecipeError if a finding or step is named that there is not."""
    refine = recipe.refine or Refine()
    may_go = [Sound.name, *STEPS]
    for key, names, known in (("findings", refine.findings, FINDINGS), ("skip", refine.skip, may_go)):
        for name in names:
            if name not in known:
                there = did_you_mean(name, known) or f" There are: {', '.join(known)}"
                raise RecipeError(f"refine.{key}: there is no {quoted(name)} here.{there}", ("refine", key))


def _tables(fates: list[Fate], ledger: Ledger) -> Iterator[tuple[str, pa.Table]]:
    kept = [fate for fate in fates if isinstance(fate, Sample)]
    signatures = map(digest, kept)
    rejected = [fate for fate in fates if isinstance(fate, Rejected)]
    failed = [fate for fate in fates if isinstance(fate, Failed)]
    for kind, table in Outcome(kept, rejected, failed, ledger).tables():
        if kind == "kept":
            signed = list(islice(signatures, table.num_rows))
            yield kind, table.append_column(SIGNATURE, pa.array(signed, pa.string()))
        else:
            yield kind, table
