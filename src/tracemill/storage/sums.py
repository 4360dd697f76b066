"""Sums over one file of the journal, of columns that no checksum covers: SQLite counts them without reading the bodies.

What a damaged file gives is refused here by its type, with a ValueError, which `damage_told` turns into our error.
"""

from __future__ import annotations

import sqlite3

from tracemill.record import NO_TOKEN_COUNT
from tracemill.storage.entries import IMPORTED

_TOLD = f"coalesce(max(prompt_tokens, completion_tokens) < {NO_TOKEN_COUNT}, 0)"
"""Whether a reply says how many tokens it took, as `models.replies.usage` judges it. Older files may hold larger numbers,
whose sum would overflow."""
_SPENT = (
    f"SELECT teacher, count(*), sum(outcome = 'reply'), sum(iif({_TOLD}, prompt_tokens, 0)), "  # noqa: S608  our own words
    f"sum(iif({_TOLD}, completion_tokens, 0)), sum(outcome = 'reply' AND NOT {_TOLD}) "
    f"FROM replies WHERE endpoint NOT LIKE '{IMPORTED}%' GROUP BY teacher"
)


def outcomes(reader: sqlite3.Connection) -> dict[str, int]:
    """Entries by outcome. Raises ValueError where one holds none."""
    out = dict(reader.execute("SELECT outcome, count(*) FROM replies GROUP BY outcome"))
    if not all(isinstance(outcome, str) for outcome in out):
        raise ValueError("there are entries that do not say what they are")
    return out


def spent(reader: sqlite3.Connection) -> dict[str, tuple[int, ...]]:
    """By teacher: entries, replies, tokens of the prompts, tokens of the replies, and replies without a count of tokens.
    Raises ValueError where an entry names no teacher, or something else than numbers.
    """
    out = {teacher: tuple(numbers) for teacher, *numbers in reader.execute(_SPENT)}
    for teacher, numbers in out.items():
        if not isinstance(teacher, str) or not all(isinstance(number, int) for number in numbers):
            raise ValueError("there are entries without a teacher, or with something else for a number")
    return out
