"""What goes into one request: a line, a paragraph, or a message with its segments numbered.

    1 〘How many apples?〙
    2 〘Give the number.〙

The same form is asked for in the reply, and the rule of brackets holds for each segment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from tracemill.segments.brackets import CLOSE, OPEN
from tracemill.segments.problem import Problem
from tracemill.segments.segment import Segment

Granularity = Literal["line", "paragraph", "message"]
NUMBERED = re.compile(rf"(\d{{1,6}})\s*[.:)）：．]?\s*{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")
PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n")


def batches(
    segments: Sequence[Segment], granularity: Granularity, most_characters: int = 4000, most: int = 60
) -> list[tuple[int, ...]]:
    """Which translatable segments go together, as places in `segments`, in order.

    Args:
        granularity: "line": each alone. "paragraph": those with no blank line or untranslated block between them.
            "message": all.
        most_characters: A request is closed before it would hold more, unless one segment alone does.
        most: A request holds no more segments.
    """
    found: list[tuple[int, ...]] = []
    current: list[int] = []
    size = 0
    for place, segment in enumerate(segments):
        if segment.translatable:
            full = size + len(segment.text) > most_characters or len(current) >= most
            if current and (granularity == "line" or full):
                found.append(tuple(current))
                current, size = [], 0
            current.append(place)
            size += len(segment.text)
        elif current and granularity == "paragraph" and _parts(segment):
            found.append(tuple(current))
            current, size = [], 0
    if current:
        found.append(tuple(current))
    return found


def _parts(segment: Segment) -> bool:
    if segment.kind == "blank":
        return PARAGRAPH_END.search(segment.text) is not None
    return segment.kind in ("fence", "code", "math", "json")


def numbered(texts: Sequence[str]) -> str:
    """Masked segments in the numbered form, from 1."""
    return "\n".join(f"{number} {OPEN}{text}{CLOSE}" for number, text in enumerate(texts, 1))


def parse_numbered(reply: str, count: int) -> list[str | Problem]:
    """The translations in a reply of the numbered form, each stripped, in order of their numbers.

    One that is missing, or comes twice with different texts, is a problem in its place; the others stand.
    """
    found: dict[int, set[str]] = {}
    for match in NUMBERED.finditer(reply):
        found.setdefault(int(match[1]), set()).add(match[2].strip())
    results: list[str | Problem] = []
    for number in range(1, count + 1):
        texts = found.get(number, set())
        if len(texts) == 1:
            results.append(next(iter(texts)))
        else:
            what = "is missing" if not texts else "comes twice"
            results.append(Problem("brackets", f"segment {number} of {count} {what}"))
    return results
