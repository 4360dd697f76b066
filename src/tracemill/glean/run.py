"""The by-products of a finished run, as a dataset of their own. Nothing is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracemill import identity
from tracemill.charter import open_plan
from tracemill.columns import table_of
from tracemill.errors import DiskError, UsageError
from tracemill.gather.spool import Unit
from tracemill.glean import preferences, prompts
from tracemill.glean.card import card
from tracemill.glean.samples import Of, add_rows
from tracemill.plan import Plan
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import RunPaths
from tracemill.storage.parquet import ParquetFile, read_batches
from tracemill.storage.tombstones import Gone, Tombstones
from tracemill.storage.units import UnitNote, UnitStore

KINDS: Mapping[str, pa.Schema] = {
    "preference": preferences.SCHEMA,
    "preference_tools": preferences.TOOLS_SCHEMA,
    "prompts": prompts.SCHEMA,
}
"""What is written, each a directory of the dataset and a config of its card."""


@dataclass
class GleanReport:
    """What was found."""

    out: Path
    rows: dict[str, int] = field(default_factory=dict)
    """By kind."""
    by_category: dict[str, dict[str, int]] = field(default_factory=dict)
    """By kind, then category."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"out": str(self.out), "rows": self.rows, "by_category": self.by_category}

    def to_text(self) -> str:
        """For a person."""
        lines = [f"{self.out}: {sum(self.rows.values()):,} rows"]
        for kind, of in self.by_category.items():
            told = ", ".join(f"{category} {count:,}" for category, count in sorted(of.items()))
            lines.append(f"  {kind:<17} {self.rows[kind]:>8,}  {told}")
        return "\n".join(lines)


def glean(run: str | Path, out: str | Path, *, most: int | None = None, fs: Fs = REAL) -> GleanReport:
    """Write the by-products of the run in `run` to `out`: pairs of a right and a wrong answer to one prompt, and prompts
    with their check and pass rate.

    Args:
        out: A new directory; it appears when it is whole.
        most: Pairs of one prompt and mode, at most. None: as many as there are, each answer in one of them.
    Raises:
        UsageError: there is no finished run that asked teachers, nothing is found in it, or `out` is there already.
        DiskError: the disk is full or refuses; nothing is left in `out`.
    """
    out = Path(out)
    if out.exists():
        raise UsageError(f"--out {out} is there already; name a new directory")
    if most is not None and most < 1:
        raise UsageError(f"--pairs must be at least 1, it is {most}")
    paths, plan = open_plan(run)
    if plan.recipe.has_rows:
        raise UsageError(f"{paths.root} worked on finished rows: nobody was asked for several answers to one prompt")
    store = UnitStore(paths.units / plan.shelf)
    notes = {note.unit: note for note in plan.notes(store)}
    if missing := [unit.name for unit in plan.units if unit.name not in notes]:
        raise UsageError(
            f"{paths.root} is not finished: {len(missing)} of {len(plan.units)} units are left; `tracemill build` goes on"
        )
    aside = out.with_name(f".{out.name}.tmp")
    if aside.exists():
        fs.remove_tree(aside)
    try:
        report = _write(aside, plan, paths, store, notes, most, fs)
        report.out = out
        fs.rename(aside, out)
        fs.sync_dir(out.absolute().parent)
    except BaseException:
        with suppress(DiskError, OSError):
            fs.remove_tree(aside)
        raise
    return report


def _write(
    aside: Path,
    plan: Plan,
    paths: RunPaths,
    store: UnitStore,
    notes: Mapping[str, UnitNote],
    most: int | None,
    fs: Fs,
) -> GleanReport:
    gone = Tombstones.load(paths, fs).gone(plan.spool.keys_of)
    fs.mkdir(aside)
    files: dict[str, ParquetFile] = {}
    counts: Counter[tuple[str, str]] = Counter()
    licenses: Counter[tuple[str, str]] = Counter()
    for unit in plan.units:
        rows: dict[str, list[dict[str, Any]]] = {}
        for kind, row in _of_unit(plan, unit, _samples(store, notes[unit.name], gone), most):
            rows.setdefault(kind, []).append(row)
            counts[kind, row["category"]] += 1
            licenses[row["source"], row["source_license"]] += 1
        for kind, some in rows.items():
            if kind not in files:
                fs.mkdir(aside / kind)
                files[kind] = ParquetFile(aside / kind / "train-00000-of-00001.parquet", KINDS[kind], fs=fs)
            files[kind].write(table_of(some, KINDS[kind]))
    kinds = [kind for kind in KINDS if kind in files]
    if not kinds:
        raise UsageError(
            f"{paths.root} has no by-products: no prompt has a right and a wrong answer, or an answer that a rule can verify"
        )
    report = GleanReport(aside)
    for kind in kinds:
        report.rows[kind] = files[kind].finish().rows
        report.by_category[kind] = {category: n for (of, category), n in sorted(counts.items()) if of == kind}
    fs.replace(aside / "README.md", card(plan.recipe, report.by_category, licenses).encode())
    return report


def _samples(store: UnitStore, note: UnitNote, gone: Gone) -> Of:
    """The answered samples of a unit, but for those that were taken down."""
    found: Of = {}
    for kind in ("kept", "rejected"):
        path = store.path(note, kind)
        for batch in read_batches(path) if path is not None else ():
            stay = gone.mask(batch)
            add_rows(found, (batch if stay is None else batch.filter(stay)).to_pylist())
    return found


def _of_unit(plan: Plan, unit: Unit, found: Of, most: int | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The by-products of a unit, each with its kind, prompt after prompt in key order."""
    for prompt in plan.spool.read(unit):
        of_modes = found.get(identity.prompt_key(prompt))
        if of_modes is None:
            continue
        for _, samples in sorted(of_modes.items()):
            for row in preferences.pairs(samples, most):
                with_tools = row["tools"] is not None
                yield "preference_tools" if with_tools else "preference", row
        row_of_prompt = prompts.prompt_row(prompt, next(plan.questions.of(prompt)).unanswered, of_modes)
        if row_of_prompt is not None:
            yield "prompts", row_of_prompt
