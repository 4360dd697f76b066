"""The vote: which of several samples of one prompt agree with most of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tracemill.errors import RecipeError, TracemillError
from tracemill.record import Sample, Verdict, changed
from tracemill.step import Drop

DROPS = frozenset({"low_agreement", "tie", "minority_answer"})
"""Why a vote goes against a sample."""


def check_threshold(step: str, threshold: float) -> None:
    """Raises RecipeError unless the threshold is over 0 and at most 1."""
    if not 0 < threshold <= 1:
        raise RecipeError(f"{step}: threshold is {threshold}; it must be over 0 and at most 1.")


def counted(
    step: str,
    samples: Sequence[Sample],
    answers: Sequence[str | Drop],
    classes: Mapping[str, str],
    asked: int,
    threshold: float,
) -> list[Sample | Drop]:
    """One result per sample, in order: kept where the most frequent answer is its own and frequent enough.

    Args:
        answers: What each sample says, or why that cannot be told.
        classes: For each answer the one that speaks for its class.
        asked: How many samples were asked for; one that was dropped before counts as one that does not agree.
        threshold: The least share of `asked` that must agree. A tie for the first place is nobody's.

    Raises:
        TracemillError: More samples came than were asked for.
    """
    if len(samples) > asked:
        raise TracemillError(f"{step}: {len(samples)} samples of one prompt, but {asked} were asked for.")
    if asked < 2:
        return [Drop("low_agreement", "one sample was asked for; a vote needs two") for _ in samples]
    votes = Counter(classes[answer] for answer in answers if isinstance(answer, str))
    ranked = sorted(votes.items(), key=lambda vote: (-vote[1], len(vote[0]), vote[0]))
    return [
        answer if isinstance(answer, Drop) else _judged(step, sample, classes[answer], ranked, asked, threshold)
        for sample, answer in zip(samples, answers, strict=True)
    ]


def _judged(
    step: str, sample: Sample, answer: str, ranked: list[tuple[str, int]], asked: int, threshold: float
) -> Sample | Drop:
    winner, most = ranked[0]
    first = [speaker for speaker, count in ranked if count == most]
    agree = f"{most} of {asked} agree on {short(winner)}"
    if len(first) > 1:
        return Drop("tie", f"{most} of {asked} each for {', '.join(map(short, first[:4]))}")
    if most < threshold * asked - 1e-9:  # 0.7 * 10 is a little more than 7
        return Drop("low_agreement", f"{agree}, below {threshold:g}")
    if answer != winner:
        return Drop("minority_answer", f"{agree}, {dict(ranked)[answer]} of {asked} on {short(answer)}")
    return passed(sample, step, agree)


def passed(sample: Sample, step: str, evidence: str) -> Sample:
    """The sample with one more verdict, a good one."""
    return changed(sample, verdicts=(*sample.verdicts, Verdict(step, True, evidence)))


def short(text: str) -> str:
    """An answer on one line of evidence, at most 80 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:77] + "..."
