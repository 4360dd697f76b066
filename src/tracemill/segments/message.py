"""Gates over a whole message: what no segment alone can show, and the last look at what was put together."""

from __future__ import annotations

import re
from collections import Counter

from tracemill.legible import quoted
from tracemill.segments.masks import mask
from tracemill.segments.problem import Problem
from tracemill.segments.splitting import split

BLOCKS = ("fence", "code", "math", "json")
EXACT = frozenset({"code", "latex", "url", "tag", "slot", "json"})
LEFT = re.compile(r"[〘〙⟦⟧]")


def check_message(source: str, translation: str, comments: bool = False) -> Problem | None:
    """The first thing that a translated message does not share with its source: lines, fences, what is never sent,
    protected spans byte for byte (boxes among them), and no bracket or placeholder beyond the source's.

    Holds for translators that were given no masks too.

    Args:
        comments: Whether comments inside fenced code may differ; see `split`.
    """
    wanted, given = len(source.splitlines()), len(translation.splitlines())
    if wanted != given:
        return Problem("lines", f"{wanted} lines became {given}")
    if LEFT.search(translation) and Counter(LEFT.findall(source)) != Counter(LEFT.findall(translation)):
        return Problem("residue", "a bracket or a placeholder is left over")
    before, after = _held(source, comments), _held(translation, comments)
    if before[0] != after[0]:
        return Problem("protected", _first(before[0], after[0]))
    if before[1] != after[1]:
        lost = [*(before[1] - after[1]).elements(), *(after[1] - before[1]).elements()]
        return Problem("protected", f"{quoted(lost[0])} is not on both sides")
    return None


def _held(text: str, comments: bool) -> tuple[list[str], Counter[str]]:
    """What stands in blocks, in order; and what is protected inside lines, as a multiset."""
    segments = split(text, comments)
    spans: Counter[str] = Counter()
    for segment in segments:
        if segment.kind not in BLOCKS and segment.kind not in ("blank", "mark", "frame"):
            masked = mask(segment.text)
            spans.update(s for s, k in zip(masked.spans, masked.kinds, strict=True) if k in EXACT)
    return [segment.text for segment in segments if segment.kind in BLOCKS], spans


def _first(before: list[str], after: list[str]) -> str:
    for one, other in zip(before, after, strict=False):
        if one != other:
            return f"{quoted(one)} became {quoted(other)}"
    return f"{len(before)} blocks became {len(after)}"
