"""Which rows are wanted, by what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tracemill.legible import one_line
from tracemill.record import CATEGORIES, Sample
from tracemill.step import Drop

LABELS = ("language", "category", "license", "generator", "reasoning")
MULTILINGUAL = "multilingual_"


@dataclass(frozen=True, slots=True)
class Select:
    """Keep rows of a known category whose labels are among those that are wanted."""

    only: Mapping[str, frozenset[str]]
    """By label; a label that is not there, or has no values, may be anything."""
    more_categories: frozenset[str] = frozenset()
    """Categories beside ours. Each becomes a split, so a value that hostile rows bring along must not."""
    name: ClassVar[str] = "select"
    drops: ClassVar[frozenset[str]] = frozenset({"unknown_category", *(f"other_{label}" for label in LABELS)})

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        category = sample.category
        if category not in CATEGORIES and category not in self.more_categories and not self._is_of_language(sample):
            return Drop("unknown_category", one_line(category, 80))
        for label, values in self.only.items():
            told = {getattr(sample, label), *({sample.domain} if label == "category" else ())}
            if values and not told & values:
                return Drop(f"other_{label}", one_line(getattr(sample, label), 80) or "none is told")
        return sample

    def _is_of_language(self, sample: Sample) -> bool:
        """Whether a row's category names its own language, as in v2."""
        named = sample.category.removeprefix(MULTILINGUAL)
        return named != sample.category and named.replace("_", "-").lower() == sample.language.lower()
