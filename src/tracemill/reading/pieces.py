"""Pieces: parts of a shard that can be read without the rest, and the batches in each.

Of Parquet a piece is some row groups, of JSON lines a span of bytes; a compressed or an Arrow file is one piece.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tracemill.reading.batch import Batch, Piece
from tracemill.reading.shards import Shard

PIECE_BYTES = 48_000_000
"""About how many bytes of a file make a piece: a second of work or less."""


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
