"""What the gates need to know of two languages, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tracemill.segments.numbers import NumberFormat


def between(characters: int, shortest: float = 0.4, longest: float = 2.5, slack: int = 15) -> tuple[float, float]:
    """(least, most) characters of a translation, by its share of the source's; `slack` is for short lines."""
    return shortest * characters - slack, longest * characters + slack


@dataclass(frozen=True, slots=True)
class Rules:
    """What a translation from one language into another must keep to. The defaults fit two European languages.

    Args:
        source: How the source's language writes numbers.
        target: How the translation's language writes them.
        length: From the characters of the source to the least and the most that its translation has.
        scripts: The scripts that the language is written in, by their codes in `scripts.SCRIPTS`.
        needs: Scripts of which a text of some length holds at least one letter: kana, in Japanese.
        latin_most: Most share of lower-case Latin letters among all, in languages that are not written in Latin.
        spelled_most: Up to this a number may be a word on one side, where the words of that language are not known.
        copied_most: Most share of the source's runs of three words that may stand in the translation too.
        disorder_most: Most share of pairs of placeholders that may have changed places.
    """

    source: NumberFormat = field(default_factory=NumberFormat)
    target: NumberFormat = field(default_factory=NumberFormat)
    length: Callable[[int], tuple[float, float]] = between
    scripts: frozenset[str] = frozenset({"Latn"})
    needs: frozenset[str] = frozenset()
    latin_most: float = 0.3
    spelled_most: int = 12
    copied_most: float = 0.3
    disorder_most: float = 0.9
