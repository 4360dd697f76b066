"""Write the dataset of a finished plan: its splits, what was rejected and what failed, the card, and the manifest.

Units are merged in key order, a batch at a time, so memory does not grow with the rows and the bytes depend on them alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

import tracemill
from tracemill import identity
from tracemill.columns import table_of
from tracemill.layouts import layout_schema, to_layout
from tracemill.ledger import Ledger
from tracemill.publish.attribution import ORIGIN, Origins, write_attribution
from tracemill.publish.card import COLUMNS, CardFacts, Usage, write_card
from tracemill.recipe import Recipe
from tracemill.record import BadLine, Sample
from tracemill.schema import FAILED_SCHEMA, REJECTED_SCHEMA, SCHEMA, from_table, to_row
from tracemill.storage.fs import REAL, Fs, crash_point
from tracemill.storage.layout import RunPaths
from tracemill.storage.manifest import Manifest, commit, keep
from tracemill.storage.parquet import ParquetFile, Part, read_batches
from tracemill.storage.tombstones import Gone, Tombstones
from tracemill.storage.units import UnitNote, UnitStore

NO_STONES, NOTHING = Tombstones({}), Gone()
WHY = {"rejected": ("stage", "reason"), "failed": ("error_class",)}
"""Columns that tell why a row is in `rejected/` or `failed/`."""


MOST_OPEN = 32
"""Splits that are written at once."""
MOST_KINDS, OTHER = 2000, "(other)"
"""Kinds of rows that card and attribution tell apart. Foreign rows may each name another model; memory must not grow with
them."""


def _add_kinds(counted: Counter[Any], table: pa.Table, columns: tuple[str, ...]) -> None:
    """Count rows by some columns; where there are too many kinds, as of other models, licences and sources."""
    for kind, rows in Counter(zip(*(table.column(n).to_pylist() for n in columns), strict=True)).items():
        known = kind in counted or len(counted) < MOST_KINDS
        told = zip(columns, kind, strict=True)
        free = (value if name in ("category", "language", "reasoning") else OTHER for name, value in told)
        counted[kind if known else tuple(free)] += rows


@dataclass
class Counts:
    """What card and attribution count, over the rows that are published."""

    READ: ClassVar = (*COLUMNS, "source", "usage", "uuid", "prompt_key", "parent_uuid")
    """All that is read of a row to count it, but for `WHY`."""

    rows: Counter[tuple[str, str, str, str, str, str]] = field(default_factory=Counter)
    """By (category, language, generator, reasoning, license, source_license)."""
    usage: dict[str, Usage] = field(default_factory=dict)
    """By generator: tokens of the replies that rows were made of, the rejected ones too."""
    origins: Origins = field(default_factory=Counter)
    """Kept rows by where they come from."""
    removed: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Rows that were taken down, by directory and then split, or what is in `WHY`."""

    def add(self, kind: str, table: pa.Table, gone: Gone) -> None:
        """Count rows of one kind ("kept", "rejected", "failed")."""
        table = self.without(kind, table, gone)
        if kind == "kept":
            _add_kinds(self.rows, table, COLUMNS)
            _add_kinds(self.origins, table, ORIGIN)
        if kind != "failed":
            self._add_usage(table, kept=kind == "kept")

    def without(self, kind: str, table: pa.Table, gone: Gone) -> pa.Table:
        """The rows that stay; the others are counted as removed."""
        stay = gone.mask(table)
        if stay is None:
            return table
        lost = table.filter(pc.invert(stay))
        names = ("category", "language") if kind == "kept" else WHY[kind]
        for told in zip(*(lost.column(name).to_pylist() for name in names), strict=True):
            self.removed[("data", split_of(*told)) if kind == "kept" else (kind, *told)] += 1
        return table.filter(stay)

    def _add_usage(self, table: pa.Table, *, kept: bool) -> None:
        """Count what the replies of some rows took; all that the rows say of it."""
        told = table.select(["generator", "usage"]).flatten()
        names, prompts, completions = (column.to_pylist() for column in told.columns)
        for name in sorted(set(names)):
            rows = [i for i, other in enumerate(names) if other == name]
            known = [i for i in rows if completions[i] is not None]
            called = name if name in self.usage or len(self.usage) < MOST_KINDS else OTHER
            self.usage[called] = self.usage.get(called, Usage()).plus(
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
        self._seen = 0

    def write(self, table: pa.Table, stay: pa.ChunkedArray | None = None) -> None:
        """Add the rows of a table that stay. Where a shard ends depends on all of them, so that taking a row down
        changes its own shard alone.
        """
        left = table if stay is None else table.filter(stay)
        if left.num_rows:
            if self._file is None:
                aside = self.paths.objects / f".{self.name}-{len(self.parts):05d}.parquet"
                self._file = ParquetFile(aside, self.schema, self.recipe.publish.row_group_rows, self.fs)
            self._file.write(left)
        self._seen += table.nbytes
        if self._seen >= self.recipe.publish.shard_bytes:
            self.finish()

    def finish(self) -> None:
        self._seen = 0
        if self._file is not None:
            self.parts.append(self._file.finish())
            self._file = None

    def entries(self, directory: str, **more: Any) -> Iterator[dict[str, Any]]:
        for number, part in enumerate(self.parts):
            yield keep(self.paths, part, public_name(directory, self.name, number, len(self.parts)), self.fs, **more)


def public_name(directory: str, name: str, number: int, count: int) -> str:
    """The path of one shard of `count`."""
    return f"{directory}/{name}-{number:05d}-of-{count:05d}.parquet"


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
    *,
    stones: Tombstones = NO_STONES,
    gone: Gone = NOTHING,
) -> Manifest:
    """Merge committed units into the dataset and commit it.

    Args:
        fingerprint: Of the plan that the units belong to.
        gathered: Counts of the input, before any unit.
        notes: All units of the plan, in key order.
        gone: The rows that `stones` mean, which are left out.
    """
    fs.mkdir(paths.objects)
    counts = Counts()
    ledger = whole_ledger(gathered, notes)
    splits = _kept(paths, recipe, units, notes, counts, gone, fs)
    rejected = _Split(paths, "rejected", REJECTED_SCHEMA, recipe, fs)
    for table in bad_tables(bad_lines, recipe):
        rejected.write(counts.without("rejected", table, gone))
    for table in unit_tables(units, notes, "rejected"):
        counts.add("rejected", table, gone)
        rejected.write(table, gone.mask(table))
    failed = _Split(paths, "failed", FAILED_SCHEMA, recipe, fs)
    for table in unit_tables(units, notes, "failed"):
        counts.add("failed", table, gone)
        failed.write(table, gone.mask(table))
    rejected.finish()
    failed.finish()
    crash_point("publish.written")
    files = [entry for name in sorted(splits) for entry in splits[name].entries("data", split=name)]
    files += [*rejected.entries("rejected"), *failed.entries("failed")]
    named = publication(recipe, fingerprint, notes, stones)
    return commit_dataset(paths, recipe, fingerprint, named, list(inputs), counts, ledger, files, fs)


