"""What is wrong with a dataset's files, before any row is read: damage, strangers, columns that do not fit together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from tracemill.errors import DataError
from tracemill.inspect.tally import Tally
from tracemill.legible import how_many, one_line
from tracemill.reading.shards import Shard
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.parquet import file_sha256

LISTS = ("manifest.json", "restored.json")
"""What lists a dataset's files with their hashes: of a run, and of what `restore` wrote."""


def check_files(shards: Sequence[Shard], tally: Tally, every: bool = False, fs: Fs = REAL) -> None:
    """Findings about files and about the dataset as a whole.

    Args:
        every: All splits are looked at, so that one whose files are all gone is missed.
    """
    splits = {shard.split for shard in shards}
    if "train" not in splits:
        there = f"there are {', '.join(sorted(splits)[:12])}"
        tally.found("no_train_split", shards[0].split, 1, [(-1, 0, "", "", one_line(there, 200))])
    multilingual = any(split.startswith("multilingual_") for split in splits)
    for shard in shards:
        if not shard.declared:
            _add(tally, "file_stray", [shard], "in no split of the card")
        elif shard.split == "multilingual" and multilingual:
            _add(tally, "file_stray", [shard], "a split without a language, beside those with one")
    _schemas(shards, tally)
    _manifest(shards, tally, every, fs)


def _add(tally: Tally, check: str, shards: Iterable[Shard], evidence: str) -> None:
    for shard in shards:
        tally.found(check, shard.split, 1, [(-1, 0, "", shard.name, one_line(evidence, 200))])


def _schemas(shards: Sequence[Shard], tally: Tally) -> None:
    found: list[tuple[Shard, pa.Schema]] = [
        (shard, schema) for shard in shards if (schema := _schema_of(shard)) is not None
    ]
    if len(found) < 2:
        return
    types: dict[str, Counter[str]] = defaultdict(Counter)
    for _, schema in found:
        for field in schema:
            types[field.name][_spelled(field)] += 1
    with_calls = [shard for shard, schema in found if _has_calls(schema)]
    without = [shard for shard, schema in found if _has_calls(schema) is False]
    if with_calls and without:
        fewer = min(with_calls, without, key=len)
        told = f"with tool_calls as in v1: {how_many(len(with_calls), 'shard')}; without, as in v2: {len(without)}"
        _add(tally, "versions_mixed", fewer[:1], told)
    for shard, schema in found:
        for check, columns in _strange(schema, types, len(found)).items():
            _add(tally, check, [shard], "; ".join(columns))


def _strange(schema: pa.Schema, types: Mapping[str, Counter[str]], shards: int) -> dict[str, list[str]]:
    """What of a file's columns most others do not have, by check."""
    names, told = set(schema.names), defaultdict[str, list[str]](list)
    for name, counts in types.items():
        there = counts.total()
        if name not in names:
            if there * 2 > shards:
                told["column_missing"].append(f"{name}, which {there} of {shards} shards have")
            continue
        if there * 2 <= shards:
            told["column_extra"].append(f"{name}, which {there} of {shards} shards have")
        own, (usual, count) = _spelled(schema.field(name)), counts.most_common(1)[0]
        if own != usual and counts[own] <= count:
            told["types_differ"].append(f"{name} is {own} here, and {usual} in {how_many(count, 'shard')}")
    return told


def _schema_of(shard: Shard) -> pa.Schema | None:
    if shard.remote is not None:
        return None
    try:
        if shard.kind == "parquet":
            from tracemill.reading.parquet import metadata

            return metadata(shard).schema.to_arrow_schema()
        if shard.kind == "arrow":
            with pa.memory_map(str(shard.path)) as raw:
                return pa.ipc.open_stream(raw).schema
    except (DataError, pa.ArrowException, OSError):
        return None  # damage is told where the rows are read
    return None


def _spelled(field: pa.Field) -> str:
    """A type as people know it. What only v1's and v2's messages differ in, and how text is stored, is left out."""
    kind = field.type
    if pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return "string"
    if field.name == "messages" and pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        inner = {f.name: f.type for f in kind.value_type if f.name != "tool_calls"}
        return "list of " + ", ".join(f"{name}: {inner[name]}" for name in sorted(inner))
    return str(kind)


def _has_calls(schema: pa.Schema) -> bool | None:
    if "messages" not in schema.names:
        return None
    kind = schema.field("messages").type
    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
        return None
    return "tool_calls" in {field.name for field in kind.value_type}


def _manifest(shards: Sequence[Shard], tally: Tally, every: bool, fs: Fs) -> None:
    """Compare files with the manifest of the run that they belong to, or the record of `restore`, where there is one."""
    by_root: dict[Path, dict[str, dict[str, Any]] | None] = {}
    for shard in shards:
        if shard.remote is not None:
            continue
        place = shard.path.absolute()
        for root in list(place.parents)[:2]:
            if root not in by_root:
                by_root[root], problem = _listed(root, fs)
                if problem:
                    _add(tally, "file_differs", [shard], problem)
            name = place.relative_to(root).as_posix()
            entry = (by_root[root] or {}).get(name)
            if by_root[root] is not None and entry is None and name.startswith("data/"):
                _add(tally, "file_differs", [shard], "the list of files beside it does not name it")
            if entry is not None and (differs := _differs(place, entry, fs)):
                _add(tally, "file_differs", [shard], differs)
    seen = {shard.path.absolute() for shard in shards}
    splits = {shard.split for shard in shards}
    for root, entries in by_root.items():
        for name, entry in (entries or {}).items():
            if name.startswith("data/") and root / name not in seen and not (root / name).exists():
                split = str(entry.get("split", ""))
                if every or split in splits:
                    tally.found(
                        "file_differs", split, 1, [(-1, 0, "", name, "the list of files names it; it is not there")]
                    )


def _listed(root: Path, fs: Fs) -> tuple[dict[str, dict[str, Any]] | None, str]:
    """(the manifest's entries by path, what is wrong with it); (None, "") where there is none."""
    for name in LISTS:
        try:
            told = orjson.loads(fs.read(root / name))
            if name != LISTS[0] and "files" not in told:
                return None, ""  # as versions before wrote it
            return {str(entry["path"]): entry for entry in told["files"]}, ""
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
            return None, f"{name} beside it cannot be read: {exc}"
    return None, ""


def _differs(path: Path, entry: dict[str, Any], fs: Fs) -> str | None:
    size = path.stat().st_size
    if size != entry.get("bytes"):
        return f"it has {size:,} bytes, the list of files says {entry.get('bytes')}"
    if file_sha256(path, fs) != entry.get("sha256"):
        return "it has not the sha256 that the list of files says"
    return None
