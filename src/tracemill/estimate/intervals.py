"""What a sample tells about the whole: means and shares with intervals that hold the truth in 95 of 100 samples.

Prompts are drawn, not replies: the replies to one prompt are alike, so that each figure is a ratio of sums over prompts,
and its error is that of the linearised ratio (Cochran, Sampling Techniques, 1977, 6.3 and 6.4; 2.6 for the share that was
drawn). Student's t stands for the few prompts. Shares have Wilson's interval (1927), which does not end at 0 where none
was seen, for as many independent rows as the spread between prompts leaves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959964
"""97.5th percentile of the normal distribution."""
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5th percentiles of Student's t for 1 to 10 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval. One prompt gives no interval: low and high are then None."""

    value: float
    low: float | None = None
    high: float | None = None

    def times(self, factor: float) -> Interval:
        """So many times as much; `factor` is not negative."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Interval(self.value * factor, low, high)

    def to_json(self) -> dict[str, float | None]:
        """Plain values."""
        return {"value": self.value, "low": self.low, "high": self.high}


def t_percentile(degrees: int) -> float:
    """97.5th percentile of Student's t: from the table, beyond it by the expansion of Cornish and Fisher."""
    if degrees <= len(_T):
        return _T[degrees - 1]
    n = float(degrees)
    return Z + (Z**3 + Z) / (4 * n) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * n * n)


def ratio(above: Sequence[float], below: Sequence[float], whole: int | None = None) -> Interval | None:
    """Sum of `above` over sum of `below`, one pair for each prompt; None if the latter is 0.

    Args:
        whole: How many prompts there are in all; the more of them were drawn, the less is uncertain.
    """
    if not sum(below):
        return None
    value = sum(above) / sum(below)
    error = _error(above, below, whole)
    if error is None:
        return Interval(value)
    reach = t_percentile(len(above) - 1) * error
    return Interval(value, max(0.0, value - reach), value + reach)


def share(hits: Sequence[float], rows: Sequence[float]) -> Interval | None:
    """The share of rows that are hits, one pair for each prompt; None without rows."""
    count = sum(rows)
    if not count:
        return None
    p = sum(hits) / count
    error = _error(hits, rows, None)
    fewest = float(len(rows))
    independent = fewest if not error or not 0 < p < 1 else min(count, max(fewest, p * (1 - p) / error**2))
    middle = (p + Z * Z / (2 * independent)) / (1 + Z * Z / independent)
    reach = Z / (1 + Z * Z / independent) * math.sqrt(p * (1 - p) / independent + Z * Z / (4 * independent**2))
    return Interval(p, min(p, max(0.0, middle - reach)), max(p, min(1.0, middle + reach)))


def _error(above: Sequence[float], below: Sequence[float], whole: int | None) -> float | None:
    """Standard error of a ratio; None for fewer than two prompts."""
    n = len(above)
    if n < 2:
        return None
    r = sum(above) / sum(below)
    spread = sum((y - r * x) ** 2 for y, x in zip(above, below, strict=True)) / (n - 1)
    left = 1.0 if whole is None else max(0.0, 1 - n / whole)
    return math.sqrt(left * spread / n) / (sum(below) / n)