def _kept(
    paths: RunPaths, recipe: Recipe, units: UnitStore, notes: list[UnitNote], counts: Counts, gone: Gone, fs: Fs
) -> dict[str, _Split]:
    """The rows that are kept, written by split. Each open file holds a row group in memory, and there may be a split for
    each of many languages: so at most `MOST_OPEN` are written in one walk through the units.
    """
    done: dict[str, _Split] = {}
    left = True
    while left:
        counting, left = not done, False
        now: dict[str, _Split] = {}
        for table in unit_tables(units, notes, "kept"):
            if counting:
                counts.add("kept", table, gone)
            for name, rows in _by_split(table):
                if name in done:
                    continue
                if name not in now and len(now) == MOST_OPEN:
                    left = True
                    continue
                split = now.setdefault(name, _Split(paths, name, _schema(recipe), recipe, fs))
                split.write(_in_layout(rows, recipe), gone.mask(rows))
        for split in now.values():
            split.finish()
        done |= now
    return done


def whole_ledger(gathered: Ledger, notes: Iterable[UnitNote]) -> Ledger:
    """What input and units counted together. Raises TracemillError if it does not add up."""
    ledger = Ledger()
    ledger.add(gathered)
    for note in notes:
        ledger.add(Ledger.from_lines(note.ledger))
    ledger.close()
    return ledger


def commit_dataset(
    paths: RunPaths,
    recipe: Recipe,
    fingerprint: str,
    named: str,
    inputs: list[dict[str, Any]],
    counts: Counts,
    ledger: Ledger,
    files: list[dict[str, Any]],
    fs: Fs = REAL,
) -> Manifest:
    """Make `files`, which are among the objects, the dataset, with its card and attribution.

    Args:
        named: What `publication` gives.
    """
    facts = CardFacts(recipe, inputs, counts.rows, ledger, files, counts.usage, counts.removed.total())
    content = {
        "dataset": {"name": recipe.name, "version": recipe.version, "license": recipe.license},
        "plan": fingerprint,
        "publication": named,
        "tracemill": tracemill.__version__,
        "inputs": inputs,
        "files": files,
        "ledger": list(ledger.lines()),
        "removed": [{"from": list(place), "rows": rows} for place, rows in sorted(counts.removed.items())],
        "card": write_card(facts),
        "attribution": write_attribution(recipe.name, recipe.license, counts.origins, inputs),
    }
    return commit(paths, content, fs)


def publication(recipe: Recipe, fingerprint: str, notes: list[UnitNote], stones: Tombstones = NO_STONES) -> str:
    """Hex; equal publications have equal files, card included. The notes tell failed rows that have come in since."""
    about = recipe.model_dump(
        mode="json", include={"name", "version", "license", "description", "contact", "citation", "publish"}
    )
    sources = [source.model_dump(mode="json", exclude={"path", "rows"}) for source in recipe.prompts]
    told = [fingerprint, about, sources, [[note.ledger, note.files] for note in notes]]
    prices = {name: teacher.price.model_dump() for name, teacher in recipe.teachers.items() if teacher.price}
    told += [prices] if prices else []
    return identity.digest([*told, {"gone": stones.identity}] if stones.identity else told)


def unit_tables(
    units: UnitStore, notes: list[UnitNote], kind: str, columns: list[str] | None = None
) -> Iterator[pa.Table]:
    """The rows of one kind, some at a time."""
    for note in notes:
        path = units.path(note, kind)
        if path is not None:
            yield from (pa.Table.from_batches([batch]) for batch in read_batches(path, columns))


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
        return table.select(SCHEMA.names)  # a unit may hold columns of its own
    rows = [to_layout(sample, layout) for sample in from_table(table)]
    if layout == "v3":
        # v3's own files are JSON lines, where each row's tools and metadata have their own shape: text in Parquet.
        for row in rows:
            row |= {name: identity.canonical(row[name]).decode() for name in ("tools", "metadata")}
    return table_of(rows, layout_schema(layout))


def bad_tables(bad_lines: Iterable[BadLine], recipe: Recipe) -> Iterator[pa.Table]:
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
