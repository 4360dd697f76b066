"""`tracemill.restore`: a dataset with its withheld prompts put back, written anew beside the one it was made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracemill import identity
from tracemill.errors import DiskError, UsageError
from tracemill.legible import how_many, quoted
from tracemill.reading.dataset import located
from tracemill.reading.filters import Wanted, pick_splits
from tracemill.reading.hub import is_hub_id
from tracemill.reading.pieces import pieces
from tracemill.reading.raw import raw_batches, raw_rows
from tracemill.reading.shards import Shard, refuse_inside
from tracemill.restoring import by_uuid
from tracemill.restoring.index import FOUND, STATES, Index
from tracemill.restoring.keys import BY_HASH, QUESTIONS, SOURCES, Key, text_of
from tracemill.restoring.placeholders import SPLITS, question_and_answer
from tracemill.restoring.writing import (
    KEPT,
    KEYS,
    RECORD,
    WITHHELD,
    Unreadable,
    Writers,
    check_there,
    line_rows,
    measured,
    patched_lines,
    patched_tables,
    withheld_keys,
    written_files,
)
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.lock import RunLock
from tracemill.storage.parquet import ParquetFile, read_batches

ASKED = ".restored-from"
"""Beside the record: what was asked for, so that the same call finds its work done."""
SCRATCH = ".restoring"
"""What is not yet done lies in it, and the lock."""
KEYS_SCHEMA = pa.schema([(name, pa.string()) for name in ("source", "key", "state", "sha256")])
COLUMNS = ("messages", "metadata")
RECORD_ROWS = 10_000
TOLD = ("rows", "withheld", "prompts", "kept", "listed", "unreadable", "unreadable_at")
"""Of a report, what its record holds."""
READ = {
    "taco": ("question",),
    "apps": ("question",),
    "code_contests": ("description",),
    "codeforces": ("description", "input_format", "output_format", "examples", "note"),
    "dapo": ("prompt", "reward_model"),
    "skywork": ("prompt", "reward_model"),
    "lmsys": ("conversation_id", "conversation", "messages", *QUESTIONS),
}
"""Columns of a source that are read; of one under a name of your own, those of lmsys."""
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
    listed: bool = False
    """Whether the data was a list of uuids, of which `rows` are different."""
    unreadable: int = 0
    """Lines of the data that are no rows; they are in neither place."""
    unreadable_at: list[str] = field(default_factory=list)
    """Where the first few of them stand, and why they are none."""

    @property
    def left_out(self) -> int:
        """Rows in `withheld/`: those whose prompt was not found."""
        return self.rows - self.kept

    @property
    def ok(self) -> bool:
        """False where a list of uuids could not be put together whole."""
        return not (self.listed and (self.left_out or self.unreadable))

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "out": str(self.out),
            "rows": self.rows,
            "kept": self.kept,
            "left_out": self.left_out,
            "listed": self.listed,
            "withheld": self.withheld,
            "prompts": self.prompts,
            "unreadable": self.unreadable,
            "unreadable_at": self.unreadable_at,
        }

    def to_text(self) -> str:
        """The report for a terminal."""
        lines = [f"{self.rows:,} rows: {self.kept:,} with a prompt in data/, {self.left_out:,} without in withheld/"]
        if self.listed:
            lines = [f"{self.rows:,} rows are listed: {self.kept:,} found in data/, {self.left_out:,} not found"]
        for source, states in self.withheld.items():
            told = ", ".join(f"{state} {count:,}" for state, count in states.items())
            lines.append(f"  {source or '(the metadata names no source)':<16} {told}")
        if self.unreadable:
            lines.append(f"left out: {how_many(self.unreadable, 'line')} of the data that cannot be read as a row")
            lines += [f"  {place}" for place in self.unreadable_at]
        return "\n".join(lines)


def restore(
    data: str | Path,
    sources: Mapping[str, str | Path],
    out: str | Path,
    *,
    split: Wanted = None,
    revision: str | None = None,
    pins: str | Path | None = None,
    fs: Fs = REAL,
) -> RestoreReport:
    """Put withheld prompts back, from the user's own copies of the sets that they come from.

    Rows that have their prompt, or get it, are written to `out/data`; the others to `out/withheld`, out of the way of
    training. Of a list of uuids the rows themselves are put together in `out/data`, from sources under any name, and a row
    that is not found is told. `out/restored.json` records the sources with their sha256, `out/restored-keys.parquet` each prompt's.

    The same call again changes nothing; after one that was stopped it begins anew.

    Args:
        sources: Paths by name: taco, apps, code_contests, codeforces, lmsys, dapo, skywork; under any other name, sets
            whose questions are found by the hash that v3's metadata has. Also datasets on the Hub, "owner/name", or
            "owner/name@revision".
        revision: Of `data`, if it is a dataset on the Hub: commit, tag or branch.
        pins: A `restored-keys.parquet` of an earlier run: a prompt that now has another hash is not taken.
    Raises:
        UsageError: `out` holds something else or lies in what is read, a path is not there, no source is given, or the rows
            are not in v1's and v2's form.
        Locked: Another process writes `out`.
        DataError: A file is damaged, or one of an earlier call's is gone.
    """
    place = Path(out)
    if not sources:
        raise UsageError(f"name a source as NAME=PATH; there are {', '.join(SOURCES)}")
    for read in (data, *sources.values()):
        refuse_inside(place, read)
    shards = pick_splits(located(data, revision), split)
    given = {name: _source(path) for name, path in sources.items()}
    asked = _asked(shards, given, pins, fs)
    done = _done(place, asked, fs)
    if done is not None:
        return done
    with RunLock(place / SCRATCH / "lock"):
        try:
            done = _done(place, asked, fs)  # another call may have come to its end while this one waited for it
            return done or _made(shards, given, place, pins, asked, fs)
        finally:
            with suppress(DiskError):
                fs.remove_tree(place / SCRATCH)  # who waits for this lock makes it anew


def _made(
    shards: list[Shard],
    given: Mapping[str, list[Shard]],
    place: Path,
    pins: str | Path | None,
    asked: bytes,
    fs: Fs,
) -> RestoreReport:
    """Write everything, the lock held; or nothing where that fails."""
    _clear(place, fs)
    try:
        report = _restored(shards, given, place, pins, fs)
        told = report.to_json() | {"sources": {name: _files(found, fs) for name, found in given.items()}}
        del told["out"]
        told["files"] = written_files(place, fs)
        fs.replace(place / ASKED, asked)
        fs.replace(place / RECORD, json.dumps(told, indent=1, sort_keys=True).encode())
    except BaseException:
        with suppress(DiskError):
            _clear(place, fs)
        raise
    _clear_scratch(place, fs)
    return report


def _source(path: str | Path) -> list[Shard]:
    repo, _, revision = str(path).rpartition("@")
    return located(repo, revision) if repo and is_hub_id(repo) and not Path(path).exists() else located(path)


def _asked(shards: list[Shard], given: Mapping[str, list[Shard]], pins: str | Path | None, fs: Fs) -> bytes:
    """What a call asks for: equal for the same files with the same sizes and times."""
    pinned = fs.read(Path(pins)) if pins is not None and Path(pins).is_file() else b""
    told = [_seen(shards), {name: _seen(found) for name, found in given.items()}, sha256(pinned).hexdigest()]
    return identity.digest(told).encode()


def _seen(shards: list[Shard]) -> list[list[Any]]:
    there = [(shard, None if shard.remote else shard.path.stat()) for shard in shards]
    return [[s.name, s.split, [*s.remote] if s.remote else [t.st_size, t.st_mtime_ns] if t else []] for s, t in there]


def _done(place: Path, asked: bytes, fs: Fs) -> RestoreReport | None:
    """The report of an earlier call that asked for the same; None where there is nothing, or what such a call left when it
    was stopped. Raises UsageError where there is anything else.
    """
    held = set(fs.names(place)) if place.is_dir() else set()
    if RECORD in held and ASKED in held and fs.read(place / ASKED) == asked:
        told = json.loads(fs.read(place / RECORD))
        check_there(place, told.get("files", []))
        return RestoreReport(place, **{name: told[name] for name in TOLD if name in told})
    if RECORD in held or (held and SCRATCH not in held) or (place.exists() and not place.is_dir()):
        raise UsageError(f"{place} is not empty; name a new directory for the restored data")
    return None


def _clear(place: Path, fs: Fs) -> None:
    """Take away what a call left that was stopped."""
    for name in fs.names(place):
        if name in (KEPT, WITHHELD):
            fs.remove_tree(place / name)
        elif name in (KEYS, ASKED):
            fs.unlink(place / name)
    _clear_scratch(place, fs)


def _clear_scratch(place: Path, fs: Fs) -> None:
    for name in fs.names(place / SCRATCH):
        if name != "lock":
            fs.unlink(place / SCRATCH / name)


def _restored(
    shards: list[Shard], given: Mapping[str, list[Shard]], place: Path, pins: str | Path | None, fs: Fs
) -> RestoreReport:
    scratch = place / SCRATCH
    index = Index(scratch / "prompts.sqlite")
    try:
        listed = by_uuid.want(shards, index) if by_uuid.lists_uuids(shards) else None
        if listed is None:
            _want(shards, index)
        if pins is not None:
            _pin(Path(pins), index)
        for name, found in given.items():
            by_uuid.offer(found, index) if listed is not None else _offer(name, found, index)
        if listed is not None:
            report = _rebuild(listed, given, index, place, scratch, fs)
        else:
            report = _write(shards, index, place, scratch, fs)
        _record(place / KEYS, index, fs)
    finally:
        index.close()
    return report


def _want(shards: list[Shard], index: Index) -> None:
    for shard in shards:
        for piece in pieces(shard):
            if shard.kind == "jsonl":
                lines = (known for known, _, _ in line_rows(piece, Unreadable()))
                index.want(line.key for line in lines if line.key is not None)
                continue
            for batch in raw_batches(piece, COLUMNS):
                index.want(key for key in withheld_keys(batch, piece) if key is not None)


def _pin(path: Path, index: Index) -> None:
    if not path.is_file():
        raise UsageError(f"pins: {quoted(str(path))} is no file")
    try:
        for batch in read_batches(path, KEYS_SCHEMA.names, batch_rows=RECORD_ROWS):
            for line in batch.to_pylist():
                if line["state"] == FOUND:
                    index.pin(line["source"], line["key"], line["sha256"])
    except (pa.ArrowException, KeyError, OSError) as exc:
        raise UsageError(f"pins: {quoted(str(path))} is no {KEYS} of an earlier run: {exc}") from exc


def _record(path: Path, index: Index, fs: Fs) -> None:
    """Write what became of each prompt, some at a time: there may be millions."""
    lines = index.record()
    with ParquetFile(path, KEYS_SCHEMA, fs=fs) as file:
        while some := list(islice(lines, RECORD_ROWS)):
            file.write(pa.table([pa.array(column, pa.string()) for column in zip(*some, strict=True)], KEYS_SCHEMA))
        file.finish()


def _offer(name: str, shards: list[Shard], index: Index) -> None:
    """Show all of a source to the index."""
    by_hash = index.wanted(BY_HASH) > 0
    if not by_hash and (name not in SOURCES or not index.wanted(name)):
        return
    position: Counter[str] = Counter()
    for shard in shards:
        for piece in pieces(shard):
            for row in raw_rows(piece, READ.get(name, READ["lmsys"]), holes=True):
                split = "train" if name == "dapo" else shard.split  # its one file is not called after its split
                at = position[split]
                position[split] += 1
                if name in SPLITS:
                    _offer_one(name, f"{split}/{at}", question_and_answer(row), index)
                    continue
                text = text_of(name, row)
                if name == "lmsys":
                    _offer_one(name, str(row.get("conversation_id")), text, index)
                elif name in SOURCES:
                    _offer_one(name, f"{split}/{at}", text, index)
                    for short in (short for short, long in SPLIT_NAMES.items() if long == split):
                        _offer_one(name, f"{short}/{at}", text, index)
                if by_hash and text is not None:
                    _offer_one(BY_HASH, sha256(text.encode(errors="surrogatepass")).hexdigest(), text, index)


def _offer_one(source: str, key: str, text: str | None, index: Index) -> None:
    if text is not None:
        index.offer(source, key, text)


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
    bad = writers.bad
    return RestoreReport(out, rows, withheld, prompts, kept, unreadable=bad.lines, unreadable_at=bad.first)


def _rebuild(
    bad: Unreadable, given: Mapping[str, list[Shard]], index: Index, out: Path, scratch: Path, fs: Fs
) -> RestoreReport:
    """Write the rows of a list of uuids."""
    with Writers(scratch, fs) as writers:
        for found in given.values():
            by_uuid.write(found, index, writers)
        kept = writers.finish(out)
    states = dict(index.counts().get(by_uuid.BY_UUID, {}))
    told = {by_uuid.BY_UUID: {state: states[state] for state in STATES if states.get(state)}}
    return RestoreReport(out, sum(states.values()), told, told, kept, True, bad.lines, bad.first)


def _files(shards: list[Shard], fs: Fs) -> list[dict[str, Any]]:
    return [
        {"name": shard.name, "dataset": shard.remote[0], "commit": shard.remote[1]}
        if shard.remote
        else {"name": shard.name, **measured(shard.path, fs)}
        for shard in shards
    ]
