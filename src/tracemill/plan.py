"""The plan: a recipe resolved against its inputs, and what is done to each of its units.

`run_unit` is the whole journey of a unit's prompts. It knows nothing of who schedules it: given the same prompts and the
same replies it gives the same rows, in whatever order its awaits come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa

from tracemill import identity
from tracemill.columns import table_of
from tracemill.errors import LossyConversion
from tracemill.gather.spool import Spool, Unit
from tracemill.ledger import Ledger
from tracemill.models.wire import Ask, Failure
from tracemill.recipe import Recipe
from tracemill.record import Message, Prompt, Sample, Verdict
from tracemill.refine import duplicates
from tracemill.respond import answer as respond
from tracemill.respond.templates import Template, load_templates
from tracemill.schema import FAILED_SCHEMA, REJECTED_SCHEMA, SCHEMA, to_row
from tracemill.step import Drop, SiblingStep, Step
from tracemill.verify.complete import Complete
from tracemill.verify.math import MathAnswer, MathMajority
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.sound import Sound

T = TypeVar("T")

ROWS_VERSION = 2
"""Raised when the same replies would give other rows, so that units are worked again. Replies are not asked again."""


@dataclass(frozen=True)
class Plan:
    """What a run will do."""

    recipe: Recipe
    spool: Spool
    limit: int | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hex; equal plans give equal rows for equal replies."""
        templates = {c: [t.before, t.after, t.system] for c, t in self.templates.items()}
        told = [
            ROWS_VERSION,
            self.recipe.rows_identity(),
            self.spool.identity(),
            self.limit,
            templates,
        ]
        return identity.digest(told)

    @cached_property
    def units(self) -> list[Unit]:
        """In key order."""
        return self.spool.units(self.samples_per_prompt)

    @cached_property
    def templates(self) -> Mapping[str, Template]:
        return load_templates(self.recipe)

    @cached_property
    def questions(self) -> respond.Questions:
        """What is asked about each prompt."""
        return respond.Questions(self.recipe, self.templates)

    @property
    def samples_per_prompt(self) -> int:
        return respond.samples_per_prompt(self.recipe)

    @property
    def samples(self) -> int:
        """Rows that the plan will account for."""
        return self.spool.prompts * self.samples_per_prompt


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sample that a stage dropped."""

    sample: Sample
    stage: str
    drop: Drop


@dataclass(frozen=True, slots=True)
class Failed:
    """A sample that got no answer."""

    sample: Sample
    failure: Failure


Fate = Sample | Rejected | Failed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a unit: every sample in exactly one of three places, each in key order."""

    kept: list[Sample]
    rejected: list[Rejected]
    failed: list[Failed]
    ledger: Ledger

    def tables(self) -> dict[str, pa.Table]:
        """The rows by kind, ready to be stored."""
        rejected = [
            {**_row_of(r.sample), "stage": r.stage, "reason": r.drop.reason, "evidence": r.drop.evidence}
            for r in self.rejected
        ]
        failed = [
            {
                **_row_of(f.sample),
                "error_class": f.failure.kind,
                "attempts": f.failure.attempts,
                "evidence": f.failure.detail,
            }
            for f in self.failed
        ]
        return {
            "kept": table_of([to_row(s) for s in self.kept], SCHEMA),
            "rejected": table_of(rejected, REJECTED_SCHEMA),
            "failed": table_of(failed, FAILED_SCHEMA),
        }


def _row_of(sample: Sample) -> dict[str, Any]:
    """A row of a sample that was not kept. What no layout can carry is shown as plain text, so that one strange reply
    or prompt never stops a run; the reply itself is in the journal.
    """
    try:
        return to_row(sample)
    except LossyConversion:
        turns = tuple(Message(m.role, f"trace: {m.reasoning}\n\nanswer: {m.content}") for m in sample.messages)
        return to_row(replace(sample, messages=turns, tools=(), metadata={}))


