"""An engine in this process: runs units one after the other, in any order, from stored replies alone.

It proves that rows do not depend on who schedules the work: the audit runs a plan through it again and compares bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from tracemill.gather.spool import Unit
from tracemill.models.door import Door
from tracemill.models.gate import Gate
from tracemill.plan import Outcome, Pipeline, Plan
from tracemill.storage.journal import Journal
from tracemill.storage.units import UnitNote, UnitStore
from tracemill.verify.math_checker import MathChecker

WINDOW = 64


def replay(plan: Plan, journal: Path, units: Iterable[Unit], store: UnitStore) -> dict[str, UnitNote]:
    """Work units in the order given, asking nobody, and commit them to `store`.

    Returns:
        The notes by unit.
    Raises:
        NotStored: the journal does not hold a reply that the plan needs.
    """
    return asyncio.run(_replay(plan, journal, units, store))


async def _replay(plan: Plan, journal: Path, units: Iterable[Unit], store: UnitStore) -> dict[str, UnitNote]:
    notes = {}
    async with _pipeline(plan, journal) as pipeline:
        for unit in units:
            outcome: Outcome = await pipeline.run_unit(plan.spool.read(unit))
            notes[unit.name] = store.commit(unit.name, outcome.tables(), list(outcome.ledger.lines()))
    return notes


@asynccontextmanager
async def _pipeline(plan: Plan, journal: Path) -> AsyncIterator[Pipeline]:
    opened = Journal(journal, writable=False)
    recipe = plan.recipe
    door = Door(opened, recipe.teachers, {}, {name: Gate(1) for name in recipe.teachers}, mode="replay")
    try:
        async with MathChecker(seconds=recipe.verify.math.wall_clock) as checker:
            yield Pipeline(plan, door, checker, WINDOW)
    finally:
        opened.close()
