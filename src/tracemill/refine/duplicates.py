"""Rows that say exactly what an earlier row says.

Equal conversations have equal prompts, and equal prompts are in the same unit, so a unit finds all of its duplicates.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracemill import identity
from tracemill.record import Sample
from tracemill.step import Drop

STAGE = "duplicates"
DROPS = frozenset({"duplicate"})


def signature(sample: Sample) -> str:
    """Equal for rows with the same category, reasoning mode, language, tools and conversation, trace included."""
    turns = [identity.wire_message(m) for m in sample.messages]
    return identity.digest([sample.category, sample.reasoning, sample.language, list(sample.tools), turns])


def without_duplicates(samples: Sequence[Sample]) -> list[Sample | Drop]:
    """One result per sample, in order: the first of equal rows stays."""
    first: dict[str, str] = {}
    out: list[Sample | Drop] = []
    for sample in samples:
        kept = first.setdefault(signature(sample), sample.uuid)
        out.append(sample if kept == sample.uuid else Drop("duplicate", f"says exactly what {kept} says"))
    return out
