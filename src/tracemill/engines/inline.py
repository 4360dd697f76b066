"""An engine in this process: runs units one after the other, in the order given.

It proves that rows do not depend on who schedules the work: the audit works a plan through it again, from stored replies
alone, and compares bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tracemill.engines.messages import Progress
from tracemill.gather.spool import Unit
from tracemill.models.door import Door, Mode
from tracemill.models.pool import GateClosed
from tracemill.models.teachers import open_pools
from tracemill.models.wire import Nobody
from tracemill.plan import Plan
from tracemill.rework.which import pipeline_of
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.units import UnitNote, UnitStore
from tracemill.storage.verdicts import Verdicts
from tracemill.verify.math_checker import MathChecker

WINDOW = 64


class InlineEngine:
    """Runs units in this process. Unlike the local engine it has no signals of its own, and no second chance."""

    def run(self, plan: Plan, paths: RunPaths, units: list[Unit]) -> Progress:
        """Work `units` to their end."""
        store = UnitStore(paths.units / plan.shelf)
        notes, sent = asyncio.run(_run(plan, paths, units, store, "ask"))
        return Progress(len(units), len(notes), {"sent": sent})


def replay(plan: Plan, paths: RunPaths, units: Iterable[Unit], store: UnitStore) -> dict[str, UnitNote]:
    """Work units in the order given, asking nobody, and commit them to `store`.

    Returns:
        The notes by unit.
    Raises:
        NotStored: the journal does not hold a reply that the plan needs.
    """
    return asyncio.run(_run(plan, paths, units, store, "replay"))[0]


async def _run(
    plan: Plan, paths: RunPaths, units: Iterable[Unit], store: UnitStore, mode: Mode
) -> tuple[dict[str, UnitNote], int]:
    recipe = plan.recipe
    journal = Journal(paths.journal, writable=mode == "ask")
    pools = open_pools(recipe, sender=None if mode == "ask" else Nobody())
    door = Door(journal, pools, mode)
    notes = {}
    try:
        verdicts = Verdicts(paths.verdicts, replaying=mode == "replay")
        async with MathChecker(seconds=recipe.verify.math.wall_clock, verdicts=verdicts) as checker:
            pipeline = pipeline_of(plan, door, checker, WINDOW)
            for unit in units:
                outcome = await pipeline.work(unit)
                notes[unit.name] = store.commit(unit.name, outcome.tables(), list(outcome.ledger.lines()))
    except GateClosed:
        if door.stopped is not None:
            raise door.stopped from None
        raise
    finally:
        for pool in pools.values():
            await pool.shut()
        journal.close()
    return notes, door.tally.sent
