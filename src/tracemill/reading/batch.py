"""What is read of a dataset at once: a piece of a shard, and the batches of rows in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from tracemill.errors import UsageError
from tracemill.reading.shards import Shard

BATCH_BYTES = 12_000_000
"""About how many bytes a batch holds, so that what is worked on stays near the processor."""
BATCH_ROWS = 1000


class Piece(NamedTuple):
    """A part of a shard. Of Parquet: row groups first to last; of JSON lines: bytes; else all of it."""

    shard: Shard
    first: int
    last: int
    """One past the end."""
    row: int
    """Number of its first row in the shard, from 0; -1 where nobody knows before reading."""


class BadRow(NamedTuple):
    """A row that cannot be read as one."""

    place: str
    """FILE:LINE, or FILE with what else tells the place."""
    reason: str
    evidence: str


@dataclass(slots=True)
class Batch:
    """Rows that follow one another in a shard, and those between them that could not be read."""

    rows: pa.RecordBatch
    shard: Shard
    numbers: list[int] | range
    """Of each row: its line, from 1, or its number in the shard, from 0."""
    unit: str = "row"
    """What `numbers` count: "row" or "line"."""
    bad: list[BadRow] = field(default_factory=list)
    notes: dict[str, list[int]] = field(default_factory=dict)
    """Rows by what is odd about the form they came in: "messages_as_text", "tools_as_text", "arguments_as_object"."""

    def place(self, row: int) -> str:
        """Where a row of this batch stands, for people."""
        return f"{self.shard.name}:{self.unit} {self.numbers[row]}"


def sized(parts: Iterator[pa.RecordBatch], size: int, schema: pa.Schema) -> Iterator[pa.Table]:
    """`parts` cut anew into tables of `size` rows, the last with what is left. Raises UsageError if size < 1."""
    if size < 1:
        raise UsageError(f"batches({size}): a batch has at least one row")
    held: list[pa.RecordBatch] = []
    rows = 0
    for part in parts:
        begun = 0
        while begun < part.num_rows:
            piece = part.slice(begun, size - rows)
            held.append(piece)
            rows += piece.num_rows
            begun += piece.num_rows
            if rows == size:
                yield pa.Table.from_batches(held, schema=schema)
                held, rows = [], 0
    if rows:
        yield pa.Table.from_batches(held, schema=schema)
