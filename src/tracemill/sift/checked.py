"""Was a row's answer checked at all?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar

from tracemill.record import Sample, Verdict
from tracemill.step import Drop

UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Checked:
    """Say of a row that no verifier has passed it; drop it where one must."""

    must: Collection[str] = ()
    """Categories of which only rows are kept that a verifier passed."""
    name: ClassVar[str] = "checked"
    drops: ClassVar[frozenset[str]] = frozenset({UNCHECKED})

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        if any(v.passed and v.step.startswith(("verify_", "judge")) for v in sample.verdicts):
            return sample
        why = (
            "no expected answer is known" if sample.expected is None else "an answer is known, and nothing compared it"
        )
        if sample.category in self.must:
            return Drop(UNCHECKED, why)
        return replace(sample, verdicts=(*sample.verdicts, Verdict(UNCHECKED, True, why)))
