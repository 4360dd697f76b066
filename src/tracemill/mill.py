"""The mill: from a recipe to a published dataset, and on from wherever the last run stopped."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from tracemill.engines.local import LocalEngine
from tracemill.engines.messages import Progress
from tracemill.errors import CorruptRun, EndpointError, RecipeError, UsageError
from tracemill.gather.spool import Spool, Unit, load_spool, open_spool
from tracemill.plan import Plan
from tracemill.publish.dataset import publication, publish
from tracemill.recipe import Recipe, secret_texts
from tracemill.storage import flight
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock
from tracemill.storage.manifest import Manifest, newest, roll_forward
from tracemill.storage.units import UnitNote, UnitStore

FINAL_FAILURES = frozenset({"refused", "malformed"})
"""Failures that asking the same again would not mend; rows that failed otherwise are asked again by the next build."""
MOST_WORKERS = 4
"""Workers by default, at most: one process alone keeps thousands of slow requests in flight."""


class Watch(Protocol):
    """Whoever shows how a run is going."""

    def note(self, text: str) -> None:
        """One line for the user."""
        ...

    def progress(self, progress: Progress) -> None:
        """Called about four times a second while units are worked."""
        ...


class Engine(Protocol):
    """Whoever schedules units."""

    def run(self, plan: Plan, paths: RunPaths, units: list[Unit]) -> Progress:
        """Work units to their end, or raise."""
        ...


class Silent:
    """Shows nothing."""

    def note(self, text: str) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        pass


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build came to."""

    out: Path
    rows: int
    splits: dict[str, int]
    lost: dict[str, int]
    """Rows that did not make it, by "stage: reason"."""
    sent: int
    """Requests sent by this call; 0 if the journal had every reply."""
    manifest: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "out": str(self.out),
            "rows": self.rows,
            "splits": self.splits,
            "lost": self.lost,
            "requests_sent": self.sent,
            "manifest": self.manifest,
            "card": str(self.out / "README.md"),
        }


def default_workers() -> int:
    """Worker processes unless told otherwise."""
    return max(1, min(MOST_WORKERS, os.cpu_count() or 1))


def build(
    recipe: Recipe,
    out: str | Path,
    *,
    workers: int | None = None,
    limit: int | None = None,
    watch: Watch | None = None,
    engine: Engine | None = None,
    fs: Fs = REAL,
) -> BuildReport:
    """Build the dataset of a recipe in `out`, or go on where an earlier build of it stopped.

    Args:
        workers: Processes that ask and check; by default as many as there are cores, at most 4.
        limit: Take only the first so many prompts, in input order.
        watch: Shown what goes on.
        engine: Who schedules the units; by default worker processes on this machine.
    Raises:
        RecipeError: the recipe or an input cannot be used.
        Locked: another process writes `out`.
        EndpointError, DiskError, Interrupted: the run stopped; the same call goes on.
    """
    paths, watch = RunPaths(Path(out)), watch or Silent()
    _check_place(paths)
    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be at least 1, it is {workers}")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1, it is {limit}")
    with RunLock(paths.lock) as lock:
        run = _Run(paths, recipe, limit, watch, fs)
        return run.go(engine or LocalEngine(workers or default_workers(), lock.fd, run.show, fs))


def _check_place(paths: RunPaths) -> None:
    if paths.root.exists() and not paths.root.is_dir():
        raise UsageError(f"--out {paths.root} is a file; name a directory that is new or holds a run")
    if paths.root.is_dir() and not paths.inner.is_dir() and any(paths.root.iterdir()):
        raise UsageError(f"--out {paths.root} holds files but no run (.tracemill is missing); name a new directory")


