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
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / n + second / n**2 + third / n**3


class Ratio:
    """A sum over another, gathered prompt by prompt: tokens of replies over replies, say."""

    def __init__(self) -> None:
        self.prompts = 0
        self.above = self.below = 0.0
        self._aa = self._ab = self._bb = 0.0

    def add(self, above: float, below: float) -> None:
        """The two sums of one more prompt."""
        self.prompts += 1
        self.above += above
        self.below += below
        self._aa += above * above
        self._ab += above * below
        self._bb += below * below

    def error(self, whole: int | None = None) -> float | None:
        """Standard error; None for fewer than two prompts, or if the lower sum is 0."""
        n = self.prompts
        if n < 2 or not self.below:
            return None
        r = self.above / self.below
        spread = max(0.0, self._aa - 2 * r * self._ab + r * r * self._bb) / (n - 1)
        left = 1.0 if whole is None else max(0.0, 1 - n / whole)
        return math.sqrt(left * spread / n) / (self.below / n)

    def interval(self, whole: int | None = None) -> Interval | None:
        """The ratio; None if the lower sum is 0.

        Args:
            whole: How many prompts there are in all; the more of them were drawn, the less is uncertain.
        """
        if not self.below:
            return None
        value, error = self.above / self.below, self.error(whole)
        if error is None:
            return Interval(value)
        reach = t_percentile(self.prompts - 1) * error
        return Interval(value, max(0.0, value - reach), value + reach)


def ratio(above: Sequence[float], below: Sequence[float], whole: int | None = None) -> Interval | None:
    """Sum of `above` over sum of `below`, one pair for each prompt; see `Ratio.interval`."""
    return _gathered(above, below).interval(whole)


def share(hits: Sequence[float], rows: Sequence[float]) -> Interval | None:
    """The share of rows that are hits, one pair for each prompt; None without rows."""
    count = sum(rows)
    if not count:
        return None
    p = sum(hits) / count
    error = _gathered(hits, rows).error()
    fewest = float(len(rows))
    independent = fewest if not error or not 0 < p < 1 else min(count, max(fewest, p * (1 - p) / error**2))
    middle = (p + Z * Z / (2 * independent)) / (1 + Z * Z / independent)
    reach = Z / (1 + Z * Z / independent) * math.sqrt(p * (1 - p) / independent + Z * Z / (4 * independent**2))
    return Interval(p, min(p, max(0.0, middle - reach)), max(p, min(1.0, middle + reach)))


def _gathered(above: Sequence[float], below: Sequence[float]) -> Ratio:
    out = Ratio()
    for pair in zip(above, below, strict=True):
        out.add(*pair)
    return out
