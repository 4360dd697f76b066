"""Parquet shards: only the columns and row groups that are wanted, in bounded memory, with the place of any damage."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracemill.errors import DataError
from tracemill.legible import one_line
from tracemill.reading.batch import BATCH_BYTES, BATCH_ROWS, BadRow, Batch, Piece
from tracemill.reading.columns import SCHEMA, unified, wanted, without_conversation
from tracemill.reading.filters import Filters
from tracemill.reading.shards import Shard

BUFFER = 1 << 20
"""Bytes read ahead of each column: a row group of any size is then read page by page."""
STATISTICS = ("license", "generator", "reasoning")
"""Columns whose statistics may exclude a row group; category and language may be told by another column, or the split."""
FAILURES = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)


def pieces(shard: Shard, size: int) -> Iterator[Piece]:
    """Runs of row groups of about `size` bytes as they lie on the disk."""
    # pyarrow ends the process over some damage in what a footer says of columns, unless it is read with the data:
    # so only what it says of row groups is asked, here and below.
    footer = metadata(shard)
    sizes = [footer.row_group(group).total_byte_size for group in range(footer.num_row_groups)]
    packed = shard.path.stat().st_size / max(sum(sizes), 1)
    first, held, row, next_row = 0, 0.0, 0, 0
    for group, told in enumerate(sizes):
        held += told * packed
        next_row += footer.row_group(group).num_rows
        if held >= size or group == len(sizes) - 1:
            yield Piece(shard, first, group + 1, row)
            first, held, row = group + 1, 0.0, next_row


def metadata(shard: Shard) -> Any:
    """The footer of a file. Raises DataError if it cannot be read."""
    try:
        return _footer(shard.path, shard.path.stat().st_mtime_ns)
    except FAILURES as exc:
        raise DataError(f"{shard.name}: {_why_no_footer(shard.path, exc)}") from exc


@lru_cache(maxsize=64)
def _footer(path: Path, changed: int) -> Any:
    return pq.read_metadata(path)


def _why_no_footer(path: Path, exc: Exception) -> str:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(64)
            file.seek(max(0, size - 4))
            tail = file.read(4)
    except OSError as refused:
        return f"the file cannot be read: {refused.strerror or refused}"
    if head.startswith(b"version https://git-lfs"):
        return "this is a pointer of Git LFS, not the data; fetch the file itself"
    if head[:4] == b"PAR1" and tail != b"PAR1":
        return f"the file ends at byte {size:,} without its footer: it was cut short; fetch it again"
    if head[:4] != b"PAR1":
        return f"this is no Parquet file: {f'it begins with {head[:8]!r}' if head else 'it is empty'}"
    return f"the footer cannot be read ({exc}): the file is damaged; fetch it again"


def batches(piece: Piece, columns: Collection[str], turn_fields: Collection[str]) -> Iterator[Batch]:
    """The rows of some row groups; see `pieces.batches`."""
    shard, footer = piece.shard, metadata(piece.shard)
    schema = _schema(footer, shard)
    names = wanted(schema.names, columns)
    leaves = [leaf for name in names for leaf in _leaves(schema, name, turn_fields)]
    if "messages" in columns and not wanted(schema.names, ["messages"]):
        raise DataError(f"{shard.name}: {without_conversation(schema.names)}")
    most = _batch_rows(shard, footer, tuple(leaves))
    row = piece.row
    with _file(shard, footer) as file:
        for group in range(piece.first, piece.last):
            begun = row
            # One group at a time, so that an error can name it; in batches alike, since each has a price of its own.
            rows = max(footer.row_group(group).num_rows, 1)
            batch_rows = -(-rows // -(-rows // most))
            found = file.iter_batches(batch_size=batch_rows, row_groups=[group], columns=leaves, use_threads=False)
            while True:
                with _placed(shard, group, row - begun):
                    held = next(found, None)
                    if held is None:
                        break
                    made = _unified(held, columns, names)
                    count = made.rows.num_rows + len(made.bad)
                    if row - begun + count > footer.row_group(group).num_rows:
                        raise ValueError("the group holds more rows than the footer says")
                yield _placed_batch(made, shard, row)
                row += count
            if row - begun != footer.row_group(group).num_rows:
                raise DataError(
                    f"{shard.name}, row group {group}: it holds {row - begun:,} rows, and the footer says"
                    f" {footer.row_group(group).num_rows:,}; the file is damaged"
                )


def _batch_rows(shard: Shard, footer: Any, leaves: tuple[str, ...]) -> int:
    """How many rows make a batch of at most about `BATCH_BYTES`."""
    count = max(footer.num_rows, 1)
    told = sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups)) // count
    seen = _row_bytes(shard.path, shard.path.stat().st_mtime_ns, leaves)
    return int(max(8, min(BATCH_ROWS, BATCH_BYTES // max(told, seen, 1))))


@lru_cache(maxsize=64)
def _row_bytes(path: Path, changed: int, leaves: tuple[str, ...]) -> int:
    """Bytes of one of the first rows, decoded: what the footer says leaves out how often texts repeat."""
    try:
        with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
            first = next(file.iter_batches(batch_size=8, columns=list(leaves), use_threads=False), None)
    except FAILURES:
        return 0  # damage is told where rows are read
    return int(first.nbytes // max(first.num_rows, 1)) if first is not None else 0


class _Unified(NamedTuple):
    rows: pa.RecordBatch
    numbers: list[int] | None
    """Of the batch's rows, those that are left; None where all are."""
    bad: list[tuple[int, str, str]]
    """(row of the batch, reason, evidence) of the others."""
    as_text: bool


