"""The mill: from a recipe to a published dataset, and on from wherever the last run stopped."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tracemill.charter import with_own_templates, write_charter
from tracemill.engines.local import LocalEngine
from tracemill.engines.messages import Progress
from tracemill.engines.meter import Meter
from tracemill.engines.signals import Signals
from tracemill.errors import CorruptRun, EndpointError, RecipeError, UsageError
from tracemill.gather.spool import RowReader, Spool, Unit, open_spool
from tracemill.legible import one_line, quoted
from tracemill.models.budget import Account, paid, spent_before, total
from tracemill.plan import Plan
from tracemill.publish.dataset import publication, publish
from tracemill.recipe import Recipe, secret_texts
from tracemill.recipe.translate import STAGE as TRANSLATE
from tracemill.storage import flight
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock
from tracemill.storage.machine import check_machine
from tracemill.storage.manifest import Manifest, newest, roll_forward
from tracemill.storage.tombstones import Tombstones
from tracemill.storage.units import UnitNote, UnitStore

OF_THE_ROW = frozenset({"too_long", "oversize"})
"""Failures that tell of the prompt or its reply alone: a run of nothing else has an outcome, and is published. Where every
request is refused, or gets a page for an answer, most likely the address or a setting is wrong."""
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
    spent: dict[str, Account] = field(default_factory=dict)
    """By teacher: what the run has cost until now, earlier calls included."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "out": str(self.out),
            "rows": self.rows,
            "splits": self.splits,
            "lost": self.lost,
            "requests_sent": self.sent,
            "spent": total(self.spent).to_json(self.rows),
            "teachers": {name: account.to_json(self.rows) for name, account in self.spent.items()},
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
    wait_for_endpoint: float | None = None,
    watch: Watch | None = None,
    engine: Engine | None = None,
    fs: Fs = REAL,
) -> BuildReport:
    """Build the dataset of a recipe in `out`, or go on where an earlier build of it stopped.

    Args:
        workers: Processes that ask and check; by default as many as there are cores, at most 4.
        limit: Take only the first so many prompts, in input order.
        wait_for_endpoint: Seconds to wait for a teacher that does not answer. None: 15 if it never has, else 600.
        watch: Shown what goes on.
        engine: Who schedules the units; by default worker processes on this machine.
    Raises:
        RecipeError: the recipe or an input cannot be used.
        Locked: another process writes `out`.
        EndpointError, BudgetSpent, DiskError, Interrupted: the run stopped; the same call goes on.
    """
    paths, watch = RunPaths(Path(out)), watch or Silent()
    if recipe.refine is not None:
        raise RecipeError(
            "this recipe refines rows; use `tracemill refine DATA --recipe RECIPE --out DIR`", ("refine",)
        )
    check_place(paths)
    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be at least 1, it is {workers}")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1, it is {limit}")
    check_machine()
    with Signals() as signals, RunLock(paths.lock) as lock:
        run = Run(paths, recipe, limit, watch, fs, signals)
        return run.go(engine or LocalEngine(workers or default_workers(), lock.fd, run.show, fs, wait_for_endpoint))


def check_place(paths: RunPaths) -> None:
    try:
        is_file = paths.root.exists() and not paths.root.is_dir()
        is_strange = paths.root.is_dir() and not paths.inner.is_dir() and any(paths.root.iterdir())
    except OSError as exc:
        raise UsageError(f"--out {paths.root} cannot be used: {exc.strerror or exc}") from exc
    if is_file:
        raise UsageError(f"--out {paths.root} is a file; name a directory that is new or holds a run")
    if is_strange:
        raise UsageError(f"--out {paths.root} holds files but no run (.tracemill is missing); name a new directory")


