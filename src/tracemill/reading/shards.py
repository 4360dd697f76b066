"""From what the user names to shards: which files there are, in which form, and which split each belongs to.

Splits come from the card (`configs` in README.md), else from `dataset_dict.json` and file names:
`data/math-00000-of-00002.parquet` is split math, `multilingual_fr.jsonl.gz` is split multilingual_fr. v1's own files of
tool calls are called `tool-*`; their split is tool_calling.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from tracemill.errors import DataError, UsageError
from tracemill.legible import did_you_mean, quoted
from tracemill.storage.fs import REAL, Fs

Kind = Literal["parquet", "jsonl", "arrow"]
KINDS: dict[str, Kind] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".arrow": "arrow",
}
COMPRESSED = (".gz", ".zst")
ALIASES = {"tool": "tool_calling"}
"""File names of v1 that are not those of their split."""
_NUMBERED = re.compile(r"^(?P<name>.*?)[-_.]?(?:\d{3,}|\d+-of-\d+)(?:[-_.]of[-_.]\d+)?$")
_TRANSLATED = re.compile(r"(?:^|[_-])([a-z]{2})_translated(?=_|$)")
_NO_NAME = ("", "part", "shard", "data", "file", "chunk", "dataset", "cache")


@dataclass(frozen=True, slots=True)
class Shard:
    """One file with rows of one split."""

    path: Path
    name: str
    """What messages call it: its path below what the user named."""
    kind: Kind
    split: str
    language: str | None
    """What its split or name says of its language, e.g. "fr"."""
    declared: bool = True
    """False where a card lists the splits and this file is in none."""
    remote: tuple[str, str] | None = None
    """(dataset, commit) on the Hub of a file that is not here yet."""


def find(data: str | Path, fs: Fs = REAL) -> list[Shard]:
    """The shards of a directory, file or glob, sorted by split and name.

    Raises:
        UsageError: There is nothing of that name.
        DataError: There is, and it holds no data; the text says what it holds.
    """
    text = str(data)
    if not text or "\0" in text:
        raise UsageError(f"{quoted(text)} cannot be a directory, a file, a glob or a Hub id")
    path = Path(text).expanduser()
    if path.is_dir():
        shards = [*_in_directory(path, fs)]
        if not shards:
            held = ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
            raise DataError(f"{path} holds no file ending in {', '.join(KINDS)} (.gz, .zst); it holds {held}")
        return sorted(shards, key=lambda shard: (shard.split, shard.name))
    if path.is_file():
        return [make_shard(path, path.parent, alone=True)]
    found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))] if glob.has_magic(text) else []
    if not found:
        near = did_you_mean(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise UsageError(f"{text} is neither a directory, nor a file, nor a glob that finds any.{near}")
    base = Path(*_plain(path.parts))
    shards = []
    for place in found:
        shards += _in_directory(place, fs) if place.is_dir() else [make_shard(place, base, alone=True)]
    return sorted(shards, key=lambda shard: (shard.split, shard.name))


def refuse_inside(out: str | Path, data: str | Path) -> None:
    """Raise UsageError where `out` is a directory that is read, or lies in it: its rows would be read as well next time."""
    root = Path(data).expanduser()
    if root.is_dir() and Path(out).expanduser().resolve().is_relative_to(root.resolve()):
        raise UsageError(
            f"--out {out} lies in {data}, which is read: its rows would count as rows of that too; name a directory outside"
            " of it, which is not there or is empty"
        )


def kind_of(path: Path) -> Kind | None:
    """In which form a file is, by its name; None for files that hold no rows."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return KINDS.get(suffixes[-1]) if suffixes else None


def split_of(path: Path, root: Path) -> str:
    """The split that a file's name stands for."""
    stem = path.name
    for suffix in (*COMPRESSED, *KINDS):
        stem = stem[: -len(suffix)] if stem.lower().endswith(suffix) else stem
    if match := _NUMBERED.match(stem):
        stem = match["name"]
    if stem.lower() in _NO_NAME:
        above = path.parent.name if path.parent != root else ""
        stem = "train" if above.lower() in _NO_NAME else above
    return ALIASES.get(stem, stem)


