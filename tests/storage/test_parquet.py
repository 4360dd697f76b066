"""Parquet files: equal rows give equal bytes, groups have the size that was asked for, and damage is found."""

from __future__ import annotations

import hashlib
import io
import os
import random
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.errors import CorruptRun, DiskError
from tracemill.schema import SCHEMA, to_table
from tracemill.storage import parquet
from tracemill.storage.fs import Fs
from tracemill.storage.parquet import ParquetFile, Part, damage, file_sha256, read_batches, write_rows
from tracemill.testing.samples import samples

ROWS = pa.table(
    {
        "id": pa.array(range(5000), pa.int64()),
        "text": [None if n % 7 == 3 else f"row {n} " * (n % 40) for n in range(5000)],
        "messages": [[{"role": "user", "content": f"{n}"}] * (n % 4) for n in range(5000)],
    }
)


def write(path: Path, pieces: list[pa.Table], rows: int = 1000, fs: Fs | None = None) -> Part:
    with ParquetFile(path, pieces[0].schema, rows, fs or Fs()) as file:
        for piece in pieces:
            file.write(piece)
        return file.finish()


def cut_at(table: pa.Table, places: list[int]) -> list[pa.Table]:
    edges = [0, *sorted(places), table.num_rows]
    return [table.slice(start, end - start) for start, end in pairwise(edges)]


def groups(path: Path) -> list[int]:
    told = pq.read_metadata(path)
    return [told.row_group(n).num_rows for n in range(told.num_row_groups)]


@settings(max_examples=40, deadline=None)
@given(places=st.lists(st.integers(0, 5000), max_size=12))
def test_equal_rows_give_equal_bytes_however_the_batches_are_cut(tmp_path_factory, places):
    folder = tmp_path_factory.mktemp("cut")
    whole = write(folder / "whole.parquet", [ROWS])
    pieces = write(folder / "pieces.parquet", cut_at(ROWS, places))
    assert pieces.sha256 == whole.sha256


@settings(max_examples=25, deadline=None)
@given(batch=st.lists(samples(), min_size=1, max_size=6), places=st.lists(st.integers(0, 6), max_size=4))
def test_samples_give_equal_bytes_however_the_batches_are_cut(tmp_path_factory, batch, places):
    folder = tmp_path_factory.mktemp("cut")
    table = to_table(batch)
    whole = write(folder / "whole.parquet", [table], rows=2)
    pieces = write(folder / "pieces.parquet", cut_at(table, [min(p, len(batch)) for p in places]), rows=2)
    assert pieces.sha256 == whole.sha256
    assert pq.read_table(folder / "pieces.parquet").equals(table)


@pytest.mark.parametrize("rows", [1000, 1500, 4000, 5000, 9000])
def test_row_groups_have_the_size_that_was_asked_for(tmp_path, rows):
    write(tmp_path / "a.parquet", cut_at(ROWS, [1, 2, 999, 3000]), rows=rows)
    full, rest = divmod(5000, rows)
    assert groups(tmp_path / "a.parquet") == [rows] * full + [rest] * (rest > 0)


def test_a_group_too_large_in_bytes_is_halved_whatever_the_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 100_000)
    whole = write(tmp_path / "whole.parquet", [ROWS], rows=4000)
    pieces = write(tmp_path / "pieces.parquet", cut_at(ROWS, list(range(0, 5000, 37))), rows=4000)
    assert pieces.sha256 == whole.sha256
    assert len(groups(whole.path)) > 2
    assert pq.read_table(whole.path).equals(ROWS)


def test_a_file_without_rows_keeps_its_columns(tmp_path):
    part = write(tmp_path / "a.parquet", [SCHEMA.empty_table()])
    assert part.rows == 0
    assert pq.read_schema(part.path).names == SCHEMA.names
    assert damage(part.path, 0) is None


def test_pages_are_packed_indexed_and_summed(tmp_path):
    part = write(tmp_path / "a.parquet", [ROWS])
    column = pq.read_metadata(part.path).row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.has_column_index
    assert column.has_offset_index


def test_what_is_told_of_a_file_is_true(tmp_path):
    part = write(tmp_path / "a.parquet", [ROWS])
    data = part.path.read_bytes()
    assert (part.rows, part.bytes, part.sha256) == (5000, len(data), hashlib.sha256(data).hexdigest())
    assert file_sha256(part.path) == part.sha256
    assert sum(batch.num_rows for batch in read_batches(part.path)) == 5000