class Run:
    """One build: finds out what is left to do, has it done, and publishes."""

    def __init__(
        self, paths: RunPaths, recipe: Recipe, limit: int | None, watch: Watch, fs: Fs, signals: Signals
    ) -> None:
        self.paths, self.recipe, self.limit, self.watch, self.fs = paths, recipe, limit, watch, fs
        self.signals = signals
        self.state = "gathering"
        self.sent = 0
        self.samples = 0
        self.last = Progress()
        self.meter = Meter(0)

    def go(self, engine: Engine) -> BuildReport:
        """Build; status.json tells in the end that nobody is at it any more."""
        try:
            return self._go(engine)
        except BaseException:
            self.state = "stopped"
            with suppress(OSError):
                self._status(self.last)
            raise

    def _go(self, engine: Engine) -> BuildReport:
        plan = self.planned()
        write_charter(self.paths, plan, self.recipe, self.fs)
        store = UnitStore(self.paths.units / plan.shelf, self.fs)
        notes = self.committed(plan, store)
        done_before = set(notes)
        notes = self.work(engine, plan, store, notes)
        if self._is_news(plan, plan.notes(store)) and self._forget_damaged(store, notes, done_before):
            notes = self.work(engine, plan, store, notes)
        self.state = "publishing"
        self._status(self.last)
        manifest = self._publish(*plan.settled(store, [notes[u.name] for u in plan.units], self.fs), store)
        self.state = "done"
        self._status(Progress(len(plan.units), len(plan.units)))
        return _report(self.paths, manifest, self.sent, paid(self.paths.journal, self.recipe, self.fs))

    def planned(self) -> Plan:
        """What is to be done, with all that it needs on the disk: the input spooled, the templates, a journal."""
        self._sweep()
        self._say_what_was_open()
        self._status(Progress())
        spool = open_spool(
            *(self.paths.spool, self.recipe, self.limit, self.fs),
            lambda n: self.watch.note(f"{n:,} rows read"),
            _row_reader(self.recipe),
        )
        refuse_nothing(spool, self.fs)
        for source in spool.inputs:
            if not source["prompts"] and source["bad_lines"]:
                self.watch.note(f"prompts {source['name']!r}: none of {source['bad_lines']:,} input lines can be used")
            if absent := source.get("columns_not_found"):
                shown = ", ".join(map(quoted, absent))
                self.watch.note(f"prompts {source['name']!r}: no row has a column {shown}, which `fields` names")
        read = Plan(self.recipe, spool, self.limit)
        plan = Plan(with_own_templates(self.paths, self.recipe, read, self.fs), spool, self.limit)
        self.samples = plan.samples
        Journal.create(self.paths.journal, spool.prompts, self.fs)
        return plan

    def work(self, engine: Engine, plan: Plan, store: UnitStore, notes: dict[str, UnitNote]) -> dict[str, UnitNote]:
        """Have the engine work the units that have no note. All notes."""
        missing = [u for u in plan.units if u.name not in notes]
        if missing:
            self.state = "running"
            priced = any(teacher.price for teacher in self.recipe.teachers.values())
            left = plan.samples - sum(f["rows"] for n in notes.values() for f in n.files.values())
            self.meter = Meter(left, spent_before(self.paths.journal, self.recipe, self.fs).cost if priced else 0.0)
            for name, teacher in self.recipe.teachers.items():
                secret_texts(teacher, f"teachers.{name}")  # a missing one is told before any process is started
            try:
                done = engine.run(plan, self.paths, missing)
            finally:
                self.signals.take()
            self.sent += int(done.stats.get("sent", 0))
            notes = self.committed(plan, store, reopen=False)
        self._all_there(plan, notes)
        return notes

    def _is_news(self, plan: Plan, ordered: list[UnitNote]) -> bool:
        """Whether what is published is not yet what this recipe gives."""
        before = newest(self.paths, self.fs)
        return before is None or before.content.get("publication") != publication(
            self.recipe, plan.fingerprint, ordered, Tombstones.load(self.paths, self.fs)
        )

    def _forget_damaged(self, store: UnitStore, notes: dict[str, UnitNote], names: set[str]) -> bool:
        """Take back the units among `names` whose files have changed on the disk since they were committed."""
        damaged = {name: problem for name in sorted(names) if (problem := store.check(notes[name]))}
        for name, problem in damaged.items():
            self.watch.note(f"unit {name} is damaged and worked again from the journal: {problem}")
            store.forget(name)
            del notes[name]
        return bool(damaged)

    def _sweep(self) -> None:
        """Take away what a killed run left half written."""
        for folder in (self.paths.root, self.paths.inner, self.paths.manifests, self.paths.journal, self.paths.objects):
            for name in self.fs.names(folder):
                if name.startswith(".put-") or (name.startswith(".") and name.endswith((".tmp", ".parquet"))):
                    self.fs.unlink(folder / name)

    def _say_what_was_open(self) -> None:
        left = flight.left(self.paths.flight, self.fs).open
        if left:
            self.watch.note(
                f"the last run died with {left} requests in flight: up to {left} replies may be paid for twice. "
                "Every reply that was stored is used again"
            )
        for name in self.fs.names(self.paths.flight):
            self.fs.unlink(self.paths.flight / name)

    def committed(self, plan: Plan, store: UnitStore, reopen: bool = True) -> dict[str, UnitNote]:
        """The units that are done. With `reopen`, those with failed rows are not: the door knows which of them may be
        asked for again.
        """
        notes = {}
        for unit in plan.units:
            note = store.read(unit.name)
            if note is None:
                continue
            if reopen and "failed" in note.files:
                store.forget(unit.name)
            else:
                notes[unit.name] = note
        return notes

    def _all_there(self, plan: Plan, notes: dict[str, UnitNote]) -> None:
        missing = [u.name for u in plan.units if u.name not in notes]
        if missing:
            raise CorruptRun(f"{self.paths.root}: {len(missing)} units are not committed, the first is {missing[0]}")
        rows = sum(f["rows"] for n in notes.values() for f in n.files.values())
        made = sum(line["spawned"] for note in notes.values() for line in note.ledger if line["stage"] == TRANSLATE)
        if rows != plan.samples + made:
            told = f"{plan.samples:,}" + (f", with {made:,} translations" if made else "")
            raise CorruptRun(f"{self.paths.root}: the units account for {rows:,} samples, the plan has {told}")
        failed = sum(n.files["failed"]["rows"] for n in notes.values() if "failed" in n.files)
        kinds: Counter[str] = Counter()
        for note in notes.values():
            for line in note.ledger:
                kinds.update(line["failed"])
        if failed and failed in (rows, made) and not OF_THE_ROW & set(kinds):
            told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
            raise EndpointError(
                f"no request got an answer ({told}) from "
                f"{', '.join(sorted({t.url for t in self.recipe.teachers.values()}))}. The same command goes on; "
                "`tracemill doctor RECIPE` asks each teacher and says what it answers."
            )

    def _publish(self, plan: Plan, notes: list[UnitNote], store: UnitStore) -> Manifest:
        if not self._is_news(plan, notes):
            return roll_forward(self.paths, self.fs)
        spool = plan.spool
        bad_lines, now = spool.bad_lines(self.fs), plan.fingerprint
        stones = Tombstones.load(self.paths, self.fs)
        manifest = publish(
            *(self.paths, self.recipe, now, spool.inputs, spool.ledger, bad_lines, store, notes, self.fs),
            stones=stones,
            gone=stones.gone(spool.keys_of),
        )
        for shelf, in_use in ((self.paths.units, store.directory.name), (self.paths.spool, spool.directory.name)):
            for name in self.fs.names(shelf):
                if name != in_use:
                    self.fs.remove_tree(shelf / name)
        return manifest

    def show(self, progress: Progress) -> None:
        """Pass progress on, and write status.json, about four times a second."""
        progress = self.meter.read(progress)
        self.watch.progress(progress)
        self._status(progress)

    def _status(self, progress: Progress) -> None:
        self.last = progress
        told = {"state": self.state, "pid": os.getpid(), "samples": self.samples, **progress.to_json()}
        self.fs.replace(self.paths.status, json.dumps(told, indent=1).encode(), durable=False)


