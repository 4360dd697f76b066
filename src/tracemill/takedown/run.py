"""`tracemill.remove`: rows taken down from what was published, for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from tracemill.charter import open_plan
from tracemill.errors import UsageError
from tracemill.plan import Plan
from tracemill.publish.dataset import WHY, Counts, bad_tables, commit_dataset, publication, unit_tables, whole_ledger
from tracemill.reading.hub import is_hub_id
from tracemill.rework.plan import RowsPlan
from tracemill.storage.fs import REAL, Fs, crash_point
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock
from tracemill.storage.manifest import Manifest, newest, roll_forward
from tracemill.storage.tombstones import Gone, Tombstones
from tracemill.storage.units import KINDS, UnitNote, UnitStore
from tracemill.takedown.asked import Asked, read_asked
from tracemill.takedown.copy import remove_to
from tracemill.takedown.report import RemoveReport
from tracemill.takedown.shards import without


def remove(
    data: str | Path,
    *,
    uuids: Iterable[str] = (),
    prompt_hashes: Iterable[str] = (),
    file: str | Path | None = None,
    out: str | Path | None = None,
    fs: Fs = REAL,
) -> RemoveReport:
    """Take rows down: by their uuid, or all rows of a prompt by its hash, those in `rejected/` and `failed/` too.

    Of a run, tombstones stay in it, so that no later build publishes such a row; what holds none of the rows keeps its
    bytes. The rows' replies stay in the run's journal, which is not published. Killed at any moment, the same call goes on;
    called again, it changes nothing.

    Args:
        data: The directory of a run; with `out`, any dataset that `tracemill.open` reads.
        file: A uuid or prompt hash in each line, or JSON objects with one as `uuid` or `prompt_hash`.
        out: For data that Tracemill did not publish: a new directory for the dataset without the rows.
    Raises:
        UsageError: An id is none, nothing is published yet, or a build that has begun must end first.
        Locked: Another process writes the run.
        CorruptRun, DataError: Files are damaged.
    """
    paths = RunPaths(Path(data))
    ours = paths.plan.is_file()
    if ours and out is not None:
        raise UsageError(f"{data} is a run, from which rows are taken in place; leave --out away")
    if ours:
        with RunLock(paths.lock):
            _, plan = open_plan(paths.root, fs)
            others = isinstance(plan, RowsPlan)
            return _from_run(paths, plan, read_asked(uuids, prompt_hashes, file, any_id=others), fs)
    asked = read_asked(uuids, prompt_hashes, file, any_id=True)
    if out is None and is_hub_id(data):
        raise UsageError(
            f"{data} is taken for a dataset on the Hub, since there is no such directory here; nothing is changed there: name a"
            " new directory with --out, and the dataset is written there without these rows"
        )
    if out is None:
        raise UsageError(
            f"{data} is not the directory of a run (it has no .tracemill/plan.json), so it is left as it is; name a new"
            " directory with --out, and the dataset is written there without these rows"
        )
    return remove_to(data, asked, Path(out), fs)


def _from_run(paths: RunPaths, plan: Plan, asked: Asked, fs: Fs) -> RemoveReport:
    if newest(paths, fs) is None:
        raise UsageError(f"{paths.root} has published nothing yet; `tracemill {plan.command}` goes on")
    manifest = roll_forward(paths, fs)
    before = Tombstones.load(paths, fs)
    shown = before.until(manifest.number)
    notes = _current(paths, plan, manifest, shown, fs)
    stones = before.plus(asked, manifest.number + 1)
    if stones.stones != before.stones:
        stones.save(paths, fs)
        crash_point("remove.recorded")
    found = _Found(plan, UnitStore(paths.units / plan.shelf, fs), notes, stones, fs)
    earlier: Counter[tuple[str, ...]] = Counter()
    for line in manifest.content.get("removed", ()):
        earlier[tuple(line["from"])] += line["rows"]
    touched: list[str] = []
    if stones.identity != shown.identity:
        rewritten = without(paths, manifest, found.uuids, plan.recipe.publish.row_group_rows, fs)
        touched = rewritten.touched
        named = publication(plan.recipe, plan.fingerprint, notes, stones)
        ledger = whole_ledger(plan.spool.ledger, notes)
        inputs = list(manifest.content["inputs"])
        of_plan = (paths, plan.recipe, plan.fingerprint, named, inputs)
        manifest = commit_dataset(*of_plan, found.counts, ledger, rewritten.files, fs)
    return RemoveReport(
        paths.root,
        manifest.number,
        {"/".join(place): rows for place, rows in sorted((found.counts.removed - earlier).items())},
        sum(earlier.values()),
        tuple(sorted(value for kind, value in asked if (kind, value) not in found.met)),
        tuple(touched),
        len(manifest.files),
    )


def _current(paths: RunPaths, plan: Plan, manifest: Manifest, stones: Tombstones, fs: Fs) -> list[UnitNote]:
    """The units that the publication was made of. Raises UsageError where the run has gone on since."""
    store = UnitStore(paths.units / plan.shelf, fs)
    notes = plan.notes(store)
    if (
        manifest.content["plan"] != plan.fingerprint
        or len(notes) != len(plan.units)
        or manifest.content.get("publication") != publication(plan.recipe, plan.fingerprint, notes, stones)
    ):
        raise UsageError(
            f"{paths.root}: a run was begun after what is published, and has not come to its end. "
            f"`tracemill {plan.command}` with --out {paths.root} first, then remove"
        )
    return notes


class _Found:
    """All rows of a run, counted, and among them those that the tombstones mean."""

    def __init__(self, plan: Plan, store: UnitStore, notes: list[UnitNote], stones: Tombstones, fs: Fs) -> None:
        self.counts = Counts()
        self.uuids: set[str] = set()
        """Of the rows that go, or went."""
        self.met: set[tuple[str, str]] = set()
        """The tombstones that mean a row."""
        self._hashes: dict[str, str] = {}
        """Prompt hashes that are meant, by prompt key."""
        gone = stones.gone(lambda value: self._keys_of(plan, value, fs))
        for table in bad_tables(plan.spool.bad_lines(fs), plan.recipe):
            self._meet(table, gone)
            self.counts.without("rejected", table, gone)
        for kind in KINDS:
            columns = [*Counts.READ, *WHY.get(kind, ())]
            for table in unit_tables(store, notes, kind, columns):
                self._meet(table, gone)
                self.counts.add(kind, table, gone)

    def _keys_of(self, plan: Plan, value: str, fs: Fs) -> list[str]:
        keys = plan.spool.keys_of(value, fs)
        self._hashes.update(dict.fromkeys(keys, value))
        return keys

    def _meet(self, table: Any, gone: Gone) -> None:
        stay = gone.mask(table)
        if stay is not None:
            lost = table.select(["uuid", "prompt_key"]).filter(pc.invert(stay)).to_pydict()
            self.uuids.update(lost["uuid"])
            self.met.update(("uuid", uuid) for uuid in lost["uuid"])
            self.met.update(("prompt_hash", self._hashes[key]) for key in lost["prompt_key"] if key in self._hashes)