class Pipeline:
    """The steps of a plan, in order, for one process.

    Args:
        window: Prompts that may be under way at once, over all units of the process.
    """

    def __init__(self, plan: Plan, ask: Ask, checker: MathChecker, window: int) -> None:
        self.plan, self.ask = plan, ask
        self.steps: tuple[Step, ...] = (Complete(), Sound(), MathAnswer(checker))
        self.votes: SiblingStep = MathMajority(checker, plan.recipe.verify.math.majority)
        self._window = asyncio.Semaphore(window)

    async def run_unit(
        self,
        prompts: Sequence[Prompt],
        tell: Callable[[Iterable[Fate]], None] = lambda fates: None,
        all_begun: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Work all prompts of a unit, as many at once as the window allows.

        Args:
            prompts: In key order.
            tell: Called with the fates of each prompt's samples as they are known, before duplicates are taken out.
            all_begun: Called when the last prompt is under way, so that another unit may begin.

        Raises:
            Whatever a prompt raised first in key order, after all that had begun have ended: a reply on its way is
            never given up because another request failed.
        """
        tasks: list[asyncio.Task[list[Fate]]] = []
        ledger = Ledger()
        broken = False

        async def work(prompt: Prompt) -> list[Fate]:
            nonlocal broken
            try:
                return await self._prompt(prompt, ledger, tell)
            except BaseException:
                broken = True
                raise
            finally:
                self._window.release()

        try:
            for prompt in prompts:
                await self._window.acquire()
                if broken:
                    self._window.release()
                    break
                tasks.append(asyncio.create_task(work(prompt)))
        finally:
            all_begun()
            results = await _all(tasks)
        fates = self._without_duplicates([fate for of_prompt in results for fate in of_prompt], ledger)
        ledger.close()
        return Outcome(
            [f for f in fates if isinstance(f, Sample)],
            [f for f in fates if isinstance(f, Rejected)],
            [f for f in fates if isinstance(f, Failed)],
            ledger,
        )

    async def _prompt(self, prompt: Prompt, ledger: Ledger, tell: Callable[[Iterable[Fate]], None]) -> list[Fate]:
        asked = list(self.plan.questions.of(prompt))
        place = (respond.STAGE, prompt.category, prompt.language)
        ledger.taken[place] += 1
        ledger.spawned[place] += len(asked) - 1
        if len(asked) == 1:
            fates = [await self._sample(asked[0], ledger)]
        else:
            fates = await _all([asyncio.create_task(self._sample(question, ledger)) for question in asked])
        fates = await self._vote(fates, ledger)
        tell(fates)
        return fates

    async def _sample(self, question: respond.Question, ledger: Ledger) -> Fate:
        """One sample from its question through every step that looks at it alone."""
        recipe = self.plan.recipe
        sample, failure = await respond.answer(question, self.ask, recipe.seed, recipe.respond)
        place = (respond.STAGE, sample.category, sample.language)
        if failure is not None:
            ledger.failed[(*place, failure.kind)] += 1
            return Failed(sample, failure)
        ledger.kept[place] += 1
        for step in self.steps:
            if not _concerns(step, sample):
                continue
            got = await step(sample)
            fate = _count(step.name, step.drops, sample, got, ledger)
            if isinstance(fate, Rejected):
                return fate
            sample = fate
        return sample

    async def _vote(self, fates: list[Fate], ledger: Ledger) -> list[Fate]:
        """Samples without an expected answer are judged by their siblings of the same reasoning mode."""
        voters = [f for f in fates if isinstance(f, Sample) and f.category == "math" and f.expected is None]
        judged: dict[str, Fate] = {}
        for mode in sorted({v.reasoning for v in voters}):
            siblings = [v for v in voters if v.reasoning == mode]
            asked = sum(_sample_of(f).reasoning == mode for f in fates)
            for sample, got in zip(siblings, await self.votes(siblings, asked), strict=True):
                judged[sample.uuid] = _count(self.votes.name, self.votes.drops, sample, got, ledger)
        return [judged.get(_sample_of(f).uuid, f) for f in fates]

    def _without_duplicates(self, fates: list[Fate], ledger: Ledger) -> list[Fate]:
        if not self.plan.recipe.verify.duplicates:
            return fates
        samples = [f for f in fates if isinstance(f, Sample)]
        judged = {
            sample.uuid: _count(duplicates.STAGE, duplicates.DROPS, sample, got, ledger)
            for sample, got in zip(samples, duplicates.without_duplicates(samples), strict=True)
        }
        return [judged.get(_sample_of(f).uuid, f) for f in fates]


async def _all(tasks: Sequence[asyncio.Task[T]]) -> list[T]:
    """The results in order, once every task has ended. A failed task does not cancel the others; our own
    cancellation cancels them all.
    """
    try:
        if tasks:
            await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    failed = [error for task in tasks if (error := None if task.cancelled() else task.exception())]
    if failed:
        raise failed[0]
    return [task.result() for task in tasks]


def _concerns(step: Step, sample: Sample) -> bool:
    """Math is checked against an answer where there is one; without one the siblings vote."""
    return not isinstance(step, MathAnswer) or (sample.category == "math" and sample.expected is not None)


def _count(stage: str, drops: frozenset[str], sample: Sample, got: Sample | Drop, ledger: Ledger) -> Sample | Rejected:
    place = (stage, sample.category, sample.language)
    ledger.taken[place] += 1
    if isinstance(got, Drop):
        if got.reason not in drops:
            raise AssertionError(f"step {stage!r} gave {got.reason!r}, which it does not declare")
        ledger.dropped[(*place, got.reason)] += 1
        verdict = Verdict(stage, False, got.reason if not got.evidence else f"{got.reason}: {got.evidence}")
        return Rejected(replace(sample, verdicts=(*sample.verdicts, verdict)), stage, got)
    ledger.kept[place] += 1
    return got


def _sample_of(fate: Fate) -> Sample:
    return fate if isinstance(fate, Sample) else fate.sample
