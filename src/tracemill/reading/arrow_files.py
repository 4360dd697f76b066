"""Arrow files as `datasets` saves them: `save_to_disk` directories and the caches behind `load_dataset`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow as pa

from tracemill.errors import DataError
from tracemill.reading.batch import BATCH_ROWS, Batch, Piece
from tracemill.reading.columns import unified, wanted


def batches(piece: Piece, columns: Collection[str]) -> Iterator[Batch]:
    """The rows of a file in Arrow's stream or file format, which is mapped and never loaded whole."""
    shard, row = piece.shard, 0
    try:
        with pa.memory_map(str(shard.path)) as raw:
            for whole in held_batches(raw):
                held = whole.select(wanted(whole.schema.names, columns))
                held.validate(full=True)
                for start in range(0, held.num_rows, BATCH_ROWS):
                    part = held.slice(start, BATCH_ROWS)
                    yield Batch(unified(part, columns), shard, range(row, row + part.num_rows))
                    row += part.num_rows
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise DataError(f"{shard.name}, after row {row:,}: {exc}; the file is damaged or no Arrow file") from exc


def held_batches(raw: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """The batches of a file in Arrow's stream or file format."""
    if raw.read(6) == b"ARROW1":
        file = pa.ipc.open_file(raw)
        for number in range(file.num_record_batches):
            yield file.get_batch(number)
        return
    raw.seek(0)
    yield from pa.ipc.open_stream(raw)