def test_small_files_are_written_at_once(tmp_path):
    schema = pa.schema([pa.field("a", pa.int64()), pa.field("b", pa.string())])
    part = write_rows(tmp_path / "a.parquet", schema, [{"a": 1, "b": "x"}, {"a": 2}])
    assert pq.read_table(part.path).to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def data_pages(path: Path) -> list[tuple[int, int]]:
    """Where the columns' pages lie: all of the file that holds rows."""
    told = pq.read_metadata(path)
    columns = [told.row_group(g).column(c) for g in range(told.num_row_groups) for c in range(told.num_columns)]
    starts = [c.dictionary_page_offset or c.data_page_offset for c in columns]
    return [(start, start + c.total_compressed_size) for start, c in zip(starts, columns, strict=True)]


def test_a_flipped_bit_among_the_rows_is_found_or_changes_none(tmp_path):
    part = write(tmp_path / "a.parquet", [ROWS])
    data = part.path.read_bytes()
    draw = random.Random(11)
    pages = data_pages(part.path)
    found = 0
    for _ in range(150):
        start, end = draw.choice(pages)
        hurt = bytearray(data)
        hurt[draw.randrange(start, end)] ^= 1 << draw.randrange(8)
        part.path.write_bytes(hurt)
        if damage(part.path, part.rows) is None:  # a bit of a page's header that no reader looks at
            assert pq.read_table(part.path).equals(ROWS)
        else:
            found += 1
        assert file_sha256(part.path) != part.sha256
    assert found > 130


def test_a_flipped_bit_anywhere_never_raises(tmp_path):
    part = write(tmp_path / "a.parquet", [ROWS.slice(0, 200)])
    data = part.path.read_bytes()
    draw = random.Random(12)
    for place in [*draw.sample(range(len(data)), 100), *draw.sample(range(len(data) - 1500, len(data)), 200)]:
        hurt = bytearray(data)
        hurt[place] ^= 1 << draw.randrange(8)
        part.path.write_bytes(hurt)
        assert isinstance(damage(part.path, part.rows), str | None)


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.9999])
def test_a_file_cut_short_is_found(tmp_path, share):
    part = write(tmp_path / "a.parquet", [ROWS])
    os.truncate(part.path, int(part.bytes * share))
    assert damage(part.path, part.rows)


def test_a_file_with_another_number_of_rows_is_found(tmp_path):
    part = write(tmp_path / "a.parquet", [ROWS])
    assert damage(part.path, 4999) == "it holds 5000 rows instead of 4999"


def test_a_file_that_is_gone_is_found(tmp_path):
    assert damage(tmp_path / "gone.parquet", 1)


class Lying(io.BufferedWriter):
    """Writes something else than it was given, once."""

    told = False

    def write(self, data: object) -> int:
        view = bytearray(memoryview(data))  # type: ignore[arg-type]
        if len(view) > 1000 and not self.told:
            self.told = True
            view[len(view) // 2] ^= 1
        return super().write(view)


class LyingDisk(Fs):
    def create(self, path: Path) -> io.BufferedWriter:
        return Lying(io.FileIO(path, "wb"))


def test_a_file_that_the_disk_garbled_is_found_when_it_is_finished(tmp_path):
    with pytest.raises(CorruptRun, match="cannot be read back"):
        write(tmp_path / "a.parquet", [ROWS], fs=LyingDisk())


class FullFile(io.FileIO):
    """Takes a thousand bytes and then no more."""

    room = 1000

    def write(self, data: object) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        self.room -= size
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return super().write(data)  # type: ignore[arg-type]


class FullDisk(Fs):
    def create(self, path: Path) -> io.FileIO:
        return FullFile(path, "wb")


def test_a_full_disk_is_told_as_one(tmp_path):
    with pytest.raises(DiskError, match=r"the disk is full at .*a\.parquet"):
        write(tmp_path / "a.parquet", [ROWS], fs=FullDisk())


def test_an_error_on_the_way_closes_the_file_and_is_the_one_that_is_told(tmp_path):
    opened = []

    def fail() -> None:
        with ParquetFile(tmp_path / "a.parquet", ROWS.schema) as file:
            opened.append(file._file)
            file.write(ROWS)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert opened[0].closed
