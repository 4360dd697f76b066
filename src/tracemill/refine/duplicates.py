"""Rows that say exactly what an earlier row says.

Equal conversations have equal prompts, and equal prompts are in the same unit, so a unit finds all of its duplicates.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tracemill import identity
from tracemill.record import Sample
from tracemill.step import Drop

STAGE = "duplicates"
DROPS = frozenset({"duplicate"})


def signature(sample: Sample) -> Hashable:
    """Equal for rows with the same category, reasoning mode, language, tools and conversation, trace included."""
    turns = tuple((m.role, m.content, m.reasoning, m.tool_calls, m.tool_call_id) for m in sample.messages)
    tools = identity.canonical(list(sample.tools)) if sample.tools else b""
    return (sample.category, sample.reasoning, sample.language, tools, turns)


def without_duplicates(samples: Sequence[Sample]) -> list[Sample | Drop]:
    """One result per sample, in order: the first of equal rows stays."""
    first: dict[Hashable, str] = {}
    out: list[Sample | Drop] = []
    for sample in samples:
        kept = first.setdefault(signature(sample), sample.uuid)
        out.append(sample if kept == sample.uuid else Drop("duplicate", f"says exactly what {kept} says"))
    return out