def refuse_nothing(spool: Spool, fs: Fs) -> None:
    """Raises RecipeError if no input line is a prompt: most likely the field map names the wrong columns."""
    if spool.prompts:
        return
    names = ", ".join(repr(source["name"]) for source in spool.inputs)
    first = next(iter(spool.bad_lines(fs)), None)
    if first is None:
        empty = ", ".join(quoted(f["name"]) for source in spool.inputs for f in source.get("files", [])[:3])
        key = ("prompts", spool.inputs[0]["name"], "path")
        raise RecipeError(f"prompts {names}: the input holds no lines ({empty}); nothing was asked", key)
    counts = ", ".join(f"{n:,} {reason}" for (_, reason), n in spool.ledger.by_reason().items())
    raise RecipeError(
        f"prompts {names}: no input line can be used ({counts}); nothing was asked. "
        f"The first: {one_line(first.where)}: {one_line(first.evidence)}. Do `prompts.fields` name the right columns?",
        ("prompts", first.source, "fields"),
    )


def _report(paths: RunPaths, manifest: Manifest, sent: int, spent: dict[str, Account]) -> BuildReport:
    splits: dict[str, int] = {}
    for entry in manifest.files:
        if "split" in entry:
            splits[entry["split"]] = splits.get(entry["split"], 0) + entry["rows"]
    lost: dict[str, int] = {}
    for line in manifest.content["ledger"]:
        for reason, count in (line["dropped"] | line["failed"]).items():
            name = f"{line['stage']}: {reason}"
            lost[name] = lost.get(name, 0) + count
    taken_down = sum(line["rows"] for line in manifest.content.get("removed", ()) if line["from"][0] == "data")
    if taken_down:
        lost["remove: taken down"] = taken_down
    return BuildReport(paths.root, sum(splits.values()), splits, lost, sent, manifest.number, spent)


def _row_reader(recipe: Recipe) -> RowReader | None:
    if not recipe.has_rows:
        return None
    from tracemill.reading.rows import DatasetRows

    return DatasetRows()
