"""A second engine: the same units in this process, in an order drawn from a seed."""

from __future__ import annotations

import random

from tracemill.engines.inline import InlineEngine
from tracemill.engines.messages import Progress
from tracemill.gather.spool import Unit
from tracemill.plan import Plan
from tracemill.storage.layout import RunPaths


class ShuffledEngine(InlineEngine):
    """Holds promise P4: whatever the order of the units, the bytes are the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def run(self, plan: Plan, paths: RunPaths, units: list[Unit]) -> Progress:
        """Work `units` in a shuffled order."""
        shuffled = list(units)
        random.Random(self.seed).shuffle(shuffled)
        return super().run(plan, paths, shuffled)
