"""The plan: a recipe resolved against its inputs, and what is done to each of its units.

`run_unit` is the whole journey of a unit's prompts. It knows nothing of who schedules it: given the same prompts and the
same replies it gives the same rows, in whatever order its awaits come back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from tracemill import identity
from tracemill.fate import Failed, Fate, Outcome, Rejected, count, ended, place_of
from tracemill.gather.spool import Spool, Unit
from tracemill.ledger import Ledger
from tracemill.models.wire import Ask, Failure
from tracemill.recipe import Recipe
from tracemill.recipe.translate import STAGE as TRANSLATE
from tracemill.record import Prompt, Sample
from tracemill.respond import answer as respond
from tracemill.respond import episode
from tracemill.respond.acting import parts
from tracemill.respond.agreement import in_rounds
from tracemill.respond.templates import Template, load_templates
from tracemill.sift import duplicates
from tracemill.step import Drop, SiblingStep, Step
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.units import UnitNote, UnitStore
from tracemill.tasks import all_ended
from tracemill.verify.checks import checks_of, concerns, to_judge, votes_on
from tracemill.verify.complete import Complete
from tracemill.verify.judge import Judge
from tracemill.verify.math import MathAnswer
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.rubric import Rubric, frame, load_rubrics
from tracemill.verify.sound import Sound

if TYPE_CHECKING:
    from tracemill.translation.stage import Setup, Translator

READ = "read"
"""The stage of rows that were finished when they came in."""
AGREE = "agree"
"""The stage that lets no more samples of a prompt through than have to agree."""
SURPLUS = "surplus"

ROWS_VERSION = 4
"""Raised when the same replies would give other rows, so that units are worked again. Replies are not asked again."""


@dataclass(frozen=True)
class Plan:
    """What a run will do."""

    command: ClassVar[str] = "build"
    """What goes on with the run."""

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
            *([frame(), {c: r.to_yaml() for c, r in self.rubrics.items()}] if self.rubrics else []),
            *([parts()] if self.recipe.respond.roles() else []),
        ]
        return identity.digest([*told, self.translation.identity()] if self.translation else told)

    @property
    def shelf(self) -> str:
        """Name of the directory of its units."""
        return self.fingerprint[:16]

    def planned(self, unit: Unit) -> Counter[str]:
        """The uuids of all samples of a unit, but for translations."""
        return Counter(uuid for prompt in self.spool.read(unit) for uuid in self.uuids(prompt))

    def prompt_hash(self, unit: Unit, row: Mapping[str, Any]) -> str | None:
        """The hash of the prompt that a row of a unit answers."""
        return next((p.hash for p in self.spool.read(unit) if identity.prompt_key(p) == row["prompt_key"]), None)

    def notes(self, store: UnitStore) -> list[UnitNote]:
        """The notes of the units that are done, in order."""
        return [note for unit in self.units if (note := store.read(unit.name)) is not None]

    def settled(self, store: UnitStore, notes: list[UnitNote], fs: Fs = REAL) -> tuple[Plan, list[UnitNote]]:
        """The plan and its units as they are published, once all units are done. Here nothing is left to decide."""
        return self, notes

    @cached_property
    def units(self) -> list[Unit]:
        """In key order."""
        return self.spool.units(self.samples_per_prompt)

    @cached_property
    def templates(self) -> Mapping[str, Template]:
        return load_templates(self.recipe)

    @cached_property
    def rubrics(self) -> Mapping[str, Rubric]:
        """What a judge judges by, by category; none without one."""
        return load_rubrics(self.recipe)

    @cached_property
    def questions(self) -> respond.Questions:
        """What is asked about each prompt."""
        return respond.Questions(self.recipe, self.templates)

    @cached_property
    def translation(self) -> Setup | None:
        """What is needed to translate; None where nothing is to be."""
        if self.recipe.translate is None:
            return None
        from tracemill.translation.stage import setup  # with it come languages and their identification

        return setup(self.recipe)

    def uuids(self, prompt: Prompt) -> list[str]:
        """Of the rows that a prompt becomes, translations apart."""
        if prompt.given is not None:
            return [prompt.given.uuid]
        return [question.unanswered.uuid for question in self.questions.of(prompt)]

    def translations(self, rows: Iterable[tuple[str, str, str]]) -> list[str]:
        """The uuids of what is made of kept rows, given by uuid, language, and the category that they are about."""
        if self.translation is None:
            return []
        source, codes = self.translation.source.code, [target.code for target in self.translation.targets]
        takes = self.translation.translate.takes
        taken = [uuid for uuid, own, about in rows if own == source and takes(about)]
        return [identity.translation_uuid(uuid, code) for uuid in taken for code in codes]

    @property
    def samples_per_prompt(self) -> int:
        return respond.samples_per_prompt(self.recipe)

    @property
    def samples(self) -> int:
        """Rows that the plan will account for, but for translations: those follow from the rows that are kept."""
        return self.spool.prompts * self.samples_per_prompt


class Pipeline:
    """The steps of a plan, in order, for one process.

    Args:
        window: Prompts that may be under way at once, over all units of the process.
    """

    def __init__(self, plan: Plan, ask: Ask, checker: MathChecker, window: int) -> None:
        self.plan, self.ask = plan, ask
        checks = checks_of(plan.recipe, plan.rubrics, checker, ask)
        self.steps: tuple[Step, ...] = (Complete(), Sound(), *checks.steps)
        self.votes: tuple[SiblingStep, ...] = checks.votes
        self.judge = checks.judge
        self._window = asyncio.Semaphore(window)
        self.translator = _translator(plan.translation, ask)
        self._translating = asyncio.Semaphore(max(4, window // 4))

    async def work(
        self,
        unit: Unit,
        tell: Callable[[Iterable[Fate]], None] = lambda fates: None,
        all_begun: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Work a unit of the plan; see `run_unit`."""
        return await self.run_unit(self.plan.spool.read(unit), tell, all_begun)

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
            JudgeUntrusted: planted bad answers passed, before any prompt of the unit was asked.
        """
        tasks: list[asyncio.Task[list[Fate]]] = []
        ledger = Ledger()
        if self.judge is not None:
            ledger.measured.update(await self.judge.measure(prompts))
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
            if self.translator is None or broken:
                all_begun()
            results = await all_ended(tasks)
        fates = self._without_duplicates([fate for of_prompt in results for fate in of_prompt], ledger)
        if self.translator is not None:
            fates = await self._in_other_languages(self.translator, fates, ledger, tell, all_begun)
        ledger.close()
        return Outcome(
            [f for f in fates if isinstance(f, Sample)],
            [f for f in fates if isinstance(f, Rejected)],
            [f for f in fates if isinstance(f, Failed)],
            ledger,
        )

    async def _prompt(self, prompt: Prompt, ledger: Ledger, tell: Callable[[Iterable[Fate]], None]) -> list[Fate]:
        if prompt.given is not None:
            place = (READ, prompt.category, prompt.language)
            ledger.taken[place] += 1
            ledger.kept[place] += 1
            tell([prompt.given])
            return [prompt.given]
        asked = list(self.plan.questions.of(prompt))
        place = (respond.STAGE, prompt.category, prompt.language)
        ledger.taken[place] += 1
        ledger.spawned[place] += len(asked) - 1
        if self.plan.recipe.respond.agree is not None:
            modes = dict.fromkeys(question.request.reasoning for question in asked)
            of_modes = [[question for question in asked if question.request.reasoning == mode] for mode in modes]
            rounds = [asyncio.create_task(self._until_agreed(questions, ledger)) for questions in of_modes]
            fates = [fate for of_mode in await all_ended(rounds) for fate in of_mode]
        elif len(asked) == 1:
            fates = await self._vote([await self._sample(asked[0], ledger)], ledger)
        else:
            fates = await all_ended([asyncio.create_task(self._sample(question, ledger)) for question in asked])
            fates = await self._vote(fates, ledger)
        tell(fates)
        return fates

    async def _until_agreed(self, questions: Sequence[respond.Question], ledger: Ledger) -> list[Fate]:
        """Samples of one mode, asked for until enough are kept. Further ones are surplus, whether they were asked or not."""
        settings = self.plan.recipe.respond

        async def right(fates: Sequence[Fate]) -> int:
            voted = await self._vote(list(fates), Ledger())
            return sum(isinstance(f, Sample) and all(verdict.passed for verdict in f.verdicts) for f in voted)

        ask = partial(self._sample, ledger=ledger)
        rounds = await in_rounds(questions, ask, right, settings.agree or len(questions), settings.ahead)
        fates = await self._vote(rounds.came[: rounds.needed], ledger)
        told = f"{settings.agree} samples are right among the first {rounds.needed} of {len(questions)}; "
        same_round = Drop(SURPLUS, f"{told}this one came in the same round")
        fates += [
            count(AGREE, frozenset({SURPLUS}), fate, same_round, ledger) if isinstance(fate, Sample) else fate
            for fate in rounds.came[rounds.needed :]
        ]
        not_asked = Drop(SURPLUS, f"{told}this one was not asked for")
        for question in questions[len(rounds.came) :]:
            unasked = replace(question.unanswered, requests=())
            fates.append(ended(respond.STAGE, frozenset({SURPLUS}), unasked, not_asked, ledger))
        return fates

    async def _sample(self, question: respond.Question, ledger: Ledger) -> Fate:
        """One sample from its question through every step that looks at it alone."""
        got = await episode.respond(question, self.ask, self.plan.recipe)
        if got.failure is not None:
            ledger.failed[(*place_of(respond.STAGE, got.sample), got.failure.kind)] += 1
            return Failed(got.sample, got.failure)
        answered = ended(respond.STAGE, episode.DROPS, got.sample, got.drop or got.sample, ledger)
        if isinstance(answered, Rejected):
            return answered
        sample = answered
        for step in self.steps:
            if not concerns(step, sample):
                continue
            fate = count(step.name, step.drops, sample, await step(sample), ledger)
            if isinstance(fate, Rejected):
                return fate
            sample = fate
        if self.judge is not None and to_judge(self.judge, sample):
            return await self._judged(self.judge, sample, ledger)
        return sample

    async def _judged(self, judge: Judge, sample: Sample, ledger: Ledger) -> Fate:
        """A sample that only a judge can tell about. One that gets no reply has failed, and is asked for by the next
        build.
        """
        got = await judge(sample)
        if isinstance(got, Failure):
            place = place_of(judge.name, sample)
            ledger.taken[place] += 1
            ledger.failed[(*place, got.kind)] += 1
            return Failed(sample, got)
        return count(judge.name, judge.drops, sample, got, ledger)

    async def _in_other_languages(
        self,
        translator: Translator,
        fates: list[Fate],
        ledger: Ledger,
        tell: Callable[[Iterable[Fate]], None],
        all_begun: Callable[[], None],
    ) -> list[Fate]:
        """All fates, and after them one for each translation of a kept row: language by language, so that a model that
        is loaded for one of them is asked for all of its rows.
        """

        async def work(parent: Sample, code: str) -> Fate:
            try:
                got = await translator(parent, code)
                child = got.sample
                place = (TRANSLATE, child.domain, child.language)
                ledger.spawned[place] += 1
                ledger.measured.update({(*place, name): count for name, count in got.measured.items()})
                if got.failure is not None:
                    ledger.failed[(*place, got.failure.kind)] += 1
                    fate: Fate = Failed(child, got.failure)
                else:
                    fate = ended(TRANSLATE, translator.drops, child, got.drop or child, ledger)
                if isinstance(fate, Sample) and translator.needs_check(parent, fate):
                    fate = await self._still_right(parent, fate, ledger)
                tell([fate])
                return fate
            finally:
                self._translating.release()

        tasks: list[asyncio.Task[Fate]] = []
        try:
            for code in translator.codes:
                for parent in fates:
                    if isinstance(parent, Sample) and translator.concerns(parent, code):
                        await self._translating.acquire()
                        tasks.append(asyncio.create_task(work(parent, code)))
        finally:
            all_begun()
            children = await all_ended(tasks)
        return [*fates, *children]

    async def _still_right(self, parent: Sample, child: Sample, ledger: Ledger) -> Fate:
        """A translated answer must pass the check that its original passes."""
        step = next(step for step in self.steps if isinstance(step, MathAnswer))
        if isinstance(await step(parent), Drop):
            return child
        return count(step.name, step.drops, child, await step(child), ledger)

    async def _vote(self, fates: list[Fate], ledger: Ledger) -> list[Fate]:
        """Samples without an expected answer are judged by their siblings of the same reasoning mode."""
        judged: dict[str, Fate] = {}
        if all(_sample_of(fate).expected is not None for fate in fates):
            return fates
        for vote in self.votes:
            voters = [f for f in fates if isinstance(f, Sample) and votes_on(vote, f)]
            for mode in sorted({v.reasoning for v in voters}):
                siblings = [v for v in voters if v.reasoning == mode]
                asked = sum(_sample_of(f).reasoning == mode for f in fates)
                for sample, got in zip(siblings, await vote(siblings, asked), strict=True):
                    judged[sample.uuid] = count(vote.name, vote.drops, sample, got, ledger)
        return [judged.get(_sample_of(f).uuid, f) for f in fates]

    def _without_duplicates(self, fates: list[Fate], ledger: Ledger) -> list[Fate]:
        if not self.plan.recipe.verify.duplicates:
            return fates
        samples = [f for f in fates if isinstance(f, Sample)]
        judged = {
            sample.uuid: count(duplicates.STAGE, duplicates.DROPS, sample, got, ledger)
            for sample, got in zip(samples, duplicates.without_duplicates(samples), strict=True)
        }
        return [judged.get(_sample_of(f).uuid, f) for f in fates]


def _translator(setup: Setup | None, ask: Ask) -> Translator | None:
    if setup is None:
        return None
    from tracemill.translation.stage import Translator

    return Translator(setup, ask)


def _sample_of(fate: Fate) -> Sample:
    return fate if isinstance(fate, Sample) else fate.sample