def _unified(held: pa.RecordBatch, columns: Collection[str], names: list[str]) -> _Unified:
    made = unified(held, columns) if names else _nothing(held.num_rows, columns)
    bad: list[tuple[int, str, str]] = []
    as_text = "messages" in names and pa.types.is_string(held.schema.field("messages").type)
    if as_text:
        lost = pc.and_(made.column("messages").is_null(), held.column("messages").is_valid())
        texts = held.column("messages")
        bad = [(i, "messages_wrong_type", str(texts[i])) for i, gone in enumerate(lost.to_pylist()) if gone]
    try:
        made.validate(full=True)
    except pa.ArrowInvalid as exc:
        made.validate()  # what is not only bad text is damage
        bad += [(i, "bad_utf8", str(exc)) for i in range(made.num_rows) if not _readable(made.slice(i, 1))]
    if not bad:
        return _Unified(made, None, [], as_text)
    left = sorted(set(range(made.num_rows)) - {i for i, _, _ in bad})
    return _Unified(made.take(pa.array(left, pa.int64())), left, bad, as_text)


def _nothing(rows: int, columns: Collection[str]) -> pa.RecordBatch:
    """Rows of nulls: the file has none of the columns."""
    fields = [SCHEMA.field(name) for name in columns]
    return pa.RecordBatch.from_arrays([pa.nulls(rows, field.type) for field in fields], schema=pa.schema(fields))


def _readable(row: pa.RecordBatch) -> bool:
    try:
        row.to_pylist()
    except UnicodeDecodeError:
        return False
    return True


def _placed_batch(made: _Unified, shard: Shard, row: int) -> Batch:
    count = made.rows.num_rows
    numbers = range(row, row + count) if made.numbers is None else [row + i for i in made.numbers]
    bad = [BadRow(f"{shard.name}:row {row + i}", reason, one_line(evidence, 120)) for i, reason, evidence in made.bad]
    return Batch(
        made.rows, shard, numbers, "row", bad, {"messages_as_text": list(range(count))} if made.as_text else {}
    )


def _schema(footer: Any, shard: Shard) -> pa.Schema:
    try:
        return footer.schema.to_arrow_schema()
    except FAILURES as exc:
        raise DataError(f"{shard.name}: its schema cannot be read: {exc}") from exc


def _leaves(schema: pa.Schema, name: str, turn_fields: Collection[str]) -> list[str]:
    """The column, or those fields of the messages in it that are wanted."""
    kind = schema.field(name).type
    if name != "messages" or not turn_fields or not pa.types.is_list(kind) or not pa.types.is_struct(kind.value_type):
        return [name]
    inner = kind.value_field.name
    return [f"{name}.list.{inner}.{f.name}" for f in kind.value_type if f.name in turn_fields] or [name]


@contextmanager
def _file(shard: Shard, footer: Any) -> Iterator[Any]:
    try:
        file = pq.ParquetFile(
            shard.path, metadata=footer, page_checksum_verification=True, buffer_size=BUFFER, pre_buffer=False
        )
    except FAILURES as exc:
        raise DataError(f"{shard.name}: {_why_no_footer(shard.path, exc)}") from exc
    with file:
        yield file


@contextmanager
def _placed(shard: Shard, group: int, row: int) -> Iterator[None]:
    """Say of whatever goes wrong in which file, row group and row, and near which byte of the file."""
    try:
        yield
    except FAILURES as exc:
        told = str(exc).splitlines()[0][:300] if str(exc) else type(exc).__name__
        where = f"{shard.name}, row group {group} ({_last_bytes(shard.path, group)}), after its row {row:,}"
        raise DataError(f"{where}: {told}") from exc


class _Watched(io.RawIOBase):
    """A file that remembers what was read last."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.last = (0, 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = 0) -> int:
        return self.file.seek(place, whence)

    def tell(self) -> int:
        return self.file.tell()

    def readinto(self, buffer: Any) -> int:
        begin = self.file.tell()
        count = self.file.readinto(buffer)
        self.last = (begin, begin + count)
        return count

    def close(self) -> None:
        self.file.close()
        super().close()


def _last_bytes(path: Path, group: int) -> str:
    """The bytes that were read last before a row group could not be read on."""
    with suppress(*FAILURES), _Watched(path) as watched:
        with (
            suppress(*FAILURES),
            pq.ParquetFile(
                pa.PythonFile(watched, mode="r"), page_checksum_verification=True, buffer_size=4096, pre_buffer=False
            ) as file,
        ):
            for _ in file.iter_batches(batch_size=64, row_groups=[group], use_threads=False):
                pass
        return "bytes {:,} to {:,}".format(*watched.last)
    return "no byte of it can be read"


def rows_in(piece: Piece) -> int:
    """How many rows the footer says that a piece has."""
    footer = metadata(piece.shard)
    rows: int = sum(footer.row_group(group).num_rows for group in range(piece.first, piece.last))
    return rows


def groups_may_pass(piece: Piece, filters: Filters) -> bool:
    """Whether some row group of a piece can hold rows that pass, as far as statistics tell."""
    import pyarrow.dataset as ds  # takes long to load, and only filters need it
    from pyarrow.fs import LocalFileSystem

    known = {name for name in filters.values if name in _schema(metadata(piece.shard), piece.shard).names}
    tests = [ds.field(name).isin(sorted(filters.values[name])) for name in STATISTICS if name in known]
    if not tests:
        return True
    wanted_rows = tests[0]
    for test in tests[1:]:
        wanted_rows &= test
    try:
        fragment = ds.ParquetFileFormat().make_fragment(str(piece.shard.path), LocalFileSystem())
        left = fragment.subset(filter=wanted_rows, schema=fragment.physical_schema).row_groups
    except FAILURES:
        return True  # damage is told where rows are read
    return any(piece.first <= group.id < piece.last for group in left)
