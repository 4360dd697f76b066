"""How fast a run goes of late, and so when it will be done and what it will have cost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from tracemill.engines.messages import Progress

WINDOW = 60.0
"""Seconds over which rows and tokens are counted for the present rate."""
FEWEST = 1.0
"""Seconds that must have passed before a rate is told."""


class Meter:
    """Reads the numbers of one call of an engine.

    Args:
        samples: Samples that the call has to work.
        cost_before: What earlier calls have cost.
        clock: Seconds.
    """

    def __init__(self, samples: int, cost_before: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.samples, self.cost_before, self._clock = samples, cost_before, clock
        self._seen: deque[tuple[float, int, float]] = deque([(clock(), 0, 0.0)])

    def read(self, progress: Progress) -> Progress:
        """The same progress with what follows from it and from what was seen before.

        Rates are those of the last minute. What is left takes the rows that are not in flight yet at that rate, and
        then the latency below which 95 % of the replies come, for those that are: the slow tail.
        """
        now = self._clock()
        stats = progress.stats
        tokens = stats.get("prompt_tokens", 0) + stats.get("completion_tokens", 0)
        self._seen.append((now, progress.rows, tokens))
        while now - self._seen[0][0] > WINDOW and len(self._seen) > 2:
            self._seen.popleft()
        since, rows_then, tokens_then = self._seen[0]
        seconds = now - since
        rows_rate = max(0.0, progress.rows - rows_then) / seconds if seconds >= FEWEST else 0.0
        tokens_rate = max(0.0, tokens - tokens_then) / seconds if seconds >= FEWEST else 0.0
        left = max(0, self.samples - progress.rows)
        return replace(
            progress,
            samples=self.samples,
            rows_per_second=round(rows_rate, 3),
            tokens_per_second=round(tokens_rate, 1),
            eta=self._eta(left, stats.get("in_flight", 0), stats.get("p95", 0.0), rows_rate),
            cost_before=self.cost_before,
            cost_projected=self._projected(progress, left),
        )

    def _eta(self, left: int, in_flight: float, slow: float, rate: float) -> float | None:
        if not left:
            return 0.0
        waiting = max(0.0, left - in_flight)
        if waiting and not rate:
            return None
        return round((waiting / rate if waiting else 0.0) + (slow if in_flight else 0.0), 1)

    def _projected(self, progress: Progress, left: int) -> float | None:
        """What was spent, and for each row that is left as many replies as rows took until now, at their mean cost."""
        stats = progress.stats
        replies, cost = stats.get("replies", 0), stats.get("cost", 0.0)
        if not cost or not progress.rows:
            return None
        a_row = (replies + stats.get("served", 0)) / progress.rows
        return self.cost_before + cost + cost / replies * a_row * left
