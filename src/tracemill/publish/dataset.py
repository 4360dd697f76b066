"""Write the dataset of a finished plan: its splits, what was rejected and what failed, the card, and the manifest.

Units are merged in key order, a batch at a time, so memory does not grow with the rows and the bytes depend on them alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

import tracemill
from tracemill import identity
from tracemill.columns import table_of
from tracemill.layouts import layout_schema, to_layout
from tracemill.ledger import Ledger
from tracemill.publish.card import CardFacts, Usage, write_card
from tracemill.recipe import Recipe
from tracemill.record import BadLine, Sample
from tracemill.schema import FAILED_SCHEMA, REJECTED_SCHEMA, SCHEMA, from_table, to_row
from tracemill.storage.fs import REAL, Fs, crash_point
from tracemill.storage.layout import RunPaths
from tracemill.storage.manifest import Manifest, commit, keep
from tracemill.storage.parquet import ParquetFile, Part, read_batches
from tracemill.storage.units import UnitNote, UnitStore


@dataclass
class Counts:
    """What the card counts, over kept rows."""

    rows: Counter[tuple[str, str, str, str, str, str]] = field(default_factory=Counter)
    """By (category, language, generator, reasoning, license, source_license)."""
    usage: dict[str, Usage] = field(default_factory=dict)
    """By generator: tokens of the replies that rows were made of, the rejected ones too."""

    def add(self, table: pa.Table) -> None:
        names = ("category", "language", "generator", "reasoning", "license", "source_license")
        self.rows.update(zip(*(table.column(n).to_pylist() for n in names), strict=True))
        self.add_usage(table, kept=True)

    def add_usage(self, table: pa.Table, *, kept: bool) -> None:
        """Count what the replies of some rows took; all that the rows say of it."""
        told = table.select(["generator", "usage"]).flatten()
        names, prompts, completions = (column.to_pylist() for column in told.columns)
        for name in sorted(set(names)):
            rows = [i for i, other in enumerate(names) if other == name]
            known = [i for i in rows if completions[i] is not None]
            self.usage[name] = self.usage.get(name, Usage()).plus(
                len(rows) if kept else 0,
                len(known),
                len(rows),
                sum(prompts[i] or 0 for i in rows),
                sum(completions[i] for i in known),
            )


class _Split:
    """One split, shard after shard."""

    def __init__(self, paths: RunPaths, name: str, schema: pa.Schema, recipe: Recipe, fs: Fs) -> None:
        self.paths, self.name, self.schema, self.recipe, self.fs = paths, name, schema, recipe, fs
        self.parts: list[Part] = []
        self._file: ParquetFile | None = None

    def write(self, table: pa.Table) -> None:
        if self._file is None:
            aside = self.paths.objects / f".{self.name}-{len(self.parts):05d}.parquet"
            self._file = ParquetFile(aside, self.schema, self.recipe.publish.row_group_rows, self.fs)
        self._file.write(table)
        if self._file.uncompressed >= self.recipe.publish.shard_bytes:
            self.finish()

    def finish(self) -> None:
        if self._file is not None:
            self.parts.append(self._file.finish())
            self._file = None

    def entries(self, directory: str, **more: Any) -> Iterator[dict[str, Any]]:
        for number, part in enumerate(self.parts):
            public = f"{directory}/{self.name}-{number:05d}-of-{len(self.parts):05d}.parquet"
            yield keep(self.paths, part, public, self.fs, **more)


def split_of(category: str, language: str) -> str:
    """The split of a row, as in v1 and v2: its category; rows that are not English go to multilingual_<language>.

    The language is spelled as a split and a file name can be on any system: "pt-BR" is multilingual_pt_br.
    """
    spelled = "".join(c if c in "abcdefghijklmnopqrstuvwxyz0123456789" else "_" for c in language.lower())
    return category if language == "en" else f"multilingual_{spelled}"


def publish(
    paths: RunPaths,
    recipe: Recipe,
    fingerprint: str,
    inputs: Iterable[dict[str, Any]],
    gathered: Ledger,
    bad_lines: Iterable[BadLine],
    units: UnitStore,
    notes: list[UnitNote],
    fs: Fs = REAL,
) -> Manifest:
    """Merge committed units into the dataset and commit it.

    Args:
        fingerprint: Of the plan that the units belong to.
        gathered: Counts of the input, before any unit.
        notes: All units of the plan, in key order.
    """
    fs.mkdir(paths.objects)
    counts, ledger = Counts(), Ledger()
    ledger.add(gathered)
    for note in notes:
        ledger.add(Ledger.from_lines(note.ledger))
    ledger.close()
    splits: dict[str, _Split] = {}
    for table in _tables(units, notes, "kept"):
        counts.add(table)
        for name, rows in _by_split(table):
            if name not in splits:
                splits[name] = _Split(paths, name, _schema(recipe), recipe, fs)
            splits[name].write(_in_layout(rows, recipe))
    rejected = _Split(paths, "rejected", REJECTED_SCHEMA, recipe, fs)
    for batch in _bad_tables(bad_lines, recipe):
        rejected.write(batch)
    for table in _tables(units, notes, "rejected"):
        counts.add_usage(table, kept=False)
        rejected.write(table)
    failed = _Split(paths, "failed", FAILED_SCHEMA, recipe, fs)
    for table in _tables(units, notes, "failed"):
        failed.write(table)
    for split in (*splits.values(), rejected, failed):
        split.finish()
    crash_point("publish.written")
    files = [entry for name in sorted(splits) for entry in splits[name].entries("data", split=name)]
    files += [*rejected.entries("rejected"), *failed.entries("failed")]
    facts = CardFacts(recipe, list(inputs), counts.rows, ledger, files, counts.usage)
    content = {
        "dataset": {"name": recipe.name, "version": recipe.version, "license": recipe.license},
        "plan": fingerprint,
        "publication": publication(recipe, fingerprint, notes),
        "tracemill": tracemill.__version__,
        "inputs": list(inputs),
        "files": files,
        "ledger": list(ledger.lines()),
        "card": write_card(facts),
    }
    return commit(paths, content, fs)


def publication(recipe: Recipe, fingerprint: str, notes: list[UnitNote]) -> str:
    """Hex; equal publications have equal files, card included. The notes tell failed rows that have come in since."""
    about = recipe.model_dump(
        mode="json", include={"name", "version", "license", "description", "contact", "citation", "publish"}
    )
    sources = [source.model_dump(mode="json", exclude={"path"}) for source in recipe.prompts]
    told = [fingerprint, about, sources, [[note.ledger, note.files] for note in notes]]
    prices = {name: teacher.price.model_dump() for name, teacher in recipe.teachers.items() if teacher.price}
    return identity.digest([*told, prices] if prices else told)


def _tables(units: UnitStore, notes: list[UnitNote], kind: str) -> Iterator[pa.Table]:
    for note in notes:
        path = units.path(note, kind)
        if path is not None:
            yield pa.Table.from_batches(list(read_batches(path)))


def _by_split(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each split, in order."""
    places = list(zip(table.column("category").to_pylist(), table.column("language").to_pylist(), strict=True))
    if len(set(places)) == 1:
        yield split_of(*places[0]), table
        return
    for name in sorted({split_of(*place) for place in places}):
        yield name, table.take([i for i, place in enumerate(places) if split_of(*place) == name])


