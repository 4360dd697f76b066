"""Which check looks at which sample: one place for the whole build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tracemill.code_task import read_task
from tracemill.models.wire import Ask
from tracemill.recipe import GeneratedPrompts, PromptFiles, Recipe
from tracemill.recipe.sources import PromptSource
from tracemill.record import Sample
from tracemill.step import SiblingStep, Step
from tracemill.verify.choices import ChoiceAnswer, ChoiceMajority, choices_of
from tracemill.verify.judge import Judge
from tracemill.verify.math import MathAnswer, MathMajority
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.rubric import Rubric
from tracemill.verify.stem import UnitAnswer
from tracemill.verify.tools import ToolUse

CODE = "verify_code"
STEPS: tuple[str, ...] = (MathAnswer.name, CODE, ChoiceAnswer.name, UnitAnswer.name, ToolUse.name)
"""Names of the checks that ask nobody."""


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of a recipe."""

    steps: tuple[Step, ...]
    """In order, each for the samples that `concerns` names."""
    votes: tuple[SiblingStep, ...]
    judge: Judge | None


def checks_of(recipe: Recipe, rubrics: Mapping[str, Rubric], checker: MathChecker, ask: Ask) -> Checks:
    """The checks that a recipe asks for; `rubrics` by judged category."""
    verify = recipe.verify
    judge = Judge(ask, recipe, rubrics) if rubrics else None
    judged = "stem" in rubrics
    return Checks(
        steps=(
            MathAnswer(checker),
            *_code_answer(recipe, checker),
            ChoiceAnswer(),
            UnitAnswer(checker, verify.units.tolerance, judged),
            ToolUse(verify.tools.unknown_arguments),
        ),
        votes=(MathMajority(checker, verify.math.majority), ChoiceMajority(verify.choices.majority)),
        judge=judge,
    )


def _code_answer(recipe: Recipe, checker: MathChecker) -> tuple[Step, ...]:
    """The check of code, loaded only where code can come."""
    if recipe.verify.code.policy == "off" or not any(map(_may_be_code, recipe.prompts)):
        return ()
    from tracemill.verify.code.step import code_answer

    return code_answer(recipe, checker.verdicts)


def _may_be_code(source: PromptSource) -> bool:
    if isinstance(source, GeneratedPrompts):
        return source.generate != "word_problems"
    return not isinstance(source, PromptFiles) or source.category == "code" or source.fields.category is not None


def kind_of(sample: Sample) -> str:
    """What kind of answer a sample has to give: "choice", or its category."""
    return "choice" if sample.category != "code" and choices_of(sample) else sample.category


_WANTED = {
    MathAnswer.name: "math",
    CODE: "code",
    ChoiceAnswer.name: "choice",
    UnitAnswer.name: "stem",
    ToolUse.name: "tool_calling",
}


def concerns(step: Step, sample: Sample) -> bool:
    """Whether a step has something to look at."""
    wanted = _WANTED.get(step.name)
    if wanted is None:
        return True
    if wanted != "code" and wanted != "tool_calling" and sample.expected is None:
        return False
    return kind_of(sample) == wanted


def votes_on(step: SiblingStep, sample: Sample) -> bool:
    """Whether a sample is judged by its siblings, and by this vote: where nobody knows the answer."""
    wanted = {MathMajority: "math", ChoiceMajority: "choice"}.get(type(step))
    return sample.expected is None and kind_of(sample) == wanted


def to_judge(judge: Judge, sample: Sample) -> bool:
    """Whether a sample is left for the judge: its category is judged, and no other check has decided or will."""
    if sample.category not in judge.rubrics or kind_of(sample) in ("choice", "math"):
        return False
    if sample.category == "code":
        return explains(sample)
    return not any(verdict.passed and verdict.step.startswith("verify_") for verdict in sample.verdicts)


def explains(sample: Sample) -> bool:
    """Whether a code sample is to explain code, which no test can check."""
    try:
        return read_task(sample.expected or "").kind == "explain"
    except ValueError:
        return False
