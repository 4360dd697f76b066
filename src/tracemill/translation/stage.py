"""The stage: one row and one language in, a translated row out, or the gate and the segment that stopped it.

It asks through the door that it is given, and counts nothing but what the row took; the unit that runs it counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tracemill.identify import identify
from tracemill.languages import Language, codes, language
from tracemill.legible import one_line
from tracemill.models.wire import Ask, Failure
from tracemill.recipe import Recipe, Translate
from tracemill.recipe.translate import STAGE
from tracemill.record import Sample
from tracemill.segments.message import BLOCKS, check_message
from tracemill.segments.problem import Problem
from tracemill.segments.splitting import split
from tracemill.step import Drop
from tracemill.tasks import all_ended
from tracemill.translation.asking import Asking
from tracemill.translation.back import BackCheck
from tracemill.translation.gates import DROPS, Refused, SegmentGates
from tracemill.translation.groups import ask_together
from tracemill.translation.ladder import Climb, Tried, rungs
from tracemill.translation.localise import STAGE as LOCALISE
from tracemill.translation.localise import Adapting
from tracemill.translation.memory import BUILT_IN, NOTHING, Memory, read_memory
from tracemill.translation.messages import Taken, child_of, put_together, take_apart, text_of, untouched
from tracemill.translation.prompting import NUMBERED, Prompt, is_built_in, load_prompt
from tracemill.translation.rules import rules_between

EVIDENCE = 300
"""Characters of a segment that are shown when its row is dropped."""


@dataclass(frozen=True)
class Setup:
    """What a recipe's `translate` comes to: languages, prompt and routes, all read and checked."""

    recipe: Recipe
    translate: Translate
    source: Language
    targets: tuple[Language, ...]
    prompt: Prompt
    memory: Memory = NOTHING
    runs: tuple[str, ...] = ()
    """Directories of earlier runs, whose replies serve here too."""

    @property
    def local_prompt(self) -> Prompt:
        """What a teacher who adapts rows is asked with."""
        local = self.translate.localise
        return load_prompt(local.prompt if local is not None else LOCALISE)

    @property
    def prompt_file(self) -> str | None:
        """The prompt, where it is a file of the user's."""
        return None if is_built_in(self.translate.prompt) else self.translate.prompt

    def is_own(self, one: Language) -> bool:
        """Whether a language is not as we ship it."""
        return one.code not in codes() or one != language(one.code)

    def identity(self) -> list[Any]:
        """What can change a row beside the recipe: the texts of the prompt, the language files and the memory."""
        told: list[Any] = [target.model_dump(mode="json") for target in (self.source, *self.targets)]
        if self.translate.granularity != "line":
            told.append(load_prompt(NUMBERED).hash)
        if self.translate.localise is not None:
            told.append(self.local_prompt.hash)
        return [STAGE, self.prompt.hash, told, *([self.memory.identity()] if self.memory else [])]


def setup(recipe: Recipe) -> Setup | None:
    """What is needed to translate as a recipe says; None where nothing is to be translated.

    Raises:
        RecipeError: A language, the prompt or a file is not there or wrong.
    """
    wanted = recipe.translate
    if wanted is None:
        return None
    targets = tuple(language(code, wanted.languages) for code in wanted.to)
    runs = tuple(path for path in wanted.memory if path != BUILT_IN and Path(path).is_dir())
    memory = read_memory([path for path in wanted.memory if path not in runs])
    source = language(wanted.source, wanted.languages)
    return Setup(recipe, wanted, source, targets, load_prompt(wanted.prompt), memory, runs)


@dataclass(frozen=True, slots=True)
class Translation:
    """What became of one row in one language."""

    sample: Sample
    """The translated row; where it was dropped or failed, the child with the parent's messages."""
    drop: Drop | None = None
    failure: Failure | None = None
    measured: Counter[str] = field(default_factory=Counter)
    """What it took; the names are those of `MEASURES`."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Each segment and its translation, where the row passed."""


MEASURES: dict[str, str] = {
    "bytes": "UTF-8 bytes of prompt and answer, in the source language, of the rows that came in",
    "bytes lost": "the same of the rows that were lost",
    "segments": "segments of these rows that are translated",
    "segments lost": "segments for which no translation passed",
    "remembered": "segments whose translation came from a memory of translations",
    "looked at": "segments that a person was asked to look at before; `agreed`: of these, as a model had said them",
    "asked": "requests whose replies were looked at; an equal one of another row is the same request",
}
"""What is measured of each row. Beside these: `refused REASON`, how often a gate refused a translation; `prompt tokens
TEACHER` and `completion tokens TEACHER`, of the replies that were looked at, as the endpoints counted them."""


