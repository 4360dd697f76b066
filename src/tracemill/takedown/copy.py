"""A dataset that Tracemill did not publish, written anew without some rows: a directory of ours, with a manifest."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
import zstandard

import tracemill
from tracemill import identity
from tracemill.errors import DataError, LossyConversion, UsageError
from tracemill.publish.attribution import Origins, write_attribution
from tracemill.publish.card import escape, table_lines
from tracemill.reading.arrow_files import DAMAGED, held_batches
from tracemill.reading.batch import Batch, Piece
from tracemill.reading.dataset import located
from tracemill.reading.filters import languages_of
from tracemill.reading.flat import to_sample
from tracemill.reading.hub import fetched, is_hub_id
from tracemill.reading.json_lines import byte_lines
from tracemill.reading.pieces import batches, pieces
from tracemill.reading.shards import Shard, refuse_inside
from tracemill.storage.fs import Fs, crash_point
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock
from tracemill.storage.manifest import Manifest, commit, keep, newest, roll_forward
from tracemill.storage.parquet import ParquetFile, Part
from tracemill.storage.tombstones import Kind, Tombstones
from tracemill.takedown.asked import Asked
from tracemill.takedown.report import RemoveReport

LABELS = ("uuid", "license", "generator")
SPOKEN = ("category", "language")
PROMPT = ("messages", "tools", "metadata", "reasoning")
"""Columns that are read besides where prompts are asked for."""


@dataclass
class _Counts:
    kept: Counter[str] = field(default_factory=Counter)
    """Rows by split."""
    removed: Counter[str] = field(default_factory=Counter)
    origins: Origins = field(default_factory=Counter)
    met: set[tuple[str, str]] = field(default_factory=set)


def remove_to(data: str | Path, asked: Asked, out: Path, fs: Fs) -> RemoveReport:
    """Write `data` to `out` without the rows that are asked for. Files that hold none of them keep their bytes, but for
    Arrow, which becomes Parquet. Lines that are no rows are kept.

    Raises:
        UsageError: `out` holds something else, or lies in `data`.
        DataError: A file of `data` is damaged.
    """
    refuse_inside(out, data)
    shards = [fetched(shard) for shard in located(data)]
    sizes = sorted([shard.name, shard.path.stat().st_size, shard.path.stat().st_mtime_ns] for shard in shards)
    named = identity.digest([sorted(asked), sizes])
    paths = RunPaths(out)
    if out.exists() and (not out.is_dir() or (not paths.inner.is_dir() and any(out.iterdir()))):
        raise UsageError(f"--out {out} is not empty; name a new directory")
    with RunLock(paths.lock):
        manifest = newest(paths, fs)
        if manifest is not None:
            if manifest.content.get("publication") != named:
                raise UsageError(f"--out {out} holds another dataset; name a new directory")
            manifest = roll_forward(paths, fs)
            return _report(paths, manifest, Counter(), [])
        Tombstones({}).plus(asked, 1).save(paths, fs)
        fs.mkdir(paths.objects)
        counts, files, touched = _Counts(), list[dict[str, Any]](), list[str]()
        meant = asked | _of_prompts(shards, asked)
        for number, (shard, public) in enumerate(_named(shards)):
            part, lost = _copied(paths, shard, number, meant, counts, fs)
            if lost:
                touched.append(shard.name)
            if part is not None:
                files.append(keep(paths, part, public, fs, split=shard.split))
        crash_point("publish.written")
        name = str(data) if is_hub_id(data) else Path(data).absolute().name
        absent = sorted(value for kind, value in asked if (kind, value) not in counts.met)
        content = _content(name, named, files, counts) | {"absent": absent}
        return _report(paths, commit(paths, content, fs), counts.removed, touched)


def _report(paths: RunPaths, manifest: Manifest, removed: Counter[str], touched: list[str]) -> RemoveReport:
    earlier = sum(line["rows"] for line in manifest.content["removed"]) - removed.total()
    now = {f"data/{split}": rows for split, rows in sorted(removed.items()) if rows}
    absent = tuple(manifest.content["absent"])
    return RemoveReport(paths.root, manifest.number, now, earlier, absent, tuple(touched), len(manifest.files))


def _named(shards: list[Shard]) -> Iterator[tuple[Shard, str]]:
    """Each shard with its path in the new dataset: as it was, with directories in the name."""
    taken: set[str] = set()
    for shard in shards:
        parts = [part for part in Path(shard.name).parts if part not in ("data", ".", "..", "/")]
        name = "-".join(parts)
        if shard.kind == "arrow":  # `save_to_disk` calls every file data-NNNNN, below its split
            name = f"{shard.split}-{Path(shard.name).stem.removeprefix('data-')}.parquet"
        while name in taken:
            name = f"again-{name}"
        taken.add(name)
        yield shard, f"data/{name}"


def _copied(
    paths: RunPaths, shard: Shard, number: int, asked: Asked, counts: _Counts, fs: Fs
) -> tuple[Part | None, int]:
    """(the shard's new file, how many rows it lost); no file where no row is left."""
    rows, gone = 0, list[tuple[Piece, set[int]]]()
    columns = [*LABELS, *SPOKEN, *(PROMPT if any(kind == "prompt_hash" for kind, _ in asked) else ())]
    for piece in pieces(shard):
        found: set[int] = set()
        for batch in batches(piece, columns):
            rows += batch.rows.num_rows
            found |= _met(batch, asked, counts)
        gone.append((piece, found))
    lost = sum(len(found) for _, found in gone)
    counts.kept[shard.split] += rows - lost
    counts.removed[shard.split] += lost
    if lost and lost == rows:
        return None, lost
    aside = paths.objects / f".{number:05d}{'.parquet' if shard.kind == 'arrow' else ''.join(_endings(shard))}"
    if not lost and shard.kind != "arrow":
        return _same(shard, aside, rows, fs), 0
    write = _lines if shard.kind == "jsonl" else _tables
    return write(shard, gone, aside, rows - lost, fs), lost


def _endings(shard: Shard) -> list[str]:
    """What the file's name ends in, such as .jsonl and .gz."""
    endings = shard.path.suffixes
    return endings[-2:] if endings and endings[-1] in (".gz", ".zst") else endings[-1:]


def _of_prompts(shards: list[Shard], asked: Asked) -> Asked:
    """The uuids of the rows of the prompts that are asked for: translations of them, in any file, must go with them."""
    found: set[tuple[Kind, str]] = set()
    if any(kind == "prompt_hash" for kind, _ in asked):
        for piece in (piece for shard in shards for piece in pieces(shard)):
            for batch in batches(piece, ("uuid", *SPOKEN, *PROMPT)):
                for row in batch.rows.to_pylist():
                    if ("prompt_hash", prompt_hash_of(row)) in asked:
                        found.add(("uuid", str(row["uuid"])))
    return frozenset(found)


@lru_cache(maxsize=8)
def _with_translations(asked: Asked, languages: frozenset[str]) -> Asked:
    """With the uuids that our translations of the rows into these languages have."""
    uuids = [value for kind, value in asked if kind == "uuid"]
    return asked | {("uuid", identity.translation_uuid(uuid, language)) for uuid in uuids for language in languages}


def _met(batch: Batch, asked: Asked, counts: _Counts) -> set[int]:
    """Numbers of the rows of a batch that go; the others are counted."""
    spoken = languages_of(batch.rows, batch.shard).unique().to_pylist()
    asked = _with_translations(asked, frozenset(spoken))
    labels = [batch.rows.column(name).to_pylist() for name in LABELS]
    places: list[set[tuple[str, str]]] = [{("uuid", str(uuid))} for uuid in labels[0]]
    if "messages" in batch.rows.schema.names:
        for place, row in zip(places, batch.rows.to_pylist(), strict=True):
            place.add(("prompt_hash", prompt_hash_of(row)))
    found = set()
    for number, place, _, license, generator in zip(batch.numbers, places, *labels, strict=True):
        if met := place & asked:
            found.add(number)
            counts.met |= met
        else:
            counts.origins[batch.shard.split, "", generator or "", license or ""] += 1
    return found


def prompt_hash_of(row: dict[str, Any]) -> str:
    """The prompt hash of a row of `tracemill.open`: of what stands before the first assistant turn, and the tools."""
    try:
        sample = to_sample(row)
    except LossyConversion:
        return ""
    turns = sample.messages
    end = next((at for at, turn in enumerate(turns) if turn.role == "assistant"), len(turns))
    return identity.prompt_hash(turns[:end], sample.tools)


def _same(shard: Shard, aside: Path, rows: int, fs: Fs) -> Part:
    hashed, size = hashlib.sha256(), 0
    with fs.open(shard.path) as source, fs.create(aside) as file:
        while block := source.read(1 << 20):
            hashed.update(block)
            size += file.write(block)
        fs.sync(file, aside)
    return Part(aside, rows, size, hashed.hexdigest())


def _tables(shard: Shard, gone: list[tuple[Piece, set[int]]], aside: Path, rows: int, fs: Fs) -> Part:
    lost = set[int]().union(*(found for _, found in gone))
    file: ParquetFile | None = None
    at = 0
    for batch in _raw_batches(shard):
        file = file or ParquetFile(aside, batch.schema, rows=1000, fs=fs)
        stay = pa.array([at + number not in lost for number in range(batch.num_rows)], pa.bool_())
        file.write(pa.Table.from_batches([batch.filter(stay)]))
        at += batch.num_rows
    assert file is not None, "a shard that loses rows has rows"
    return file.finish()


def _raw_batches(shard: Shard) -> Iterator[pa.RecordBatch]:
    try:
        if shard.kind == "parquet":
            with pq.ParquetFile(shard.path, page_checksum_verification=True, pre_buffer=False) as file:
                yield from file.iter_batches(batch_size=500, use_threads=False)
            return
        with pa.memory_map(str(shard.path)) as raw:
            for batch in held_batches(raw):
                for start in range(0, batch.num_rows, 500):
                    yield batch.slice(start, 500)
    except DAMAGED as exc:
        raise DataError(f"{shard.name}: {exc}; the file is damaged") from exc


def _lines(shard: Shard, gone: list[tuple[Piece, set[int]]], aside: Path, rows: int, fs: Fs) -> Part:
    with fs.create(aside) as file:
        with _packed(file, shard.path.suffix) as lines:
            for piece, lost in gone:
                for place, line in byte_lines(piece):
                    if line is None:
                        raise DataError(f"{shard.name}:{place}: this line is too long to be copied; take it out first")
                    if place not in lost:
                        lines.write(line.rstrip(b"\r\n") + b"\n")
        fs.sync(file, aside)
    return _measured(aside, rows, fs)


@contextmanager
def _packed(file: BinaryIO, ending: str) -> Iterator[BinaryIO]:
    """`file`, compressed as its name says; without a date in it."""
    if ending == ".gz":
        with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
            yield cast(BinaryIO, packed)
    elif ending == ".zst":
        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as packed:
            yield cast(BinaryIO, packed)
    else:
        yield file


def _measured(aside: Path, rows: int, fs: Fs) -> Part:
    from tracemill.storage.parquet import file_sha256

    return Part(aside, rows, aside.stat().st_size, file_sha256(aside, fs))


def _content(name: str, named: str, files: list[dict[str, Any]], counts: _Counts) -> dict[str, Any]:
    splits = {split: rows for split, rows in sorted(counts.kept.items()) if rows}
    licences = ", ".join(sorted({key[3] for key in counts.origins if key[3]})) or "the terms of the original"
    by_split = [
        {"split": split, "path": [entry["path"] for entry in files if entry["split"] == split]} for split in splits
    ]
    front = yaml.safe_dump({"configs": [{"config_name": "default", "data_files": by_split}]}, sort_keys=False)
    card = [
        f"---\n{front.rstrip()}\n---\n",
        f"# {escape(name)}, less {counts.removed.total():,} rows\n",
        "A copy from which rows were taken out. Its licence, and all else that is known of it, is what the original's card"
        " says; ATTRIBUTION.md counts the rows that are left.\n",
        *table_lines(("split", "rows"), list(splits.items())),
    ]
    return {
        "dataset": {"name": name},
        "publication": named,
        "tracemill": tracemill.__version__,
        "files": files,
        "removed": [{"from": ["data", split], "rows": n} for split, n in sorted(counts.removed.items()) if n],
        "card": "\n".join(card),
        "attribution": write_attribution(name, licences, counts.origins, ()),
    }
