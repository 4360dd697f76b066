"""Pieces: parts of a shard that can be read without the rest, and the batches in each.

Of Parquet a piece is some row groups, of JSON lines a span of bytes; a compressed or an Arrow file is one piece.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from tracemill.reading.shards import Shard

PIECE_BYTES = 48_000_000
"""About how many bytes of a file make a piece: a second of work or less."""
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


def pieces(shard: Shard, size: int = PIECE_BYTES) -> Iterator[Piece]:
    """The pieces of a shard, in order. Fetches a file of the Hub. Raises DataError if it cannot even be opened."""
    from tracemill.reading.hub import fetched

    shard = fetched(shard)
    if shard.kind == "parquet":
        from tracemill.reading import parquet

        yield from parquet.pieces(shard, size)
    elif shard.kind == "jsonl":
        from tracemill.reading import json_lines

        yield from json_lines.pieces(shard, size)
    else:
        yield Piece(shard, 0, 1, 0)


def batches(piece: Piece, columns: Collection[str], turn_fields: Collection[str] = ()) -> Iterator[Batch]:
    """The rows of a piece as batches of `columns` of `columns.SCHEMA`.

    Args:
        turn_fields: The fields of messages that are wanted, where not all of them are; others may be null.
    Raises:
        DataError: The file is damaged here; the text says where.
    """
    if piece.shard.kind == "parquet":
        from tracemill.reading import parquet

        return parquet.batches(piece, columns, turn_fields)
    if piece.shard.kind == "jsonl":
        from tracemill.reading import json_lines

        return json_lines.batches(piece, columns)
    from tracemill.reading import arrow_files

    return arrow_files.batches(piece, columns)
