"""A finished translation, walked again from the journal: which segment became what, and by which requests. Nobody is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from tracemill.errors import UsageError
from tracemill.gather.spool import Unit
from tracemill.models.door import Door
from tracemill.models.teachers import open_pools
from tracemill.models.wire import Failure, Nobody, Reply, Request
from tracemill.plan import Plan
from tracemill.record import Sample
from tracemill.schema import samples_in
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.parquet import read_batches
from tracemill.storage.units import UnitStore
from tracemill.translation.stage import Translation, Translator


def walk(
    paths: RunPaths, plan: Plan, wanted: Callable[[Sample, str], bool] = lambda parent, code: True
) -> Iterator[tuple[Sample, str, Translation, list[Request]]]:
    """Every translation of a run: the original, the language, what became of it, and the requests that it took.

    Args:
        wanted: Which originals and languages are of interest.
    Raises:
        UsageError: The run translates nothing.
    """
    if plan.translation is None:
        raise UsageError(f"{paths.root}: nothing was translated here; its recipe has no `translate`")
    journal = Journal(paths.journal, writable=False)
    try:
        door = Door(journal, open_pools(plan.recipe, sender=Nobody()), "replay")
        heard: list[Request] = []

        async def ask(request: Request) -> Reply | Failure:
            heard.append(request)
            return await door(request)

        translator = Translator(plan.translation, ask)
        store = UnitStore(paths.units / plan.shelf)
        for unit in plan.units:
            for parent in _kept(store, unit):
                for code in translator.codes:
                    if translator.concerns(parent, code) and wanted(parent, code):
                        heard.clear()
                        yield parent, code, asyncio.run(translator(parent, code)), list(heard)
    finally:
        journal.close()


def _kept(store: UnitStore, unit: Unit) -> Iterator[Sample]:
    """The kept rows of a unit that are no translations of this run."""
    note = store.read(unit.name)
    path = store.path(note, "kept") if note is not None else None
    if path is not None:
        for batch in read_batches(path):
            yield from samples_in(batch)
