"""Arrow files as `datasets` saves them: `save_to_disk` directories and the caches behind `load_dataset`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import pyarrow as pa

from tracemill.errors import DataError
from tracemill.reading.batch import BATCH_ROWS, Batch, Piece
from tracemill.reading.columns import unified, wanted

DAMAGED = (pa.ArrowException, OSError, ValueError, LookupError, MemoryError, OverflowError)
"""What reading a damaged file raises."""


def batches(piece: Piece, columns: Collection[str]) -> Iterator[Batch]:
    """The rows of a file in Arrow's stream or file format, which is mapped and never loaded whole."""
    shard, row = piece.shard, 0
    try:
        with pa.memory_map(str(shard.path)) as raw:
            for held in held_batches(raw, lambda names: wanted(names, columns)):
                for start in range(0, held.num_rows, BATCH_ROWS):
                    part = held.slice(start, BATCH_ROWS)
                    yield Batch(unified(part, columns), shard, range(row, row + part.num_rows))
                    row += part.num_rows
    except DAMAGED as exc:
        raise DataError(f"{shard.name}, after row {row:,}: {exc}; the file is damaged or no Arrow file") from exc


def held_batches(
    raw: pa.NativeFile, chosen: Callable[[list[str]], list[str]] | None = None
) -> Iterator[pa.RecordBatch]:
    """The batches of a file in Arrow's stream or file format, each validated: Arrow follows a damaged offset out of its memory.

    Args:
        chosen: Of the names of the columns, those to give, and to validate; all by default.
    Raises:
        DAMAGED: One of them.
    """
    for whole in _unchecked(raw):
        batch = whole if chosen is None else whole.select(chosen(whole.schema.names))
        batch.validate(full=True)
        yield batch


def _unchecked(raw: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    if raw.read(6) == b"ARROW1":
        file = pa.ipc.open_file(raw)
        for number in range(file.num_record_batches):
            yield file.get_batch(number)
        return
    raw.seek(0)
    yield from pa.ipc.open_stream(raw)
