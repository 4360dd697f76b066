"""A segment cut into sentences, for a line that could not be translated whole."""

from __future__ import annotations

import re
from functools import cache

from tracemill.segments.segment import Segment

USUAL = ".!?…。！？｡"
"""Signs that end a sentence in most languages."""
SPACED = ".!?…؟۔"
"""Of those that any language has, the ones that end a sentence only before white space; ideographs know no spaces."""
ABBREVIATED = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|cf|No|Fig|Eq|approx|Inc|Ltd|Co|Vol|pp?|al)|\b[A-Z]|^\s*\d+)\.\s*$"
)


def sentences(text: str, ends: str = "") -> tuple[Segment, ...]:
    """The sentences of `text` as translatable segments, with the white space between them; `join` puts them together.

    Args:
        ends: Signs that end a sentence in its language, beside the usual ones.

    A dot behind a known abbreviation, an initial or a number at the beginning ends no sentence. Placeholders are taken
    as words, so a masked text can be cut and each piece keeps the numbers of the whole.
    """
    found: list[Segment] = []
    start = 0
    for match in _end(ends).finditer(text):
        if match.end() >= len(text) or ABBREVIATED.search(text[max(start, match.start() - 12) : match.end()]):
            continue
        _put(found, text[start : match.end()])
        start = match.end()
    _put(found, text[start:])
    return tuple(found)


@cache
def _end(ends: str) -> re.Pattern[str]:
    signs = sorted({*USUAL, *ends})
    spaced = "".join(re.escape(sign) for sign in signs if sign in SPACED)
    others = "".join(re.escape(sign) for sign in signs if sign not in SPACED)
    return re.compile(
        rf"(?<![{spaced}])[{spaced}]+[\"'”’»)\]]*\s+(?=[\"'“‘«(\[]?[^\W\d_a-zà-ÿ]|[\d⟦])"
        rf"|(?:[{others}](?<!\d．(?=\d)))+[」』）”]*\s*"
    )


def _put(found: list[Segment], piece: str) -> None:
    text = piece.strip()
    if not text:
        if piece:
            found.append(Segment("blank", piece))
        return
    at = piece.index(text)
    if at:
        found.append(Segment("blank", piece[:at]))
    found.append(Segment("prose", text, True))
    if at + len(text) < len(piece):
        found.append(Segment("blank", piece[at + len(text) :]))
