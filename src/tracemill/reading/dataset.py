"""`tracemill.open`: a dataset as an object that reads nothing until rows are asked for, and then only what is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import pyarrow as pa

from tracemill.errors import UsageError
from tracemill.reading import columns as names
from tracemill.reading.batch import Batch, sized
from tracemill.reading.filters import Filters, Wanted, filters, means_training, pick_splits
from tracemill.reading.pieces import batches, pieces
from tracemill.reading.shards import Shard, find

if TYPE_CHECKING:
    from tracemill.reading.flat import Flat
    from tracemill.record import Sample

Row = dict[str, Any]


def open(  # the article's readers look for a verb they know
    data: str | Path,
    *,
    split: Wanted = None,
    category: Wanted = None,
    language: Wanted = None,
    license: Wanted = None,
    generator: Wanted = None,
    reasoning: Wanted = None,
    revision: str | None = None,
) -> Dataset:
    """Open a dataset: v1, v2, v3, Llama-Nemotron or ours; nothing is read but names and, of Parquet, footers.

    Args:
        data: A directory, a Parquet, JSONL (.gz, .zst) or Arrow file, a glob, a `save_to_disk` directory, or the id of
            a dataset on the Hub (needs the extra `hub`), "owner/name".
        split: Only these splits. "train" is all of them, where none is called so; it leaves out rows whose prompt was
            withheld, until `restore` has put it back.
        category: Only rows of these categories, or translated from them (`domain`).
        language: Only rows in these languages, e.g. "fr"; rows that say nothing are English.
        reasoning: "on" or "off".
        revision: Of a Hub dataset: commit, tag or branch.
    Raises:
        UsageError: There is no such file, split or repository.
        DataError: There is no data in it.
        MissingExtra: A Hub id, and the extra is not installed.
    """
    given = {
        "category": category,
        "language": language,
        "license": license,
        "generator": generator,
        "reasoning": reasoning,
    }
    shards = pick_splits(located(data, revision), split)
    return Dataset(tuple(shards), replace(filters(given), prompted=means_training(split)), str(data))


def located(data: str | Path, revision: str | None = None) -> list[Shard]:
    """The shards of a path, or of a Hub id where no such path is there."""
    from tracemill.reading.hub import hub_shards, is_hub_id

    if is_hub_id(data):
        return hub_shards(str(data), revision)
    if revision is not None:
        raise UsageError(f"revision={revision!r} is for datasets on the Hub; {data} is a path")
    return find(data)


@dataclass(frozen=True)
class Dataset:
    """Rows of some shards that pass some filters. Iterate for rows as dicts, or take `batches`, `flat` or `samples`.

    What cannot be read as a row is skipped and counted in `skipped`. Damage that ends a file is a `DataError`.
    """

    shards: tuple[Shard, ...]
    filters: Filters
    called: str
    """What the user opened."""
    tests: tuple[Callable[[Row], bool], ...] = ()
    skipped: Counter[str] = field(default_factory=Counter, compare=False)
    """Lines that were no rows, by reason, in the latest reading."""

    @property
    def splits(self) -> list[str]:
        """The names of the splits, sorted."""
        return sorted({shard.split for shard in self.shards})

    def __repr__(self) -> str:
        told = "".join(f", {name}={sorted(values)}" for name, values in self.filters.values.items())
        return f"Dataset({self.called!r}, splits={self.splits}, files={len(self.shards)}{told})"

    def __getitem__(self, which: str | SupportsIndex) -> Any:
        """A split by its name, or a row by its number. "train" is all rows where no split is called so, but for those whose
        prompt was withheld.
        """
        if isinstance(which, str):
            shards = tuple(pick_splits(list(self.shards), which))
            chosen = replace(self.filters, prompted=self.filters.prompted or means_training(which))
            return replace(self, shards=shards, filters=chosen, skipped=Counter())
        try:
            number = index(which)  # of numpy's numbers, too
        except TypeError:
            raise UsageError(_not_a_place(which)) from None
        number = number if number >= 0 else len(self) + number
        row = self._row(number) if number >= 0 else None
        if row is None:
            raise IndexError(f"row {which}: {self.called} has {len(self):,} rows here")
        return row

    def __len__(self) -> int:
        """How many rows pass. Parquet without filters tells it at once; else the columns that decide are read."""
        if not self.filters.any and not self.tests and all(shard.kind == "parquet" for shard in self.shards):
            from tracemill.reading.parquet import rows_in

            return sum(rows_in(piece) for shard in self.shards for piece in pieces(shard))
        if self.tests:
            return sum(1 for _ in self)
        return sum(batch.rows.num_rows for batch in self.passed(self.filters.columns or ["uuid"]))

    def __iter__(self) -> Iterator[Row]:
        """Each row as a dict with the columns of `tracemill.reading.columns.SCHEMA`, and its `split`."""
        for batch in self.passed(names.SCHEMA.names):
            for row in batch.rows.to_pylist():
                row["split"] = batch.shard.split
                if all(test(row) for test in self.tests):
                    yield row

    def filter(self, test: Callable[[Row], bool]) -> Dataset:
        """The rows for which `test` is true, decided when they are read."""
        return replace(self, tests=(*self.tests, test), skipped=Counter())

    def batches(self, size: int = 1000) -> Iterator[pa.Table]:
        """Tables of `size` rows; the last one has what is left."""
        schema = names.SCHEMA.append(pa.field("split", pa.string()))
        yield from sized(self._tables(schema), size, schema)

    def samples(self) -> Iterator[Sample]:
        """Each row as a `Sample`.

        Raises:
            LossyConversion: A row that no sample can hold, such as one with an unknown role.
        """
        from tracemill.reading.flat import to_sample

        for row in self:
            yield to_sample(row)

    def flat(self, columns: Sequence[str] | None = None) -> Flat:
        """One line for each row: prompt, response, reasoning_chain, language and so on; see `Flat`."""
        from tracemill.reading.flat import Flat

        return Flat(self, columns)

    def passed(self, columns: Collection[str], turn_fields: Collection[str] = ()) -> Iterator[Batch]:
        """Batches of `columns`, of the rows that pass the filters; `tests` are not asked.

        Columns that only the filters need are read first, and the others where a row passes.
        """
        self.skipped.clear()
        deciding, first = self.filters.columns, replace(self.filters, prompted=False).columns
        all_columns = [*dict.fromkeys([*columns, *deciding])]
        turn_fields = turn_fields if "messages" in columns else ("role", "content")
        for shard in self.shards:
            if not self.filters.shard_may_pass(shard):
                continue
            # Whether a line is a row must not depend on which columns are asked for.
            read = names.SCHEMA.names if shard.kind == "jsonl" else all_columns
            for piece in pieces(shard):
                if first and shard.kind == "parquet" and not self._any_passes(piece, first):
                    continue
                for batch in batches(piece, read, turn_fields):
                    self.skipped.update(bad.reason for bad in batch.bad)
                    kept = self._kept(batch)
                    batch.rows = kept.select(list(columns)) if list(columns) != list(read) else kept
                    if batch.rows.num_rows or batch.bad:
                        yield batch

    def _any_passes(self, piece: Any, deciding: list[str]) -> bool:
        from tracemill.reading.parquet import groups_may_pass

        if not groups_may_pass(piece, self.filters):
            return False
        known = replace(self.filters, prompted=False)
        return any(self._kept(batch, known).num_rows for batch in batches(piece, deciding))

    def _kept(self, batch: Batch, by: Filters | None = None) -> pa.RecordBatch:
        mask = (by or self.filters).mask(batch.rows, batch.shard)
        if mask is None:
            return batch.rows
        numbers = [n for n, kept in zip(batch.numbers, mask.to_pylist(), strict=True) if kept]
        batch.numbers = numbers
        return batch.rows.filter(mask)

    def _row(self, number: int) -> Row | None:
        if not self.filters.any and not self.tests:
            return self._row_of_footers(number)
        return next((row for at, row in enumerate(self) if at == number), None)

    def _row_of_footers(self, number: int) -> Row | None:
        """A row of unfiltered shards; Parquet pieces before it are not read."""
        for shard in self.shards:
            for piece in pieces(shard):
                if shard.kind == "parquet":
                    from tracemill.reading.parquet import rows_in

                    if number >= (count := rows_in(piece)):
                        number -= count
                        continue
                for batch in batches(piece, names.SCHEMA.names):
                    if number < batch.rows.num_rows:
                        row: Row = batch.rows.slice(number, 1).to_pylist()[0]
                        return {**row, "split": shard.split}
                    number -= batch.rows.num_rows
        return None

    def _tables(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        if self.tests:
            held: list[Row] = []
            for row in self:
                held.append(row)
                if len(held) == 256:
                    yield pa.RecordBatch.from_pylist(held, schema=schema)
                    held = []
            yield pa.RecordBatch.from_pylist(held, schema=schema)
            return
        for batch in self.passed(names.SCHEMA.names):
            split = pa.repeat(pa.scalar(batch.shard.split), batch.rows.num_rows)
            yield pa.RecordBatch.from_arrays([*batch.rows.columns, split], schema=schema)


def _not_a_place(which: object) -> str:
    """What is said to somebody who asks for neither a split nor a row, such as for a slice."""
    told = f"[{which.start or 0}:{'' if which.stop is None else which.stop}]" if isinstance(which, slice) else which
    return f"{told}: give the name of a split or the number of a row; batches(1000) gives rows by the thousand"
