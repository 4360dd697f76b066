"""Datasets as input of a run: each row becomes a prompt that was answered already.

A row of ours is read whole, with all its columns; of any other what `tracemill.open` reads. What no sample can hold, and
what has no answer, becomes a bad line with its place and reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracemill import identity
from tracemill.errors import LossyConversion, RecipeError, TracemillError
from tracemill.legible import one_line
from tracemill.reading import columns as names
from tracemill.reading.batch import Batch
from tracemill.reading.dataset import located
from tracemill.reading.filters import pick_splits
from tracemill.reading.flat import to_sample
from tracemill.reading.hub import fetched
from tracemill.reading.pieces import batches, pieces
from tracemill.reading.raw import raw_rows
from tracemill.reading.shards import Shard
from tracemill.recipe import LANGUAGE, Rows
from tracemill.record import BadLine, Message, Prompt, Sample
from tracemill.schema import SCHEMA, from_row

CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""What a category may look like: a split and its files are named for it."""
NO_CATEGORY = "chat"
"""Of rows that name none and whose split is called by no category either."""
REASONS = frozenset({"unreadable_row", "no_sample", "unknown_category", "unknown_language", "no_answer"})
"""Why a row of a dataset is dropped when it is read."""


class DatasetRows:
    """Reads the rows that a recipe names. An instance of `gather.spool.RowReader`."""

    def files(self, source: Rows) -> list[tuple[str, Path]]:
        """The files of a source, by name. Fetches those of the Hub.

        Raises:
            RecipeError: There are none, or none that can be read.
        """
        return [(shard.name, shard.path) for shard in self._shards(source)]

    def read(self, source: Rows) -> Iterator[Prompt | BadLine]:
        """Each row, in order."""
        for shard in self._shards(source):
            yield from _ours(source, shard) if _is_ours(shard) else _theirs(source, shard)

    def _shards(self, source: Rows) -> list[Shard]:
        try:
            return [fetched(shard) for shard in pick_splits(located(source.rows), list(source.split) or None)]
        except TracemillError as exc:
            if exc.exit_code == 5:
                raise
            raise RecipeError(f"prompts {source.name!r}: {exc}", ("prompts", source.name, "rows")) from exc


def _is_ours(shard: Shard) -> bool:
    if shard.kind != "parquet":
        return False
    import pyarrow.parquet as pq

    with pq.ParquetFile(shard.path) as file:
        return set(SCHEMA.names) <= set(file.schema_arrow.names)


def _ours(source: Rows, shard: Shard) -> Iterator[Prompt | BadLine]:
    number = 0
    for piece in pieces(shard):
        for row in raw_rows(piece):
            number += 1
            yield prompt_of(source, shard, f"{shard.name}:row {number}", row, from_row)


def _theirs(source: Rows, shard: Shard) -> Iterator[Prompt | BadLine]:
    for piece in pieces(shard):
        for batch in batches(piece, names.SCHEMA.names):
            yield from _in_batch(source, shard, batch)


def _in_batch(source: Rows, shard: Shard, batch: Batch) -> Iterator[Prompt | BadLine]:
    for bad in batch.bad:
        yield BadLine(source.name, bad.place, NO_CATEGORY, "en", "unreadable_row", f"{bad.reason}: {bad.evidence}")
    for at, row in enumerate(batch.rows.to_pylist()):
        row["split"] = shard.split
        yield prompt_of(source, shard, batch.place(at), row, to_sample)


def prompt_of(source: Rows, shard: Shard, where: str, row: Mapping[str, Any], read: Any) -> Prompt | BadLine:
    """A row as the prompt that it answers."""
    try:
        sample: Sample = read(row)
    except (LossyConversion, KeyError, TypeError) as exc:
        return BadLine(source.name, where, NO_CATEGORY, "en", "no_sample", one_line(str(exc), 200))
    named = sample.category or (shard.split if shard.split != "train" else NO_CATEGORY)
    wrong = None
    if not CATEGORY.fullmatch(named):
        wrong = "unknown_category", named
    elif not LANGUAGE.fullmatch(sample.language):
        wrong = "unknown_language", sample.language
    elif not sample.messages or sample.messages[-1].role != "assistant":
        last = sample.messages[-1].role if sample.messages else "none"
        wrong = "no_answer", f"the last message is of role {last}"
    if wrong is not None:
        category = named if CATEGORY.fullmatch(named) else NO_CATEGORY
        return BadLine(source.name, where, category, "en", wrong[0], one_line(wrong[1], 200))
    return _answered(source, where, replace(sample, category=named))


def _answered(source: Rows, where: str, sample: Sample) -> Prompt:
    """The prompt of a finished row: its turns up to the last answer. What the row does not say of itself is filled in."""
    asked = tuple(Message(m.role, m.content) for m in sample.messages[:-1])
    hashed = identity.prompt_hash(asked, sample.tools)
    given = replace(
        sample,
        uuid=sample.uuid or identity.input_uuid(source.name, where),
        domain=sample.domain or sample.category,
        license=sample.license or source.license,
        source=sample.source or source.name,
        source_id=sample.source_id or where,
        source_license=sample.source_license or sample.license or source.license,
        prompt_key=sample.prompt_key or identity.digest(["prompt_key", hashed, 0]),
    )
    return Prompt(
        category=given.category,
        messages=asked,
        expected=given.expected,
        language=given.language,
        tools=given.tools,
        source=given.source,
        source_id=given.source_id,
        source_license=given.source_license,
        given=given,
    )
