"""Does a split begin with rows of another kind than the rest? Then its head is no sample of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from tracemill.inspect.tally import Kinds, Tally
from tracemill.reading.batch import Piece

LEAST_ROWS = 200
HEAD = 0.1
"""The share of a split that is its head."""
APART = 0.5
"""Total variation between head and rest that is worth a warning: half of the rows would have to change."""


def order_effects(tally: Tally, found: Sequence[Piece]) -> None:
    """Record splits whose head is unlike the rest. `tally.kinds` is in the order of the data."""
    by_split: dict[str, list[Kinds]] = defaultdict(list)
    for kind in tally.kinds:
        by_split[found[kind[0]].shard.split].append(kind)
    for split, kinds in by_split.items():
        rows = sum(kind[2] for kind in kinds)
        if rows < LEAST_ROWS or len(kinds) < 2:
            continue
        head, rest = _divided(kinds, rows)
        for feature in kinds[0][3]:
            apart = variation(head[feature], rest[feature])
            if apart >= APART:
                usual = rest[feature].most_common(1)[0][0]
                seen = head[feature].most_common(1)[0][0]
                told = f"{feature}: mostly {seen} at first, mostly {usual} later (distance {apart:.2f})"
                tally.found("order_effect", split, 1, [(kinds[0][0], 0, "", split, told)])
                break


def _divided(kinds: Sequence[Kinds], rows: int) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """Counts of the first batches, up to the one that reaches a tenth of the rows, and of the rest."""
    head: dict[str, Counter[str]] = defaultdict(Counter)
    rest: dict[str, Counter[str]] = defaultdict(Counter)
    seen = 0
    for _, _, count, features in kinds:
        target = head if seen < HEAD * rows else rest
        for feature, counts in features.items():
            target[feature].update(counts)
        seen += count
    return head, rest


def variation(one: Counter[str], other: Counter[str]) -> float:
    """The total variation distance of two distributions, 0 to 1; 0 where one is of nothing."""
    if not one.total() or not other.total():
        return 0.0
    return sum(abs(one[v] / one.total() - other[v] / other.total()) for v in {*one, *other}) / 2
