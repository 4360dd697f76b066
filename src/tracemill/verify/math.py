r"""Steps that check math: against a known answer, or by the vote of samples of one prompt.

What they read: a sample whose last message says `... \boxed{10}`, and for `MathAnswer` its `expected`, "10".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from tracemill.errors import RecipeError, TracemillError
from tracemill.record import Sample, Verdict
from tracemill.step import Drop
from tracemill.verify.boxed import final_answer
from tracemill.verify.math_checker import MathChecker


@dataclass(frozen=True, slots=True)
class MathAnswer:
    """Keep a sample whose last visible box holds the expected answer."""

    checker: MathChecker
    name: ClassVar[str] = "verify_math"
    drops: ClassVar[frozenset[str]] = frozenset({"no_boxed_answer", "wrong_answer", "undecided"})

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        found = visible_answer(sample)
        if not found:
            return Drop("no_boxed_answer", "the last box is empty" if found == "" else "no box in the visible answer")
        if sample.expected is None:
            return Drop("undecided", f"found {_short(found)}, but no expected answer is known")
        answer = await self.checker.same(sample.expected, found)
        why = f"{answer.method}: {answer.detail}" if answer.detail else answer.method
        if answer.equal:
            return _passed(sample, f"{_short(sample.expected)} = {_short(found)} ({why})")
        reason = "wrong_answer" if answer.decided else "undecided"
        return Drop(reason, f"expected {_short(sample.expected)}, found {_short(found)} ({why})")


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
    drops: ClassVar[frozenset[str]] = frozenset({"no_boxed_answer", "low_agreement", "tie", "minority_answer"})

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise RecipeError(f"verify_math: threshold is {self.threshold}; it must be over 0 and at most 1.")

    async def __call__(self, samples: Sequence[Sample], asked: int, /) -> Sequence[Sample | Drop]:
        """One result per sample, in order.

        Raises:
            TracemillError: More samples came than were asked for.
        """
        if len(samples) > asked:
            raise TracemillError(f"verify_math: {len(samples)} samples of one prompt, but {asked} were asked for.")
        if asked < 2:
            return [Drop("low_agreement", "one sample was asked for; a vote needs two") for _ in samples]
        found = [visible_answer(sample) for sample in samples]
        classes = await self._classes({answer for answer in found if answer})
        votes = Counter(classes[answer] for answer in found if answer)
        ranked = sorted(votes.items(), key=lambda vote: (-vote[1], len(vote[0]), vote[0]))
        return [
            self._judged(sample, classes[answer], ranked, asked)
            if answer
            else Drop("no_boxed_answer", "the last box is empty" if answer == "" else "no box in the visible answer")
            for sample, answer in zip(samples, found, strict=True)
        ]

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

    def _judged(self, sample: Sample, answer: str, ranked: list[tuple[str, int]], asked: int) -> Sample | Drop:
        winner, most = ranked[0]
        first = [speaker for speaker, count in ranked if count == most]
        agree = f"{most} of {asked} agree on {_short(winner)}"
        if len(first) > 1:
            return Drop("tie", f"{most} of {asked} each for {', '.join(map(_short, first[:4]))}")
        if most < self.threshold * asked - 1e-9:  # 0.7 * 10 is a little more than 7
            return Drop("low_agreement", f"{agree}, below {self.threshold:g}")
        if answer != winner:
            return Drop("minority_answer", f"{agree}, {dict(ranked)[answer]} of {asked} on {_short(answer)}")
        return _passed(sample, agree)


def visible_answer(sample: Sample) -> str | None:
    """The last box in what the assistant's last message shows, never in its trace; None where there is none."""
    spoken = [message.content for message in sample.messages if message.role == "assistant"]
    return final_answer(spoken[-1]) if spoken else None


def _passed(sample: Sample, evidence: str) -> Sample:
    return replace(sample, verdicts=(*sample.verdicts, Verdict("verify_math", True, evidence)))


def _short(text: str) -> str:
    """An answer on one line of evidence, at most 80 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:77] + "..."
