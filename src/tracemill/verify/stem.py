r"""The step that checks answers of science and the humanities: numbers with units, truth values, lists, short texts.

What it reads: a sample whose `expected` is "9.81 m/s^2", and whose last message ends in `\boxed{9.8\,\text{m/s}^2}` or
"The answer is 9.8 m/s²."
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tracemill.record import Sample
from tracemill.step import Drop
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.stated import stated, visible
from tracemill.verify.units import same_quantity
from tracemill.verify.votes import passed, short


@dataclass(frozen=True, slots=True)
class UnitAnswer:
    """Keep a sample that states the expected answer, within a tolerance and in any unit of the same kind.

    Args:
        checker: Asked where only algebra can tell.
        tolerance: Relative; see `verify.units`.
        judged: Whether a judge comes after this step: then what cannot be decided here is left to it.
    """

    checker: MathChecker
    tolerance: float
    judged: bool = False
    name: ClassVar[str] = "verify_units"
    drops: ClassVar[frozenset[str]] = frozenset({"no_answer", "wrong_answer", "wrong_unit", "undecided"})

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        said = stated(visible(sample))
        expected = sample.expected or ""
        if said is None or not said.text:
            return sample if self.judged else Drop("no_answer", "the visible answer states no result")
        like = same_quantity(expected, said.text, sample.language, self.tolerance)
        same, why = like.same, like.why
        if same is None and said.how == "box":
            answer = await self.checker.same(expected, said.text)
            same, why = (answer.equal if answer.equal or answer.decided else None), answer.method
        told = f"expected {short(expected)}, found {short(said.text)} ({why})"
        if same:
            return passed(sample, self.name, f"{short(expected)} = {short(said.text)} ({why})")
        if same is None:
            return sample if self.judged else Drop("undecided", told)
        return Drop(
            "wrong_unit" if why == "unit" and not _same_kind(expected, said.text, sample.language) else "wrong_answer",
            told,
        )


def _same_kind(expected: str, found: str, language: str) -> bool:
    """Whether two quantities differ by their number alone: a tolerance without bounds would take them for the same."""
    return same_quantity(expected, found, language, 1e12).same is True
