"""Writing a dataset anew with some prompts put in: Parquet stays Parquet with its columns, JSON lines stay JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tracemill.errors import DataError, UsageError
from tracemill.legible import one_line
from tracemill.reading.batch import Piece
from tracemill.reading.json_lines import byte_lines, unit_of
from tracemill.reading.raw import raw_batches
from tracemill.reading.shards import split_of
from tracemill.reading.withheld import as_text, withheld_rows
from tracemill.restoring.keys import Key, key_of
from tracemill.restoring.placeholders import FIELD, filled, is_for_rl, placeholder_key
from tracemill.storage.fs import Fs
from tracemill.storage.parquet import ParquetFile, file_sha256

Look = Callable[[Key | None], tuple[str | None, str | None]]
"""(text, sha256) of a prompt; None for both where it was not found."""
KEPT, WITHHELD = "data", "withheld"
RECORD, KEYS = "restored.json", "restored-keys.parquet"
TOLD = 5
"""Of lines that are no rows, so many are named."""
TEXT = (pa.string(), pa.large_string())


@dataclass
class Unreadable:
    """Lines of the data that are no rows: they are in nothing that is written."""

    lines: int = 0
    first: list[str] = field(default_factory=list)
    """FILE:line N and why, of the first few."""

    def add(self, place: str, why: str) -> None:
        """One more."""
        self.lines += 1
        if len(self.first) < TOLD:
            self.first.append(f"{place}: {why}")


class Writers:
    """The files of a restored dataset: for each shard one with its rows, and one with those left without a prompt."""

    def __init__(self, scratch: Path, fs: Fs) -> None:
        self.scratch, self.fs = scratch, fs
        self._parquet: dict[tuple[str, str], ParquetFile] = {}
        self._lines: dict[tuple[str, str], BinaryIO] = {}
        self.kept = 0
        self.bad = Unreadable()

    def __enter__(self) -> Writers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._lines.values():
            file.close()
        if kind is not None:
            for parquet in self._parquet.values():
                parquet.__exit__(kind, exc, trace)

    def table(self, where: str, name: str, table: pa.Table) -> None:
        """Rows for the Parquet file `name` in `where`."""
        key = (where, name)
        if key not in self._parquet:
            path = self.scratch / f"{len(self._parquet)}.parquet"
            self._parquet[key] = ParquetFile(path, table.schema, rows=1000, fs=self.fs)
        self._parquet[key].write(table)
        self.kept += table.num_rows if where == KEPT else 0

    def line(self, where: str, name: str, line: bytes) -> None:
        """A row for the file of JSON lines `name` in `where`."""
        key = (where, name)
        if key not in self._lines:
            self._lines[key] = self.fs.create(self.scratch / f"{len(self._lines)}.jsonl")
        self._lines[key].write(line)
        self.kept += where == KEPT

    def finish(self, out: Path) -> int:
        """Give all files their names below `out`. Returns how many rows are in `data`."""
        for (where, name), parquet in self._parquet.items():
            self.fs.mkdir(out / where)
            self.fs.rename(parquet.finish().path, out / where / name)
        for number, ((where, name), file) in enumerate(self._lines.items()):
            self.fs.sync(file, out / where / name)
            file.close()
            self.fs.mkdir(out / where)
            self.fs.rename(self.scratch / f"{number}.jsonl", out / where / name)
        return self.kept


def written_files(place: Path, fs: Fs) -> list[dict[str, Any]]:
    """Each file of the restored dataset, so that damage to it can be seen; in the form of a manifest's entries."""
    held = [place / where / name for where in (KEPT, WITHHELD) for name in sorted(fs.names(place / where))]
    return [
        {"path": path.relative_to(place).as_posix(), "split": split_of(path, place), **measured(path, fs)}
        for path in (*held, place / KEYS)
    ]


