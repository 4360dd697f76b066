"""The refinery: finished rows through the mill's own steps, into a dataset with ledger, card and manifest as a build has.

Rows are worked where they lie. A second run over a dataset to which files were added works those alone, and publishes what
a run over everything would have published.
"""

from __future__ import annotations

from pathlib import Path

from tracemill.charter import with_own_templates
from tracemill.engines.local import LocalEngine
from tracemill.engines.messages import Progress
from tracemill.engines.signals import Signals
from tracemill.errors import RecipeError, UsageError
from tracemill.legible import quoted
from tracemill.mill import BuildReport, Engine, Run, Silent, Watch, check_place, default_workers
from tracemill.plan import Plan
from tracemill.reading.shards import refuse_inside
from tracemill.recipe import Recipe, Refine, Rows
from tracemill.rework.plan import RowsPlan, check_refine
from tracemill.rework.settle import in_use
from tracemill.rework.stock import Stock, open_stock
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock
from tracemill.storage.machine import check_machine
from tracemill.storage.manifest import Manifest, newest
from tracemill.storage.units import UnitNote, UnitStore


def refine(
    data: str | Path,
    recipe: Recipe,
    out: str | Path,
    *,
    split: tuple[str, ...] | list[str] = (),
    revision: str | None = None,
    limit: int | None = None,
    workers: int | None = None,
    watch: Watch | None = None,
    engine: Engine | None = None,
    fs: Fs = REAL,
) -> BuildReport:
    """Refine the rows of `data` into a dataset in `out`, or go on where an earlier call stopped. Nobody is asked, but for
    the judge of a recipe that has one.

    Args:
        data: Whatever `tracemill.open` reads.
        recipe: Its one source is `rows`; `data` takes its place. Without a part `refine` the defaults of that are meant.
        split: Only these splits.
        revision: Of a Hub dataset: commit, tag or branch.
        limit: Take only the first so many lines, in input order; files behind them are neither fetched nor read.
        workers: Processes; by default as many as there are cores, at most 4.
    Raises:
        RecipeError: the recipe cannot be used, or the data is damaged beyond reading or changed meanwhile.
        UsageError: there is no such data, or `out` cannot be used.
        Locked: another process writes `out`.
        DiskError, Interrupted: the run stopped; the same call goes on.
    """
    paths = RunPaths(Path(out))
    recipe = over(recipe, data, split)
    refuse_inside(paths.root, data)
    check_place(paths)
    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be at least 1, it is {workers}")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1, it is {limit}")
    check_machine()
    with Signals() as signals, RunLock(paths.lock) as lock:
        run = _Run(paths, recipe, limit, watch or Silent(), fs, signals)
        run.revision = revision
        return run.go(engine or LocalEngine(workers or default_workers(), lock.fd, run.show, fs))


def over(recipe: Recipe, data: str | Path, split: tuple[str, ...] | list[str] = ()) -> Recipe:
    """`recipe` with `data` as its rows.

    Raises:
        RecipeError: it is no recipe for finished rows.
    """
    if not recipe.has_rows:
        raise RecipeError(
            "this recipe asks prompts; to refine rows its source must be `prompts: {rows: PATH, name: ...}`",
            ("prompts",),
        )
    whole = recipe.model_dump(mode="json")
    [*_, source] = whole["prompts"]
    source["rows"] = str(data)
    if split:
        source["split"] = list(split)
    whole["refine"] = whole["refine"] or Refine().model_dump(mode="json")
    try:
        made = Recipe.model_validate(whole)
    except ValueError as exc:
        raise RecipeError(f"refine: {exc}", ("refine",)) from exc
    check_refine(made)
    return made


class _Run(Run):
    """A run whose input is rows."""

    revision: str | None = None

    def planned(self) -> Plan:
        """What is to be done, with all that it needs on the disk."""
        self._sweep()
        self._say_what_was_open()
        self._status(Progress())
        stock = open_stock(self.paths.spool, self.recipe, self.revision, self.fs, self.watch.note, self.limit)
        [source] = self.recipe.prompts
        if not stock.prompts:
            assert isinstance(source, Rows)
            raise RecipeError(f"{source.rows}: there is no row in it", ("prompts", source.name, "rows"))
        self._refuse_another(stock)
        Journal.create(self.paths.journal, stock.prompts if self.recipe.judge else 0, self.fs)
        self.samples = stock.prompts
        own = with_own_templates(self.paths, self.recipe, RowsPlan(self.recipe, stock), self.fs)
        return RowsPlan(own, stock, self.limit)

    def _refuse_another(self, stock: Stock) -> None:
        """Raise UsageError where `--out` shows a dataset that was made of other files: this one would take its place."""
        shown = newest(self.paths, self.fs)
        made_of = [file for told in shown.content["inputs"] for file in told["files"]] if shown is not None else []
        mine = {file.name for file in stock.files} | {file.sha256 for file in stock.files}
        if made_of and not any({file["name"], file["sha256"]} & mine for file in made_of):
            raise UsageError(
                f"--out {self.paths.root} holds a dataset that was made of {quoted(made_of[0]['name'])} and has no file in"
                f" common with these rows ({quoted(stock.files[0].name)}), which would take its place; name a new directory"
            )

    def _publish(self, plan: Plan, notes: list[UnitNote], store: UnitStore) -> Manifest:
        manifest = super()._publish(plan, notes, store)
        mine = in_use(store, [unit.name for unit in plan.units])
        for name in self.fs.names(store.directory):
            if name not in mine:
                self.fs.unlink(store.directory / name)
        return manifest
