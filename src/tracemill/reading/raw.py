"""Rows as they stand in a file, whatever their columns: for benchmarks and other people's source sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tracemill.errors import DataError
from tracemill.reading.arrow_files import DAMAGED, held_batches
from tracemill.reading.batch import Piece
from tracemill.reading.json_lines import byte_lines


def raw_rows(piece: Piece, columns: Sequence[str] | None = None, *, holes: bool = False) -> Iterator[dict[str, Any]]:
    """Each row of a piece as a dict; lines that are no JSON objects are left out.

    Args:
        columns: Only these, where the form of the file allows to leave out others.
        holes: An empty row for each line that is none, so that those behind it keep their position.
    Raises:
        DataError: The file is damaged.
    """
    shard = piece.shard
    if shard.kind == "jsonl":
        for _, line in byte_lines(piece):
            try:
                row = orjson.loads(line) if line else None
            except orjson.JSONDecodeError:
                row = None
            if isinstance(row, dict):
                yield row
            elif holes:
                yield {}
        return
    for batch in raw_batches(piece, columns, 512):
        try:
            held = batch.to_pylist()
        except DAMAGED as exc:
            raise DataError(f"{shard.name}: {exc}; the file is damaged") from exc
        yield from held


def raw_batches(piece: Piece, columns: Sequence[str] | None = None, rows: int = 500) -> Iterator[pa.RecordBatch]:
    """The rows of a piece of Parquet or Arrow as they stand there, at most `rows` in a batch.

    Args:
        columns: Of Parquet, only these.
    Raises:
        DataError: The file is damaged.
    """
    found = _batches(piece, columns, rows)
    while True:
        try:
            batch = next(found, None)
        except DAMAGED as exc:
            raise DataError(f"{piece.shard.name}: {exc}; the file is damaged") from exc
        if batch is None:
            return
        yield batch


def _batches(piece: Piece, columns: Sequence[str] | None, rows: int) -> Iterator[pa.RecordBatch]:
    if piece.shard.kind == "parquet":
        with pq.ParquetFile(piece.shard.path, page_checksum_verification=True, pre_buffer=False) as file:
            there = [name for name in columns if name in file.schema_arrow.names] if columns else None
            groups = list(range(piece.first, piece.last))
            yield from file.iter_batches(batch_size=rows, row_groups=groups, columns=there, use_threads=False)
        return
    with pa.memory_map(str(piece.shard.path)) as raw:
        for batch in held_batches(raw):
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)