def measured(path: Path, fs: Fs) -> dict[str, Any]:
    """Bytes and sha256 of a file."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path, fs)}


def check_there(place: Path, files: list[dict[str, Any]]) -> None:
    """Raise DataError where a file that was written is gone or cut; `validate` compares the hashes too."""
    for told in files:
        path = place / told["path"]
        size = path.stat().st_size if path.is_file() else None
        if size != told["bytes"]:
            seen = "it is not there" if size is None else f"it has {size:,} bytes"
            raise DataError(
                f"{path}: {seen}, and {RECORD} says {told['bytes']:,} bytes; the restored dataset was changed since it was"
                f" written: remove {place} and call again, or name a new directory"
            )


def patched_tables(piece: Piece, look: Look, writers: Writers) -> int:
    """Write a piece of Parquet or Arrow; returns its rows."""
    rows, name = 0, named(piece, ".parquet")
    for batch in raw_batches(piece):
        check_form(batch, piece)
        table, found = _patched(batch, look)
        rows += table.num_rows
        lost = pc.invert(found)
        if found.true_count:
            writers.table(KEPT, name, table.filter(found))
        if lost.true_count:
            writers.table(WITHHELD, name, table.filter(lost))
    return rows


def named(piece: Piece, suffix: str) -> str:
    """What a shard's rows are called in the new dataset: as they were, with the directories in the name."""
    shard = piece.shard
    stem = Path(shard.name).name.partition(".")[0]
    if shard.kind == "arrow":  # `save_to_disk` calls every file data-NNNNN, below its split
        return f"{shard.split}-{stem.removeprefix('data-')}{suffix}"
    above = [part for part in Path(shard.name).parent.parts if part not in ("data", ".")]
    return (
        "-".join([*above, Path(shard.name).name.removesuffix(".gz").removesuffix(".zst").rpartition(".")[0]]) + suffix
    )


def withheld_keys(batch: pa.RecordBatch, piece: Piece) -> Iterator[Key | None]:
    """Where the prompt of each row stands that has none. Raises UsageError: see `check_form`."""
    check_form(batch, piece)
    messages = _from_start(batch.column("messages"))
    for row, _ in withheld_rows(messages):
        yield key_of(as_text(batch.column("metadata")[row])) if "metadata" in batch.schema.names else None


def _from_start(array: pa.Array) -> pa.Array:
    """The array, or a copy of its part where it begins within another."""
    return array if array.offset == 0 else pa.concat_arrays([array])


def check_form(batch: pa.RecordBatch, piece: Piece) -> None:
    """Raise UsageError where rows have no `messages` in v1's and v2's form, or metadata that is no text."""
    names = batch.schema.names
    if "messages" not in names:
        raise _foreign(piece, next((held.schema.names for held in raw_batches(piece)), []))
    kind = batch.schema.field("messages").type
    fields = {f.name: f.type for f in kind.value_type} if pa.types.is_list(kind) and _struct(kind.value_type) else {}
    if fields.get("role") not in TEXT or fields.get("content") not in TEXT:
        raise _foreign(piece, [f"messages as {kind}"])
    if "metadata" in names and batch.schema.field("metadata").type not in (*TEXT, pa.null()):
        raise _foreign(piece, [f"metadata as {batch.schema.field('metadata').type}"])


def _struct(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind))


def _foreign(piece: Piece, there: list[str]) -> UsageError:
    held = one_line(", ".join(there), 200) or "no column"
    return UsageError(
        f"{piece.shard.name}: restore works on rows with `messages` as a list of objects with role and content, and"
        f" `metadata` as text, as v1 and v2 have them; this file holds {held}"
    )


def _patched(batch: pa.RecordBatch, look: Look) -> tuple[pa.Table, pa.BooleanArray]:
    """The batch with what was found put in, and which rows have a prompt now."""
    messages = _from_start(batch.column("messages"))
    metadata = batch.column("metadata") if "metadata" in batch.schema.names else pa.nulls(batch.num_rows, pa.string())
    found = np.ones(batch.num_rows, np.bool_)
    places, texts, rows, notes = [], [], [], []
    for row, message in withheld_rows(messages):
        written = as_text(metadata[row])
        text, hashed = look(key_of(written))
        if text is None:
            found[row] = False
            continue
        places.append(message)
        texts.append(text)
        rows.append(row)
        notes.append(noted(str(written), str(hashed)))
    table = pa.Table.from_batches([batch])
    if places:
        structs = messages.values
        content = _replaced(structs.field("content"), places, texts)
        names = [field.name for field in structs.type]
        fields = [content if name == "content" else structs.field(name) for name in names]
        rebuilt = pa.ListArray.from_arrays(
            messages.offsets, pa.StructArray.from_arrays(fields, fields=list(structs.type))
        )
        table = table.set_column(batch.schema.get_field_index("messages"), batch.schema.field("messages"), rebuilt)
        if "metadata" in batch.schema.names:
            place = batch.schema.get_field_index("metadata")
            table = table.set_column(place, batch.schema.field("metadata"), _replaced(metadata, rows, notes))
    return table, pa.array(found)