def _schema(recipe: Recipe) -> pa.Schema:
    return SCHEMA if recipe.publish.layout == "full" else layout_schema(recipe.publish.layout)


def _in_layout(table: pa.Table, recipe: Recipe) -> pa.Table:
    layout = recipe.publish.layout
    if layout == "full":
        return table
    rows = [to_layout(sample, layout) for sample in from_table(table)]
    if layout == "v3":
        # v3's own files are JSON lines, where each row's tools and metadata have their own shape: text in Parquet.
        for row in rows:
            row |= {name: identity.canonical(row[name]).decode() for name in ("tools", "metadata")}
    return table_of(rows, layout_schema(layout))


def _bad_tables(bad_lines: Iterable[BadLine], recipe: Recipe) -> Iterator[pa.Table]:
    """Input lines that never became prompts, as rejected rows without messages."""
    rows: list[dict[str, Any]] = []
    for bad in bad_lines:
        empty = Sample(
            uuid=identity.input_uuid(bad.source, bad.where),
            category=bad.category,
            reasoning="off",
            messages=(),
            license=recipe.license,
            version=recipe.version,
            language=bad.language,
            domain=bad.category,
            source=bad.source,
            source_id=bad.where,
        )
        rows.append(
            {**to_row(empty), "stage": "gather", "reason": bad.reason, "evidence": f"{bad.where}: {bad.evidence}"}
        )
        if len(rows) == 1000:
            yield table_of(rows, REJECTED_SCHEMA)
            rows = []
    if rows:
        yield table_of(rows, REJECTED_SCHEMA)
