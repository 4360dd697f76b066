"""The cells of a table's row."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tracemill.segments.spans import protected

DELIMITER = re.compile(r"\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{1,}:?\s*)+\|?$|\|\s*:?-{2,}:?\s*\|$")
"""The row of dashes between a table's head and its body."""


def cells(row: str) -> Iterator[tuple[bool, str]]:
    """(whether it is the frame, text) of each part of a row.

    A pipe inside code or a formula, or behind a backslash, is no frame.
    """
    hidden = (
        [(start, end) for start, end, kind in protected(row) if kind in ("code", "latex")] if _MARKS & set(row) else []
    )
    at = begin = 0
    covers = iter([*hidden, (len(row), len(row))])
    start, end = next(covers)
    for match in re.finditer(r"\\?\|", row):
        here = match.start()
        while end <= here and start < len(row):
            start, end = next(covers)
        if start <= here < end or match.group()[0] == "\\":
            continue
        if here > begin:
            yield False, row[begin:here]
        yield True, "|"
        begin = at = here + 1
    if begin < len(row):
        yield False, row[at:]


_MARKS = frozenset("`$\\")
