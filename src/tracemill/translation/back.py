"""Translating back: whether a fluent line says what its source says.

A line of a fair length in the right language, with the right numbers and marks, passes every gate whatever it says. Put back
into the source's language by another request, it shows little of the source when it says something else.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from tracemill.languages import Language
from tracemill.legible import one_line
from tracemill.models.wire import Failure
from tracemill.recipe import Back
from tracemill.segments import brackets
from tracemill.segments.masks import Masked, bare
from tracemill.segments.problem import Problem
from tracemill.translation.asking import Asking, count_tokens
from tracemill.translation.gates import Refused
from tracemill.translation.prompting import Prompt

ORDERS = 6
"""Runs of one to so many characters are compared, as chrF does."""
NO_LETTER = re.compile(r"[\W\d_]+")
BETA = 2.0
"""What of the source came back counts so many times as much as what came beside it."""


class Counts(Protocol):
    """Where what a segment took is counted."""

    asked: int
    tokens: Counter[str]
    reasons: Counter[str]
    """Refusals; after each one for `back` other samples are drawn, for the same translation may come again."""


@dataclass(frozen=True)
class BackCheck:
    """Translates lines of one language back and compares them.

    Args:
        settings: Who is asked, and how much must come back.
        prompt: The same as on the way there.
        source: What was translated from, and is translated into here.
    """

    settings: Back
    asking: Asking
    prompt: Prompt
    source: Language
    target: Language

    async def __call__(self, masked: Masked, text: str, counts: Counts) -> Refused | Failure | None:
        """None where `text` says what `masked` says, or is too short to tell; the requests are counted in `counts`."""
        wanted = words(bare(masked.text))
        if sum(map(str.isalpha, wanted)) < self.settings.letters:
            return None
        best, shown = -1.0, "nothing that could be read"
        before = counts.reasons["back"] * self.settings.samples
        for sample in range(before, before + self.settings.samples):
            got = await self._ask(masked.hide(text), sample, counts)
            if isinstance(got, Failure):
                return got
            if got is None:
                continue
            share = closeness(wanted, words(got))
            if share >= self.settings.least:
                return None
            if share > best:
                best, shown = share, got
        told = f"{max(best, 0.0):.2f} of it came back, not {self.settings.least:g}: {one_line(shown, 120)}"
        return Refused("back", told)

    async def _ask(self, text: str, sample: int, counts: Counts) -> str | Failure | None:
        """One translation back, without placeholders; None if it is none."""
        teacher = self.settings.teacher
        request = self.asking.request(
            teacher, self.prompt, text, self.target, self.source, rules=self.source.prompt, sample=sample
        )
        counts.asked += 1
        got = await self.asking(request)
        count_tokens(counts.tokens, teacher, got)
        if isinstance(got, Failure):
            return got
        inner = brackets.unwrap(got.content) if self.asking.brackets(teacher) else got.content.strip()
        return None if isinstance(inner, Problem) else bare(inner)


def words(text: str) -> str:
    """Letters alone: numbers and signs come back whatever the line says, and have gates of their own."""
    return NO_LETTER.sub(" ", text)


def closeness(source: str, back: str) -> float:
    """ChrF of one line, 0 to 1: shared runs of one to six characters, blanks and case apart.

    Source: Popović, "chrF: character n-gram F-score for automatic MT evaluation" (WMT 2015); mean precision and recall over
    the orders that both lines are long enough for, with beta 2.
    """
    one, other = ("".join(text.casefold().split()) for text in (source, back))
    precisions, recalls = [], []
    for order in range(1, min(ORDERS, len(one), len(other)) + 1):
        wanted, given = _runs(one, order), _runs(other, order)
        shared = (wanted & given).total()
        precisions.append(shared / given.total())
        recalls.append(shared / wanted.total())
    if not precisions:
        return float(one == other)
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    below = BETA**2 * precision + recall
    return (1 + BETA**2) * precision * recall / below if below else 0.0


def _runs(text: str, order: int) -> Counter[str]:
    return Counter(text[at : at + order] for at in range(len(text) - order + 1))