class Translator:
    """Translates rows.

    Args:
        setup: Of the recipe.
        ask: The door.
    """

    drops = DROPS

    def __init__(self, setup: Setup, ask: Ask) -> None:
        self.setup = setup
        self.codes = tuple(target.code for target in setup.targets)
        self._asking = Asking(ask, setup.recipe)
        self._of_text = lru_cache(maxsize=64)(self._judged)
        """The samples of a prompt come one after the other, and share its text."""
        self._climbs = {target.code: self._climb(target) for target in setup.targets}
        self._adapting: dict[str, Adapting] = {}
        if (local := setup.translate.localise) is not None:
            prompt, source = setup.local_prompt, setup.source
            self._adapting = {t.code: Adapting(local, self._asking, prompt, source, t) for t in setup.targets}

    def climb(self, code: str) -> Climb:
        """What translates single segments into a language; see `live`."""
        return self._climbs[code]

    def concerns(self, parent: Sample, code: str) -> bool:
        """Whether a row is translated into a language."""
        about = parent.domain or parent.category
        return parent.language == self.setup.source.code != code and self.setup.translate.takes(about)

    def needs_check(self, parent: Sample, child: Sample) -> bool:
        """Whether the translated answer has to pass the check of its original."""
        return (child.domain or child.category) == "math" and child.expected is not None

    async def __call__(self, parent: Sample, code: str) -> Translation:
        """One row into one language. Every segment is climbed to its end, so that what is told depends on replies alone."""
        climb = self._climbs[code]
        wanted = self.setup.translate
        measured: Counter[str] = Counter()
        local = await self._localised(parent, code, measured)
        row = local if isinstance(local, Sample) else parent
        taken = take_apart(row, self._near, wanted.system, wanted.traces, wanted.comments)
        if not isinstance(local, Sample):
            measured.update({"bytes": taken.source_bytes, "bytes lost": taken.source_bytes})
            drop, failure = (local, None) if isinstance(local, Drop) else (None, local)
            return Translation(child_of(parent, code), drop, failure, +measured)
        tried = await self._tried(climb, taken)
        measured.update({"bytes": taken.source_bytes, "segments": len(tried)})
        got = self._ended(taken, tried, code)
        if got.drop is not None and got.drop.reason == "language" and all(one.text for one in tried):
            # Each line passed alone, the message as a whole did not: everything is asked once more, a rung higher.
            # But what people said stays.
            asked = [n for n, one in enumerate(tried) if not one.remembered]
            again = await _all(climb(taken.pieces[n].masked, taken.pieces[n].before, 1) for n in asked)
            for n, second in zip(asked, again, strict=True):
                tried[n] = _added(tried[n], second)
            got = self._ended(taken, tried, code)
        measured["asked"] += sum(one.asked for one in tried)
        measured["remembered"] = sum(one.remembered for one in tried)
        measured["looked at"] = sum(one.looked_at for one in tried)
        measured["agreed"] = sum(one.agreed for one in tried)
        measured["segments lost"] = sum(one.text is None for one in tried)
        for one in tried:
            measured.update(one.tokens)
            measured.update({f"refused {reason}": count for reason, count in one.reasons.items()})
        if got.drop is not None or got.failure is not None:
            measured["bytes lost"] = taken.source_bytes
        passed = got.drop is None and got.failure is None
        pairs = (
            tuple((p.masked.source, t.text or "") for p, t in zip(taken.pieces, tried, strict=True)) if passed else ()
        )
        return Translation(got.sample, got.drop, got.failure, +measured, pairs)

    async def _localised(self, parent: Sample, code: str, measured: Counter[str]) -> Sample | Drop | Failure:
        """The row as readers of the language would have it, if that is wanted and its answer can be checked again."""
        adapting = self._adapting.get(code)
        return parent if adapting is None or not self.needs_check(parent, parent) else await adapting(parent, measured)

    async def _tried(self, climb: Climb, taken: Taken) -> list[Tried]:
        """What became of each piece: of those asked together too, if they were to be, and of the rest alone."""
        form = self.setup.translate.granularity
        found: list[Tried | None] = [None] * len(taken.pieces)
        if form != "line" and climb.rungs:
            found = await ask_together(climb, taken, form)
        left = [n for n, one in enumerate(found) if one is None or one.text is None]
        alone = await _all(climb(taken.pieces[n].masked, taken.pieces[n].before) for n in left)
        for n, one in zip(left, alone, strict=True):
            first = found[n]
            found[n] = one if first is None else _added(first, one)
        return [one for one in found if one is not None]

    @property
    def _near(self) -> int:
        return max(self.setup.translate.context, self.setup.translate.ladder.context)

    def _climb(self, target: Language) -> Climb:
        wanted = self.setup.translate
        glossary = wanted.glossary.get(target.code, {})
        rules_ = rules_between(self.setup.source, target, wanted.gates)
        gates = SegmentGates(wanted.gates, self.setup.source, target, self._among(target.code), glossary, rules_)
        steps = rungs(wanted.route(target.code), wanted.ladder, wanted.context)
        register = [target.register_.rule] if target.register_ is not None else []
        rules = (*target.prompt, *register)
        many = load_prompt(NUMBERED)
        back = (
            BackCheck(wanted.back, self._asking, self.setup.prompt, self.setup.source, target) if wanted.back else None
        )
        return Climb(
            self._asking,
            self.setup.prompt,
            many,
            self.setup.source,
            target,
            gates,
            steps,
            rules,
            self.setup.memory,
            back,
        )

    def _among(self, code: str) -> tuple[Language, ...]:
        """The run's languages; the one that is judged last, for it may share its label with another, as fr-CA with fr."""
        others = [one for one in self.setup.targets if one.code != code]
        return (self.setup.source, *others, *(one for one in self.setup.targets if one.code == code))

    def _ended(self, taken: Taken, tried: Sequence[Tried], code: str) -> Translation:
        """The row, if every segment has passed and the whole does too."""
        for number, (piece, one) in enumerate(zip(taken.pieces, tried, strict=True), 1):
            if one.text is not None:
                continue
            child = child_of(taken.parent, code)
            if one.failure is not None:
                return Translation(child, failure=one.failure)
            refused = one.refused or Refused("endpoint", "no rung could be tried")
            where = f"segment {number} of {len(tried)} ({one.rung}): {refused.detail}"
            shown = one_line(piece.masked.source, EVIDENCE)
            return Translation(child, Drop(refused.reason, f"{where}; source: {shown}"))
        asked = sum(one.asked for one in tried)
        known = sum(one.remembered for one in tried)
        remembered = f", {known} from memory" if known else ""
        evidence = f"{len(tried)} segments, {asked} requests{remembered}; prompt {self.setup.prompt.hash[:8]}"
        child = put_together(taken, [one.text or "" for one in tried], code, evidence)
        kept = untouched(taken.parent, child, self.setup.translate.traces)
        refused_whole = kept or self._of_the_whole(taken, child, code)
        if refused_whole is not None:
            return Translation(child_of(taken.parent, code), Drop(refused_whole.reason, refused_whole.detail))
        return Translation(child)

    def _of_the_whole(self, taken: Taken, child: Sample, code: str) -> Refused | None:
        """The gates of whole texts."""
        for number, part, _ in taken.parts:
            source, text = (text_of(row.messages[number], part) for row in (taken.parent, child))
            if (refused := self._of_text(source, text, code)) is not None:
                where = f"messages[{number}] ({child.messages[number].role}{', trace' if part == 'reasoning' else ''})"
                return Refused(refused.reason, f"{where}{refused.detail}")
        return None

    def _judged(self, source: str, text: str, code: str) -> Refused | None:
        """The gates of one whole text; the detail goes on where its place was told."""
        if (problem := whole(source, text, self.setup.translate.comments)) is not None:
            return Refused(problem.reason, f": {problem.detail}")
        if not self.setup.translate.gates.language:
            return None
        verdict = identify(text, self._among(code))
        if not verdict.denies(code):
            return None
        return Refused("language", f" is {verdict.language} ({verdict.score:.2f}): {one_line(text, EVIDENCE)}")


def whole(source: str, translation: str, comments: bool = False) -> Problem | None:
    """What is wrong with a message that was put together. Its spans were put back byte for byte; where prose in the
    target's script only looks like a span, or no longer does, nothing was lost.

    Args:
        comments: Whether comments inside fenced code were translated.
    """
    problem = check_message(source, translation, comments)
    told = problem is not None and problem.reason == "protected"
    return None if told and _blocks(source, comments) == _blocks(translation, comments) else problem


def _blocks(text: str, comments: bool) -> list[str]:
    return [segment.text for segment in split(text, comments) if segment.kind in BLOCKS]


async def _all(climbs: Any) -> Sequence[Tried]:
    """All climbs, to their ends: a reply on its way is not given up because another one failed."""
    return await all_ended([asyncio.ensure_future(climb) for climb in climbs])


def _added(first: Tried, second: Tried) -> Tried:
    """A segment that was climbed twice: what the second time brought, with the costs of both."""
    text = second.text if second.text is not None else first.text
    return Tried(
        text, second.refused, second.failure, first.asked + second.asked, first.tokens + second.tokens,
        first.reasons + second.reasons, second.rung,
    )  # fmt: skip
