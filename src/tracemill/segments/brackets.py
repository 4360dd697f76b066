"""The article's rule: a translation comes wrapped in 〘〙, and what does not is refused.

Whether the brackets are the translator's is never in doubt: `mask` hides those that stand in the source.
"""

from __future__ import annotations

from tracemill.legible import quoted
from tracemill.segments.problem import Problem

OPEN = "〘"
CLOSE = "〙"


def wrap(text: str) -> str:
    """`text` in brackets, as an example shows it to a model."""
    return f"{OPEN}{text}{CLOSE}"


def unwrap(reply: str) -> str | Problem:
    """What stands between the brackets, stripped; a problem unless there is exactly one pair.

    Text around the pair ("Here is the translation: 〘...〙") is not part of the translation and is ignored.
    """
    opened, closed = reply.count(OPEN), reply.count(CLOSE)
    if opened == closed == 1:
        start, end = reply.index(OPEN), reply.index(CLOSE)
        if start < end:
            return reply[start + 1 : end].strip()
        return Problem("brackets", f"closed before opened in {quoted(reply)}")
    if not opened and not closed:
        return Problem("brackets", f"none in {quoted(reply)}")
    if opened != closed:
        return Problem("brackets", f"{opened} opened, {closed} closed in {quoted(reply)}")
    nested = OPEN in reply[reply.index(OPEN) + 1 : reply.index(CLOSE)]
    return Problem("brackets", f"{opened} pairs, {'nested' if nested else 'one after the other'}, in {quoted(reply)}")
