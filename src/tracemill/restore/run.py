"""`tracemill.restore`: a dataset with its withheld prompts put back, written anew beside the one it was made of."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracemill.errors import UsageError
from tracemill.legible import quoted
from tracemill.reading.dataset import located
from tracemill.reading.filters import Wanted, pick_splits
from tracemill.reading.pieces import batches, pieces
from tracemill.reading.raw import raw_rows
from tracemill.reading.shards import Shard
from tracemill.restore.index import FOUND, STATES, Index
from tracemill.restore.keys import BY_HASH, SOURCES, Key, key_of, text_of
from tracemill.restore.writing import Writers, patched_lines, patched_tables, withheld_rows
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.parquet import file_sha256, write_rows

RECORD = "restored.json"
KEYS = "restored-keys.parquet"
KEYS_SCHEMA = pa.schema([(name, pa.string()) for name in ("source", "key", "state", "sha256")])
COLUMNS = ("messages", "metadata")
SPLIT_NAMES = {"valid": "validation", "val": "validation", "dev": "validation"}


@dataclass(frozen=True)
class RestoreReport:
    """What became of withheld prompts."""

    out: Path
    rows: int
    withheld: dict[str, dict[str, int]]
    """Rows by source and state; source "" is where the metadata does not say."""
    prompts: dict[str, dict[str, int]]
    """Different prompts by source and state."""
    kept: int
    """Rows in `data/`: those with a prompt."""

    @property
    def left_out(self) -> int:
        """Rows in `withheld/`: those whose prompt was not found."""
        return self.rows - self.kept

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "out": str(self.out),
            "rows": self.rows,
            "kept": self.kept,
            "left_out": self.left_out,
            "withheld": self.withheld,
            "prompts": self.prompts,
        }

    def to_text(self) -> str:
        """The report for a terminal."""
        lines = [f"{self.rows:,} rows: {self.kept:,} with a prompt in data/, {self.left_out:,} without in withheld/"]
        for source, states in self.withheld.items():
            told = ", ".join(f"{state} {count:,}" for state, count in states.items())
            lines.append(f"  {source or '(the metadata names no source)':<16} {told}")
        return "\n".join(lines)


def restore(
    data: str | Path,
    sources: Mapping[str, str | Path],
    out: str | Path,
    *,
    split: Wanted = None,
    pins: str | Path | None = None,
    fs: Fs = REAL,
) -> RestoreReport:
    """Put withheld prompts back, from the user's own copies of the sets that they come from.

    Rows that have their prompt, or get it, are written to `out/data`; the others to `out/withheld`, out of the way of
    training. `out/restored.json` records the sources with their sha256, `out/restored-keys.parquet` each prompt's.

    Args:
        sources: Paths by name: taco, apps, code_contests, codeforces, lmsys; under any other name, sets whose questions
            are found by the hash that v3's metadata has.
        pins: A `restored-keys.parquet` of an earlier run: a prompt that now has another hash is not taken.
    Raises:
        UsageError: `out` is not empty, a path is not there, or no source is given.
        DataError: A file is damaged.
    """
    place = Path(out)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{place} is not empty; name a new directory for the restored data")
    if not sources:
        raise UsageError(f"name a source as NAME=PATH; there are {', '.join(SOURCES)}")
    shards = pick_splits(located(data), split)
    given = {name: located(path) for name, path in sources.items()}
    fs.mkdir(place)
    with tempfile.TemporaryDirectory(prefix=".restoring-", dir=place) as scratch:
        index = Index(Path(scratch) / "prompts.sqlite")
        try:
            _want(shards, index)
            if pins is not None:
                _pin(Path(pins), index)
            for name, found in given.items():
                _offer(name, found, index)
            report = _write(shards, index, place, Path(scratch), fs)
            record = [dict(zip(KEYS_SCHEMA.names, line, strict=True)) for line in index.record()]
            write_rows(place / KEYS, KEYS_SCHEMA, record, fs)
        finally:
            index.close()
    told = report.to_json() | {"sources": {name: _files(found, fs) for name, found in given.items()}}
    del told["out"]
    fs.replace(place / RECORD, json.dumps(told, indent=1, sort_keys=True).encode())
    return report


def _want(shards: list[Shard], index: Index) -> None:
    for shard in shards:
        for piece in pieces(shard):
            for batch in batches(piece, COLUMNS):
                metadata = batch.rows.column("metadata")
                rows = withheld_rows(batch.rows.column("messages"))
                keys = (key_of(metadata[row].as_py()) for row, _ in rows)
                index.want(key for key in keys if key is not None)


def _pin(path: Path, index: Index) -> None:
    if not path.is_file():
        raise UsageError(f"pins: {quoted(str(path))} is no file")
    for line in pq.read_table(path, schema=KEYS_SCHEMA).to_pylist():
        if line["state"] == FOUND:
            index.pin(line["source"], line["key"], line["sha256"])


def _offer(name: str, shards: list[Shard], index: Index) -> None:
    """Show all of a source to the index."""
    by_hash = index.wanted(BY_HASH) > 0
    position: Counter[str] = Counter()
    if not by_hash and (name not in SOURCES or not index.wanted(name)):
        return
    for shard in shards:
        for piece in pieces(shard):
            for row in raw_rows(piece):
                key = f"{shard.split}/{position[shard.split]}"
                position[shard.split] += 1
                text = text_of(name, row)
                if text is None:
                    continue
                if name == "lmsys":
                    index.offer(name, str(row.get("conversation_id")), text)
                elif name in SOURCES:
                    index.offer(name, key, text)
                    for short, long in SPLIT_NAMES.items():
                        if shard.split == long:
                            index.offer(name, f"{short}/{position[shard.split] - 1}", text)
                if by_hash:
                    index.offer(BY_HASH, sha256(text.encode(errors="surrogatepass")).hexdigest(), text)


def _write(shards: list[Shard], index: Index, out: Path, scratch: Path, fs: Fs) -> RestoreReport:
    counts: dict[str, Counter[str]] = {}
    rows = 0

    def look(key: Key | None) -> tuple[str | None, str | None]:
        state, text, hashed = index.text(key) if key is not None else ("missing", None, None)
        counts.setdefault(key.source if key is not None else "", Counter())[state] += 1
        return text, hashed

    with Writers(scratch, fs) as writers:
        for shard in shards:
            patch = patched_lines if shard.kind == "jsonl" else patched_tables
            for piece in pieces(shard):
                rows += patch(piece, look, writers)
        kept = writers.finish(out)
    withheld = {
        source: {state: states[state] for state in STATES if states[state]} for source, states in sorted(counts.items())
    }
    prompts = {source: dict(states) for source, states in index.counts().items()}
    return RestoreReport(out, rows, withheld, prompts, kept)


def _files(shards: list[Shard], fs: Fs) -> list[dict[str, Any]]:
    return [
        {"name": shard.name, "bytes": shard.path.stat().st_size, "sha256": file_sha256(shard.path, fs)}
        for shard in shards
        if shard.remote is None
    ]
