"""A mask: a line whose protected spans are numbered placeholders, so that they come back byte for byte.

    Run `ls -l` in /tmp.  ->  Run ⟦1⟧ in ⟦2⟧.

A placeholder cannot collide with the text: where the text itself holds ⟦ or ⟧, that is a protected span too.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from tracemill.errors import TracemillError
from tracemill.segments.problem import Problem
from tracemill.segments.spans import protected

OPEN = "⟦"
CLOSE = "⟧"
PLACEHOLDER = re.compile(r"⟦\s*(\d{1,9})\s*⟧")
"""As a translator may write it back: spaces inside, or digits of another script (`１`), are forgiven."""

LETTERS = re.compile(r"[^\W\d_]{2}|[^\W\d_\x00-\u03ff]")
"""Two letters in a row, or one of a script other than Latin and Greek: the least that can be translated. A single Latin
or Greek letter is a variable or the letter of an option."""


class BrokenPlaceholders(TracemillError, ValueError):
    """A translation does not hold each placeholder exactly once, so it cannot be unmasked; `problem` says which."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.problem.reason}: {self.problem.detail}"


@dataclass(frozen=True, slots=True)
class Masked:
    """A text, and the text as it is sent."""

    source: str
    text: str
    """The source with ⟦1⟧, ⟦2⟧ ... in place of `spans`."""
    spans: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    """What each span is: "code", "latex", "url", "tag", "slot", "json", "path", "name", "sign"."""

    def problem(self, translation: str) -> Problem | None:
        """What is wrong with the placeholders in `translation`; None if each stands there once and no other does."""
        if not self.spans and OPEN not in translation and CLOSE not in translation:
            return None
        found = [int(number) for number in PLACEHOLDER.findall(translation)]
        count = len(self.spans)
        if len(found) == count and set(found) == set(range(1, count + 1)):
            left = PLACEHOLDER.sub("", translation)
            return Problem("placeholders", "a part of one is left over") if OPEN in left or CLOSE in left else None
        held = Counter(found)
        missing = [n for n in range(1, count + 1) if not held[n]]
        doubled = [n for n, times in held.items() if times > 1 and n <= count]
        new = [n for n in held if not 1 <= n <= count]
        parts = [
            f"{word} {', '.join(map(str, numbers[:5]))}"
            for word, numbers in (("missing", missing), ("doubled", doubled), ("new", new))
            if numbers
        ]
        return Problem("placeholders", "; ".join(parts))

    def unmask(self, translation: str) -> str:
        """`translation` with the spans back in their places, byte for byte.

        Raises:
            BrokenPlaceholders: One is missing, doubled, damaged or new.
        """
        if (problem := self.problem(translation)) is not None:
            raise BrokenPlaceholders(problem)
        if not self.spans:
            return translation
        return PLACEHOLDER.sub(lambda match: self.spans[int(match[1]) - 1], translation)

    def hide(self, translation: str) -> str:
        """`translation`, in which the spans stand as they are, with their placeholders again.

        Not the same as masking it: between words of another script, or without blanks, other spans would be found. Of
        two spans that begin at one place the longer is taken; what stands there once too often is left.
        """
        if not self.spans:
            return translation
        numbers: dict[str, list[int]] = {}
        for number in range(len(self.spans), 0, -1):
            numbers.setdefault(self.spans[number - 1], []).append(number)
        longest = sorted(numbers, key=len, reverse=True)

        def placeholder(found: re.Match[str]) -> str:
            left = numbers[found[0]]
            return f"{OPEN}{left.pop()}{CLOSE}" if left else found[0]

        return re.sub("|".join(map(re.escape, longest)), placeholder, translation)


def mask(text: str) -> Masked:
    """`text` with every protected span as a numbered placeholder; `mask(text).unmask(mask(text).text) == text`."""
    return _remembered(text) if len(text) <= SHORT else _mask(text)


SHORT = 1000
"""Characters up to which masks are remembered for a while: splitting has just asked for the same."""


def _mask(text: str) -> Masked:
    spans = protected(text)
    if not spans:
        return Masked(text, text)
    pieces: list[str] = []
    at = 0
    for number, (start, end, _) in enumerate(spans, 1):
        pieces += (text[at:start], f"{OPEN}{number}{CLOSE}")
        at = end
    pieces.append(text[at:])
    return Masked(text, "".join(pieces), tuple([text[s:e] for s, e, _ in spans]), tuple([kind for _, _, kind in spans]))


_remembered = lru_cache(maxsize=512)(_mask)


def bare(masked: str) -> str:
    """A masked text without its placeholders: what a language, a length or a number is judged by."""
    return PLACEHOLDER.sub(" ", masked) if OPEN in masked else masked


def has_words(text: str) -> bool:
    """Whether anything in `text` can be translated."""
    if LETTERS.search(text) is None:
        return False
    return LETTERS.search(bare(mask(text).text)) is not None