def _plain(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts:
        if glob.has_magic(part):
            return
        yield part


def make_shard(
    path: Path, root: Path, split: str | None = None, *, alone: bool = False, declared: bool = True
) -> Shard:
    """The shard of one file. `alone`: the user named the file itself, so that any ending will do."""
    kind = kind_of(path)
    if kind is None and not alone:
        raise DataError(f"{path}: its ending says nothing of its form; there are {', '.join(KINDS)} (.gz, .zst)")
    from tracemill.layouts import split_language  # loads the recipe's models, which workers do without

    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    split = split or split_of(path, root)
    translated = _TRANSLATED.search(split)
    language = split_language(split) or (translated[1] if translated else None)
    return Shard(path, name, kind or "jsonl", split, language, declared)


def _in_directory(root: Path, fs: Fs) -> Iterator[Shard]:
    if (root / "dataset_dict.json").is_file():
        for split in _saved_splits(root, fs):
            yield from (make_shard(path, root, split) for path in sorted((root / split).glob("*.arrow")))
        return
    ours = (root / "manifest.json").is_file() or (root / "restored.json").is_file()
    files = sorted(p for p in root.rglob("*") if p.is_file() and _is_data(p, root))
    if ours and (root / "data").is_dir():
        files = [p for p in files if p.relative_to(root).parts[0] == "data"]
    patterns = _configured(root, fs)
    for path in files:
        name = path.relative_to(root).as_posix()
        told = next((split for split, pattern in patterns if fnmatch(name, pattern)), None)
        yield make_shard(path, root, told, declared=told is not None or not patterns)


def _is_data(path: Path, root: Path) -> bool:
    inside = path.relative_to(root).parts
    if any(part.startswith(".") for part in inside) or path.suffix.lower() == ".json":
        return False
    return kind_of(path) is not None and not path.name.startswith("cache-")


def _saved_splits(root: Path, fs: Fs) -> list[str]:
    told = _json(root / "dataset_dict.json", fs)
    splits = told.get("splits") if isinstance(told, dict) else None
    if not isinstance(splits, list) or not all(isinstance(s, str) and re.fullmatch(r"[\w.-]+", s) for s in splits):
        raise DataError(f"{root / 'dataset_dict.json'}: no list of splits as `save_to_disk` writes it")
    return splits


def _json(path: Path, fs: Fs) -> Any:
    try:
        return json.loads(fs.read(path))
    except ValueError as exc:
        raise DataError(f"{path}: not JSON: {exc}") from exc


def _configured(root: Path, fs: Fs) -> list[tuple[str, str]]:
    """(split, pattern) of the card's `configs`; none where there is no card, or one that cannot be read."""
    card = root / "README.md"
    if not card.is_file():
        return []
    return configured(fs.read(card).decode(errors="replace"))


def configured(card: str) -> list[tuple[str, str]]:
    """(split, pattern) of the `configs` that stand in the head of a card."""
    import yaml

    head = re.match(r"\A﻿?---\s*\n(.*?)\n---", card, re.DOTALL)
    try:
        told = yaml.safe_load(head[1]) if head else None
    except yaml.YAMLError:
        return []
    configs = told.get("configs") if isinstance(told, dict) else None
    found: list[tuple[str, str]] = []
    for config in configs if isinstance(configs, list) else []:
        files = config.get("data_files") if isinstance(config, dict) else None
        files = [{"split": "train", "path": files}] if isinstance(files, str) else files
        for entry in files if isinstance(files, list) else []:
            paths = entry.get("path") if isinstance(entry, dict) else None
            patterns = paths if isinstance(paths, list) else [paths]
            if isinstance(entry, dict) and isinstance(entry.get("split"), str):
                found += [(entry["split"], pattern) for pattern in patterns if isinstance(pattern, str)]
    return found
