"""How much of a source was copied instead of translated."""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
RUN = 3
LEAST_RUNS = 4
"""With fewer runs of words that are no names, nothing is said of a part; nor of the whole with fewer than `LEAST_SMALL`
words written small: titles and short labels may stay as they are."""
LEAST_SMALL = 3
QUOTED = re.compile(r"\"[^\"\n]{1,400}\"|“[^”\n]{1,400}”|«[^»\n]{1,400}»|「[^」\n]{1,400}」")
"""Quoted text may stay: "translate 'good morning' into French" keeps it."""


def copied_share(source: str, translation: str) -> float | None:
    """The share of the source's runs of three words that stand in the translation; None if there are too few to tell.

    A run counts if at least two of its words are written small, so that names of several words do not.
    """
    words = WORD.findall(source)
    if len(words) < LEAST_SMALL:
        return None
    others = WORD.findall(translation)
    if len(words) == len(others) and words == others:
        return 1.0 if sum(word[0].islower() for word in words) >= LEAST_SMALL else None
    if len(words) < RUN + LEAST_RUNS - 1:
        return None
    runs = _runs(words)
    if len(runs) < LEAST_RUNS:
        return None
    found = runs & _runs(others)
    if found and any(mark in source for mark in '"“«「'):
        found -= _runs(WORD.findall(" . ".join(QUOTED.findall(source))))
    return len(found) / len(runs)


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    small = [word[0].islower() for word in words]
    low = [word.lower() for word in words]
    return {
        (low[i], low[i + 1], low[i + 2]) for i in range(len(words) - 2) if small[i] + small[i + 1] + small[i + 2] >= 2
    }
