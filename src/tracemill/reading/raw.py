"""Rows as they stand in a file, whatever their columns: for benchmarks and other people's source sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tracemill.errors import DataError
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
    try:
        for batch in _batches(piece, columns):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise DataError(f"{shard.name}: {exc}") from exc


def _batches(piece: Piece, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    if piece.shard.kind == "parquet":
        with pq.ParquetFile(piece.shard.path, page_checksum_verification=True, pre_buffer=False) as file:
            there = [name for name in columns if name in file.schema_arrow.names] if columns else None
            groups = list(range(piece.first, piece.last))
            yield from file.iter_batches(batch_size=512, row_groups=groups, columns=there, use_threads=False)
        return
    from tracemill.reading.arrow_files import held_batches

    with pa.memory_map(str(piece.shard.path)) as raw:
        for batch in held_batches(raw):
            for start in range(0, batch.num_rows, 512):
                yield batch.slice(start, 512)
