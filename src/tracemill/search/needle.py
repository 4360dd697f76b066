"""A text that is looked for: its words, its runs of 13 words, and an expression that finds rows which may hold them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import pairwise

from tracemill.errors import UsageError
from tracemill.legible import quoted
from tracemill.words import CJK, RUN, words_of

WORDS = RUN
SHARE = 0.2
"""Of a text's runs, at which a row holds part of it: below this, Llama 2's report (Touvron et al. 2023, appendix A.6)
calls a sample clean."""
ANCHOR = 6
"""Words of an anchor. Each run of 13 words holds one whole anchor where one begins at every eighth word."""
MISSED = 1e-6
"""Chance that a row at the threshold has none of the anchors that are looked for, where not all of them are."""
GROUP = 64
"""Anchors in one expression: with many more, RE2 no longer keeps its states and is a hundred times slower."""
LONGEST = 40
"""Characters of a word that stand in an expression."""
Run = tuple[str, ...]


@dataclass(frozen=True)
class Needle:
    """One text that is looked for."""

    text: str
    share: float

    def __post_init__(self) -> None:
        if not self.words:
            raise UsageError(f"there is no word in {quoted(self.text[:60])}; give a text that has some")

    @cached_property
    def words(self) -> list[str]:
        return words_of(self.text)

    @cached_property
    def runs(self) -> frozenset[Run]:
        """Its runs of 13 words; of a shorter text the one run that it is."""
        size = min(WORDS, len(self.words))
        return frozenset(tuple(self.words[at : at + size]) for at in range(len(self.words) - size + 1))

    @cached_property
    def sha256(self) -> str:
        """Hex, of the text as it is compared."""
        return sha256(" ".join(self.words).encode(errors="surrogatepass")).hexdigest()

    def held_in(self, words: Sequence[str]) -> tuple[float, bool]:
        """(share of the runs that stand in a text of these words, whether the text is this one)."""
        size = min(WORDS, len(self.words))
        if len(words) < size:
            return 0.0, False
        found = {run for at in range(len(words) - size + 1) if (run := tuple(words[at : at + size])) in self.runs}
        return len(found) / len(self.runs), len(words) == len(self.words) and list(words) == self.words

    def expressions(self) -> list[str]:
        """Expressions for RE2, one of which matches every row that holds `share` of the runs.

        Each run holds a whole anchor, and each anchor lies in at most eight runs, so of a row that has a share of the
        runs, at least that share of the anchors is in the row. Of more anchors than are needed to miss such a row less
        than once in a million, those are taken whose hashes are lowest.
        """
        if len(self.words) < WORDS:
            return [_expression([self.words])]
        step = WORDS - ANCHOR + 1
        anchors = [self.words[at : at + ANCHOR] for at in range(0, len(self.words) - ANCHOR + 1, step)]
        needed = math.ceil(math.log(MISSED) / math.log(1 - self.share)) if self.share < 1 else 1
        if len(anchors) > needed:
            anchors = sorted(anchors, key=lambda a: sha256(" ".join(a).encode(errors="surrogatepass")).digest())[
                :needed
            ]
        return [_expression(anchors[at : at + GROUP]) for at in range(0, len(anchors), GROUP)]


def _expression(anchors: Sequence[Sequence[str]]) -> str:
    return "(?i)" + "|".join(_anchor(words) for words in anchors)


def _anchor(words: Sequence[str]) -> str:
    parts = [_spelled(words[0])]
    for before, word in pairwise(words):
        close = _is_cjk(before) or _is_cjk(word)
        parts += [r"[^\pL\pN_]*" if close else r"\W+", _spelled(word)]
    return "".join(parts)


def _spelled(word: str) -> str:
    spelled = re.sub("i", "[iİ]", word[:LONGEST])
    return spelled + (r"\S*" if len(word) > LONGEST else "")


def _is_cjk(word: str) -> bool:
    return re.match(f"[{CJK}]", word) is not None