def _replaced(array: pa.Array, places: list[int], texts: list[str]) -> pa.Array:
    mask = np.zeros(len(array), np.bool_)
    mask[places] = True
    return pc.replace_with_mask(array, pa.array(mask), pa.array(texts, array.type))


def noted(metadata: str, hashed: str) -> str:
    """Metadata that says what was put in: the sha256 of the prompt, under "restored_sha256"."""
    held = orjson.loads(metadata)
    held["restored_sha256"] = hashed
    return orjson.dumps(held).decode()


def parsed_lines(piece: Piece, bad: Unreadable | None = None) -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """(place, row, line) of each line of a piece that holds an object; others are left out, and counted in `bad`."""
    bad = Unreadable() if bad is None else bad
    unit = unit_of(piece)
    for number, line in byte_lines(piece):
        place = f"{piece.shard.name}:{unit} {number}"
        if line is None:
            bad.add(place, "the line is too long")
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            bad.add(place, f"the line is not JSON: {exc}")
            continue
        if isinstance(row, dict):
            yield place, row, line.rstrip(b"\r\n") + b"\n"
        else:
            bad.add(place, "the line is JSON, but no object")


class Line(NamedTuple):
    """What is known of the prompt of a row that stands in a line."""

    withheld: bool
    key: Key | None = None
    metadata: str = "{}"


def line_of(row: dict[str, Any]) -> Line | None:
    """What is known of a row's prompt; None where the line is no row."""
    if is_for_rl(row):
        return Line(FIELD in row, placeholder_key(row))
    turns = row.get("messages")
    if not isinstance(turns, list):
        return None
    user = _first_user(turns)
    said = user.get("content") if user is not None else "?"
    if user is None or (said is not None and (not isinstance(said, str) or said.strip() not in ("", "-"))):
        return Line(False)
    metadata = row.get("metadata")
    written = metadata if isinstance(metadata, str) else orjson.dumps(metadata or {}).decode()
    return Line(True, key_of(written), written)


def line_rows(piece: Piece, bad: Unreadable) -> Iterator[tuple[Line, dict[str, Any], bytes]]:
    """(what is known of its prompt, row, line) of each row of a piece of JSON lines; all else is counted in `bad`.

    Raises:
        UsageError: There are objects at the beginning of the file, and none of them is a row.
    """
    rows, strange = 0, list[str]()
    for place, row, line in parsed_lines(piece, bad):
        known = line_of(row)
        if known is None:
            strange = strange or sorted(row)
            bad.add(place, "`messages` is no list" if "messages" in row else "it has no `messages`")
            continue
        rows += 1
        yield known, row, line
    if strange and not rows and piece.first == 0:
        raise _foreign(piece, ["messages that are no list" if name == "messages" else name for name in strange])


def _first_user(turns: list[Any]) -> dict[str, Any] | None:
    return next((t for t in turns if isinstance(t, dict) and t.get("role") == "user"), None)


def patched_lines(piece: Piece, look: Look, writers: Writers) -> int:
    """Write a piece of JSON lines; returns its rows. Lines that are no rows are left out, and counted."""
    rows, name = 0, named(piece, ".jsonl")
    for known, row, line in line_rows(piece, writers.bad):
        rows += 1
        if not known.withheld:
            writers.line(KEPT, name, line)
            continue
        text, hashed = look(known.key)
        if text is None or known.key is None:
            writers.line(WITHHELD, name, line)
        else:
            writers.line(KEPT, name, orjson.dumps(_restored(row, known, text, str(hashed))) + b"\n")
    return rows


def _restored(row: dict[str, Any], known: Line, text: str, hashed: str) -> dict[str, Any]:
    if is_for_rl(row) and known.key is not None:
        return filled(row, known.key, text, hashed)
    user = _first_user(row["messages"])
    assert user is not None, "a withheld prompt stands in a user turn"
    user["content"] = text
    after = noted(known.metadata, hashed)
    row["metadata"] = after if isinstance(row.get("metadata"), str) else orjson.loads(after)
    return row
