"""Parquet files as the Hub and every reader like them, written so that equal rows give equal bytes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tracemill.errors import CorruptRun
from tracemill.storage.fs import REAL, Fs, disk_errors

ROW_GROUP_BYTES = 100_000_000
"""Most uncompressed bytes in a row group: what the Hub's viewer reads at once."""
COMPRESSION_LEVEL = 3

CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
"""Content-defined chunking with the sizes that `datasets` 5 uses, so that the Hub stores unchanged pages once."""


_ONE_ARENA = (-8, 1)
"""glibc's M_ARENA_MAX: without it every thread keeps a heap of its own, and what one frees no other can use."""


def give_memory_back() -> None:
    """For a process of ours: let Arrow use the C library's allocator, which gives memory back between units. It takes a
    quarter off the peak (153 MB in place of 190, 12,000 rows with 1,024 requests in flight).
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library than glibc
            ctypes.CDLL(None).mallopt(*_ONE_ARENA)


@dataclass(frozen=True, slots=True)
class Part:
    """One finished Parquet file."""

    path: Path
    rows: int
    bytes: int
    sha256: str


class ParquetFile:
    """Writes one file in row groups of a fixed number of rows, wherever the batches that come in are cut.

    Args:
        rows: Rows in each group but the last; a group ends earlier when it reaches `ROW_GROUP_BYTES`.
        passing: The file is read once more, by us, and then thrown away: written fast rather than small.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, rows: int = 2000, fs: Fs = REAL, *, passing: bool = False
    ) -> None:
        self.path, self.schema, self.group_rows, self.fs = path, schema, rows, fs
        self.passing = passing
        self.rows = self.uncompressed = 0
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self._file: BinaryIO = fs.create(path)
        manner: dict[str, Any] = {
            "compression": "zstd",
            "compression_level": COMPRESSION_LEVEL,
            "use_content_defined_chunking": CHUNKING,
            "write_page_index": True,
        }
        if passing:
            manner = {"compression": "lz4", "use_dictionary": False, "write_statistics": False}
        self._writer = pq.ParquetWriter(self._file, schema, write_page_checksum=True, **manner)

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with suppress(Exception):  # what is told is the error that brought us here, not that of a half file's end
                self._writer.close()
            with suppress(OSError):
                self._file.close()

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self.rows += table.num_rows
        self.uncompressed += table.nbytes
        start = 0
        while start < table.num_rows:
            piece = table.slice(start, self.group_rows - self._pending_rows)
            start += piece.num_rows
            self._pending.append(piece)
            self._pending_rows += piece.num_rows
            if self._pending_rows == self.group_rows:
                self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        group = pa.concat_tables(self._pending).combine_chunks()
        self._pending, self._pending_rows = [], 0
        with disk_errors(self.path):
            # A group that is too large in bytes is halved until its parts fit: a function of the rows alone.
            self._write_group(group)

    def _write_group(self, group: pa.Table) -> None:
        if group.nbytes > ROW_GROUP_BYTES and group.num_rows > 1:
            half = group.num_rows // 2
            self._write_group(group.slice(0, half).combine_chunks())
            self._write_group(group.slice(half).combine_chunks())
        else:
            self._writer.write_table(group, row_group_size=max(group.num_rows, 1))

    def finish(self) -> Part:
        """Close the file, wait for the disk, and read it back with checksums; one that is passing is read soon anyway."""
        self._flush()
        with disk_errors(self.path):
            self._writer.close()
        self.fs.sync(self._file, self.path)
        self._file.close()
        part = Part(self.path, self.rows, self.path.stat().st_size, file_sha256(self.path, self.fs))
        problem = None if self.passing else damage(self.path, part.rows)
        if problem:
            raise CorruptRun(f"{self.path}: what was just written cannot be read back: {problem}")
        return part


def write_rows(path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]], fs: Fs = REAL) -> Part:
    """Write a small file at once."""
    with ParquetFile(path, schema, fs=fs) as file:
        file.write(pa.Table.from_pylist(list(rows), schema=schema))
        return file.finish()


def file_sha256(path: Path, fs: Fs = REAL) -> str:
    """Hex sha256 of a file."""
    hashed = hashlib.sha256()
    with fs.open(path) as file:
        while block := file.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def damage(path: Path, rows: int) -> str | None:
    """What is wrong with a file that should hold `rows` rows, found by reading every page with its checksum."""
    try:
        found = sum(batch.num_rows for batch in read_batches(path))
    except (pa.ArrowException, OSError) as exc:
        return str(exc)
    return None if found == rows else f"it holds {found} rows instead of {rows}"


def read_batches(path: Path, columns: list[str] | None = None, batch_rows: int = 256) -> Iterator[pa.RecordBatch]:
    """The rows of a file, a batch at a time, with every page checksum verified.

    Small batches and one thread: reading 10 kB rows so takes a third of the processor time (fewer pages of fresh memory).
    """
    with (
        pa.OSFile(os.fsencode(path)) as raw,  # by bytes: pyarrow takes no name that is not UTF-8
        pq.ParquetFile(raw, page_checksum_verification=True, pre_buffer=False) as file,
    ):
        yield from file.iter_batches(batch_size=batch_rows, columns=columns, use_threads=False)
