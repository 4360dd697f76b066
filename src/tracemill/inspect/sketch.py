"""Lengths of any number of texts in a few hundred numbers: count, sum, least, most, and bins that grow by 2 %."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

GROWTH = 1.02
"""Ratio of the two ends of a bin: a quantile is told within 1 %."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_LOG = math.log(GROWTH)


@dataclass(slots=True)
class Sketch:
    """Sums and means are exact; quantiles are within 1 %. Sketches add up in any order to the same."""

    count: int = 0
    total: int = 0
    least: int = 0
    most: int = 0
    bins: dict[int, int] = field(default_factory=dict)
    """How many values lie in each bin: 0 for zeros, 1 + floor(log(value) / log(GROWTH)) for the rest."""

    def add(self, values: npt.NDArray[np.int64]) -> None:
        """Take values >= 0."""
        if not len(values):
            return
        places = np.zeros(len(values), np.int64)
        there = values > 0
        places[there] = 1 + np.floor(np.log(values[there]) / _LOG + 1e-9).astype(np.int64)
        numbers, counts = np.unique(places, return_counts=True)
        self.merge(
            Sketch(
                len(values),
                int(values.sum()),
                int(values.min()),
                int(values.max()),
                dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
            )
        )

    def merge(self, other: Sketch) -> None:
        """Take what another sketch has seen."""
        if not other.count:
            return
        self.least = min(self.least, other.least) if self.count else other.least
        self.most = max(self.most, other.most)
        self.count += other.count
        self.total += other.total
        for place, count in other.bins.items():
            self.bins[place] = self.bins.get(place, 0) + count

    @property
    def mean(self) -> float:
        """0 where nothing was seen."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> int:
        """The value that `share` of all values do not exceed, within 1 %."""
        rank, seen = share * max(self.count - 1, 0), 0
        for place in sorted(self.bins):
            seen += self.bins[place]
            if seen > rank:
                middle = 0.0 if place == 0 else GROWTH ** (place - 0.5)
                return int(min(max(round(middle), self.least), self.most))
        return self.most

    def histogram(self) -> list[tuple[int, int, int]]:
        """(from, below, count) in powers of two; zeros are (0, 1, count). Bins are cut at their middle."""
        held: dict[int, int] = {}
        for place, count in self.bins.items():
            power = -1 if place == 0 else int(math.log2(GROWTH) * (place - 0.5))
            held[power] = held.get(power, 0) + count
        return [(0 if p < 0 else 2**p, 1 if p < 0 else 2 ** (p + 1), held[p]) for p in sorted(held)]

    def to_json(self) -> dict[str, Any]:
        """The numbers for a report."""
        return {
            "count": self.count,
            "mean": round(self.mean, 2),
            "least": self.least,
            "most": self.most,
            "quantiles": {f"{share:g}": self.quantile(share) for share in QUANTILES},
            "histogram": [list(bar) for bar in self.histogram()],
        }

    def pack(self) -> list[Any]:
        """What another process can `unpack`."""
        return [self.count, self.total, self.least, self.most, list(self.bins.items())]


def unpack(told: list[Any]) -> Sketch:
    """The sketch that was packed."""
    count, total, least, most, bins = told
    return Sketch(count, total, least, most, {int(place): int(n) for place, n in bins})
