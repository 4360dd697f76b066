"""A segment: a run of a message that is translated as one piece, or never sent at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "prose", "item", "heading", "cell", "comment",
    "fence", "code", "math", "json", "number", "neutral", "mark", "frame", "blank",
]  # fmt: skip
"""What a segment is. The first line can be translatable, the second never is: fenced code, code without a fence, display
math, JSON, what holds digits but no words, what holds neither (a rule, one formula, one link), list bullets and heading
marks, the frame of a table, white space."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of a message. Its translatable text neither begins nor ends in white space."""

    kind: Kind
    text: str
    translatable: bool = False


def join(segments: Sequence[Segment], translations: Sequence[str | None] = ()) -> str:
    """The message again, with translations in place of translatable segments.

    Args:
        segments: As `split` gave them.
        translations: One for each translatable segment, in order; None leaves it as it is, and so does an empty
            sequence for all of them.
    Raises:
        ValueError: There are translations, but not as many as translatable segments.
    """
    if not translations:
        return "".join([segment.text for segment in segments])
    wanted = sum(segment.translatable for segment in segments)
    if wanted != len(translations):
        raise ValueError(f"{len(translations)} translations for {wanted} translatable segments")
    given = iter(translations)
    pieces = []
    for segment in segments:
        translation = next(given) if segment.translatable else None
        pieces.append(segment.text if translation is None else translation)
    return "".join(pieces)
