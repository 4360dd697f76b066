r"""Steps that check math: against a known answer, or by the vote of samples of one prompt.

What they read: a sample whose last message says `... \boxed{10}`, and for `MathAnswer` its `expected`, "10".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tracemill.record import Sample
from tracemill.step import Drop
from tracemill.verify.boxed import final_answer
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.votes import DROPS, check_threshold, counted, passed, short


@dataclass(frozen=True, slots=True)
class MathAnswer:
    """Keep a sample whose last visible box holds the expected answer."""

    checker: MathChecker
    name: ClassVar[str] = "verify_math"
    drops: ClassVar[frozenset[str]] = frozenset({"no_boxed_answer", "wrong_answer", "undecided"})

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        found = visible_answer(sample)
        if not found:
            return _no_answer(found)
        if sample.expected is None:
            return Drop("undecided", f"found {short(found)}, but no expected answer is known")
        answer = await self.checker.same(sample.expected, found)
        why = f"{answer.method}: {answer.detail}" if answer.detail else answer.method
        if answer.equal:
            return passed(sample, self.name, f"{short(sample.expected)} = {short(found)} ({why})")
        reason = "wrong_answer" if answer.decided else "undecided"
        return Drop(reason, f"expected {short(sample.expected)}, found {short(found)} ({why})")


@dataclass(frozen=True, slots=True)
class MathMajority:
    """Keep the samples of one prompt that agree with most of the others, where nobody knows the answer.

    Args:
        checker: Says which answers are the same.
        threshold: The least share of the samples asked for that must agree, over 0 and at most 1. A sample that was
            dropped before counts as one that does not agree.

    Raises:
        RecipeError: The threshold is out of range.
    """

    checker: MathChecker
    threshold: float
    name: ClassVar[str] = "verify_math"
    drops: ClassVar[frozenset[str]] = DROPS | {"no_boxed_answer"}

    def __post_init__(self) -> None:
        check_threshold(self.name, self.threshold)

    async def __call__(self, samples: Sequence[Sample], asked: int, /) -> Sequence[Sample | Drop]:
        """One result per sample, in order.

        Raises:
            TracemillError: More samples came than were asked for.
        """
        found = [visible_answer(sample) for sample in samples]
        classes = await self._classes({answer for answer in found if answer})
        answers = [answer or _no_answer(answer) for answer in found]
        return counted(self.name, samples, answers, classes, asked, self.threshold)

    async def _classes(self, answers: set[str]) -> dict[str, str]:
        """For each answer the one that speaks for its class: the shortest, and of those the first by code points.

        Each answer is compared with the speakers before it, shortest first, so the classes depend on the set alone.
        """
        speaks: dict[str, str] = {}
        speakers: list[str] = []
        for answer in sorted(answers, key=lambda text: (len(text), text)):
            for speaker in speakers:
                if (await self.checker.same(speaker, answer)).equal:
                    speaks[answer] = speaker
                    break
            else:
                speakers.append(answer)
                speaks[answer] = answer
        return speaks


def visible_answer(sample: Sample) -> str | None:
    """The last box in what the assistant's last message shows, never in its trace; None where there is none."""
    spoken = [message.content for message in sample.messages if message.role == "assistant"]
    return final_answer(spoken[-1]) if spoken else None


def _no_answer(found: str | None) -> Drop:
    return Drop("no_boxed_answer", "the last box is empty" if found == "" else "no box in the visible answer")