class _Run:
    """One build: finds out what is left to do, has it done, and publishes."""

    def __init__(self, paths: RunPaths, recipe: Recipe, limit: int | None, watch: Watch, fs: Fs) -> None:
        self.paths, self.recipe, self.limit, self.watch, self.fs = paths, recipe, limit, watch, fs
        self.state = "gathering"
        self.sent = 0
        self.samples = 0

    def go(self, engine: Engine) -> BuildReport:
        self._sweep()
        self._store_recipe()
        self._say_what_was_open()
        self._status(Progress())
        spool = open_spool(
            self.paths.spool, self.recipe, self.limit, self.fs, lambda n: self.watch.note(f"{n:,} rows read")
        )
        _refuse_nothing(spool, self.fs)
        plan = Plan(self.recipe, spool, self.limit)
        self.samples = plan.samples
        Journal.create(self.paths.journal, spool.prompts, self.fs)
        told = {
            "fingerprint": plan.fingerprint,
            "spool": spool.directory.name,
            "limit": self.limit,
            "samples": plan.samples,
        }
        self.fs.replace(self.paths.plan, json.dumps(told).encode())
        store = UnitStore(self.paths.units / plan.fingerprint[:16], self.fs)
        notes = self._committed(plan, store)
        missing = [u for u in plan.units if u.name not in notes]
        if missing:
            self.state = "running"
            for name, teacher in self.recipe.teachers.items():
                secret_texts(teacher, f"teachers.{name}")  # a missing one is told before any process is started
            done = engine.run(plan, self.paths, missing)
            self.sent = int(done.stats.get("sent", 0))
            notes = self._committed(plan, store, reopen=False)
        self._all_there(plan, notes)
        self.state = "publishing"
        manifest = self._publish(plan, store, [notes[u.name] for u in plan.units])
        self.state = "done"
        self._status(Progress(len(plan.units), len(plan.units)))
        return _report(self.paths, manifest, self.sent)

    def _store_recipe(self) -> None:
        """The effective recipe, as written: secrets stand in it as ${env:NAME}."""
        text = yaml.safe_dump(
            self.recipe.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True
        )
        self.fs.mkdir(self.paths.inner)
        self.fs.replace(self.paths.recipe, text.encode())

    def _sweep(self) -> None:
        """Take away what a killed run left half written."""
        for folder in (self.paths.root, self.paths.inner, self.paths.manifests, self.paths.journal, self.paths.objects):
            for name in self.fs.names(folder):
                if name.startswith(".put-") or (name.startswith(".") and name.endswith((".tmp", ".parquet"))):
                    self.fs.unlink(folder / name)

    def _say_what_was_open(self) -> None:
        left = flight.left_open(self.paths.flight, self.fs)
        if left:
            self.watch.note(
                f"the last run died with {left} requests in flight: up to {left} replies may be paid for twice. "
                "Every reply that was stored is used again"
            )
        for name in self.fs.names(self.paths.flight):
            self.fs.unlink(self.paths.flight / name)

    def _committed(self, plan: Plan, store: UnitStore, reopen: bool = True) -> dict[str, UnitNote]:
        """The units that are done. With `reopen`, those with rows worth asking for again are not."""
        notes = {}
        for unit in plan.units:
            note = store.read(unit.name)
            if note is None:
                continue
            kinds = {kind for line in note.ledger for kind in line["failed"]}
            if reopen and kinds - FINAL_FAILURES:
                store.forget(unit.name)
            else:
                notes[unit.name] = note
        return notes

    def _all_there(self, plan: Plan, notes: dict[str, UnitNote]) -> None:
        missing = [u.name for u in plan.units if u.name not in notes]
        if missing:
            raise CorruptRun(f"{self.paths.root}: {len(missing)} units are not committed, the first is {missing[0]}")
        rows = sum(f["rows"] for n in notes.values() for f in n.files.values())
        if rows != plan.samples:
            raise CorruptRun(
                f"{self.paths.root}: the units account for {rows:,} samples, the plan has {plan.samples:,}"
            )
        failed = sum(n.files["failed"]["rows"] for n in notes.values() if "failed" in n.files)
        if failed and failed == rows:
            kinds = sorted({k for n in notes.values() for line in n.ledger for k in line["failed"]})
            raise EndpointError(
                f"no request got an answer ({', '.join(kinds)}). Is the teacher running at "
                f"{', '.join(sorted({t.url for t in self.recipe.teachers.values()}))}? The same command goes on."
            )

    def _publish(self, plan: Plan, store: UnitStore, notes: list[UnitNote]) -> Manifest:
        before = newest(self.paths, self.fs)
        ledgers = [note.ledger for note in notes]
        if before and before.content["publication"] == publication(self.recipe, plan.fingerprint, ledgers):
            return roll_forward(self.paths, self.fs)
        spool = plan.spool
        manifest = publish(
            self.paths,
            self.recipe,
            plan.fingerprint,
            spool.inputs,
            spool.ledger,
            spool.bad_lines(self.fs),
            store,
            notes,
            self.fs,
        )
        for shelf, in_use in ((self.paths.units, store.directory.name), (self.paths.spool, spool.directory.name)):
            for name in self.fs.names(shelf):
                if name != in_use:
                    self.fs.remove_tree(shelf / name)
        return manifest

    def show(self, progress: Progress) -> None:
        """Pass progress on, and write status.json once a second."""
        self.watch.progress(progress)
        self._status(progress)

    def _status(self, progress: Progress) -> None:
        told = {"state": self.state, "pid": os.getpid(), "samples": self.samples, **progress.to_json()}
        self.fs.replace(self.paths.status, json.dumps(told, indent=1).encode(), durable=False)


def _refuse_nothing(spool: Spool, fs: Fs) -> None:
    """Raises RecipeError if no input line is a prompt: most likely the field map names the wrong columns."""
    if spool.prompts:
        return
    names = ", ".join(repr(source["name"]) for source in spool.inputs)
    first = next(iter(spool.bad_lines(fs)), None)
    if first is None:
        raise RecipeError(f"prompts {names}: the input holds no lines; nothing was asked")
    counts = ", ".join(f"{n:,} {reason}" for (_, reason), n in spool.ledger.by_reason().items())
    raise RecipeError(
        f"prompts {names}: no input line can be used ({counts}); nothing was asked. "
        f"The first: {first.where}: {first.evidence}. Do `prompts.fields` name the right columns?"
    )


def _report(paths: RunPaths, manifest: Manifest, sent: int) -> BuildReport:
    splits: dict[str, int] = {}
    for entry in manifest.files:
        if "split" in entry:
            splits[entry["split"]] = splits.get(entry["split"], 0) + entry["rows"]
    lost: dict[str, int] = {}
    for line in manifest.content["ledger"]:
        for reason, count in (line["dropped"] | line["failed"]).items():
            name = f"{line['stage']}: {reason}"
            lost[name] = lost.get(name, 0) + count
    return BuildReport(paths.root, sum(splits.values()), splits, lost, sent, manifest.number)


def open_plan(root: str | Path, fs: Fs = REAL) -> tuple[RunPaths, Plan]:
    """The plan that a run directory was last built with.

    Raises:
        UsageError: there is no run.
    """
    paths = RunPaths(Path(root))
    try:
        told = json.loads(fs.read(paths.plan))
        recipe = Recipe.model_validate(yaml.safe_load(fs.read(paths.recipe)))
        return paths, Plan(recipe, load_spool(paths.spool / told["spool"], fs), told["limit"])
    except FileNotFoundError:
        raise UsageError(
            f"{paths.root} holds no run that has begun; `tracemill build RECIPE --out {paths.root}` makes one"
        ) from None
