"""Which check looks at which sample: one place for the whole build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tracemill.models.wire import Ask
from tracemill.recipe import Recipe
from tracemill.record import Sample
from tracemill.step import SiblingStep, Step
from tracemill.verify.choices import ChoiceAnswer, ChoiceMajority, choices_of
from tracemill.verify.code.step import CodeAnswer, code_answer
from tracemill.verify.judge import Judge
from tracemill.verify.math import MathAnswer, MathMajority
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.rubric import Rubric
from tracemill.verify.stem import UnitAnswer
from tracemill.verify.tools import ToolUse

STEPS: tuple[str, ...] = tuple(step.name for step in (MathAnswer, CodeAnswer, ChoiceAnswer, UnitAnswer, ToolUse))
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
            *code_answer(recipe, checker.verdicts),
            ChoiceAnswer(),
            UnitAnswer(checker, verify.units.tolerance, judged),
            ToolUse(verify.tools.unknown_arguments),
        ),
        votes=(MathMajority(checker, verify.math.majority), ChoiceMajority(verify.choices.majority)),
        judge=judge,
    )


def kind_of(sample: Sample) -> str:
    """What kind of answer a sample has to give: "choice", or its category."""
    return "choice" if choices_of(sample) and sample.category != "code" else sample.category


def concerns(step: Step, sample: Sample) -> bool:
    """Whether a step has something to look at."""
    match step:
        case MathAnswer():
            return kind_of(sample) == "math" and sample.expected is not None
        case CodeAnswer():
            return sample.category == "code"
        case ChoiceAnswer():
            return kind_of(sample) == "choice" and sample.expected is not None
        case UnitAnswer():
            return kind_of(sample) == "stem" and sample.expected is not None
        case ToolUse():
            return kind_of(sample) == "tool_calling"
        case _:
            return True


def votes_on(step: SiblingStep, sample: Sample) -> bool:
    """Whether a sample is judged by its siblings, and by this vote: where nobody knows the answer."""
    wanted = {MathMajority: "math", ChoiceMajority: "choice"}.get(type(step))
    return sample.expected is None and kind_of(sample) == wanted


def to_judge(judge: Judge, sample: Sample) -> bool:
    """Whether a sample is left for the judge: its category is judged, and no other check has decided or will."""
    decided = any(verdict.passed and verdict.step.startswith("verify_") for verdict in sample.verdicts)
    return sample.category in judge.rubrics and kind_of(sample) not in ("choice", "math") and not decided
