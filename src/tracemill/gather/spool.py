"""The spool: all prompts of a run on the disk, in partitions by prompt hash.

Reading input is lazy and goes through it once; memory does not grow with it. Equal prompts land in the same partition,
so that they can be numbered there. Partitions that hold too many prompts are split by the next digits of the hash, and
small neighbours make one unit together: units follow from the prompts alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import orjson

from tracemill import identity
from tracemill.errors import CorruptRun, RecipeError
from tracemill.gather.files import read_prompts
from tracemill.gather.inputs import input_files, label
from tracemill.gather.spooled import spooled, unspooled
from tracemill.ledger import Ledger
from tracemill.legible import quoted
from tracemill.recipe import GeneratedPrompts, PromptFiles, PromptSource, Recipe, Rows
from tracemill.record import BadLine, Prompt
from tracemill.storage.fs import REAL, Fs, crash_point

FORMAT = 2
DIGITS = 2
"""Hex digits of the first partitioning: 256 files."""
BUFFER_BYTES = 16 * 1024 * 1024
UNIT_SAMPLES = 1000
"""Samples that a unit should hold: what one worker keeps in memory until it commits them."""
DEEPEST = 12


class RowReader(Protocol):
    """Whoever reads finished rows; the readers of datasets live on a higher floor."""

    def files(self, source: Rows) -> list[tuple[str, Path]]:
        """The files of a source, by the name that its rows are told with, in the order of reading."""
        ...

    def read(self, source: Rows) -> Iterator[Prompt | BadLine]:
        """Each row as a prompt that was answered (`given`), in order, or as a bad line."""
        ...


@dataclass(frozen=True, slots=True)
class Unit:
    """The prompts that are worked and committed together: neighbouring partitions, or a slice of a large one."""

    name: str
    partitions: tuple[str, ...]
    slice: tuple[int, int] = (0, 1)
    """(j, k): the j-th of k equal ranges of hashes within its one partition; (0, 1) for whole partitions."""


@dataclass(frozen=True, slots=True)
class Spool:
    """A finished spool."""

    directory: Path
    inputs: tuple[dict[str, Any], ...]
    """Of each source: name, files with sha256 and bytes, or what it was generated from; prompts and bad lines."""
    partitions: dict[str, int]
    """Prompts by partition."""
    ledger: Ledger

    @property
    def prompts(self) -> int:
        return sum(self.partitions.values())

    def identity(self) -> list[Any]:
        """What of the input can change a row: names and contents, not paths or dates."""
        return [
            [source["name"], source.get("generated"), [[f["name"], f["sha256"]] for f in source.get("files", [])]]
            for source in self.inputs
        ]

    def units(self, samples_per_prompt: int) -> list[Unit]:
        """All units, in key order. They depend on the prompts and the samples asked of each, and on nothing else."""
        most = max(1, UNIT_SAMPLES // samples_per_prompt)
        units: list[Unit] = []
        names: list[str] = []
        count = 0
        for name, prompts in sorted(self.partitions.items()):
            if names and count + prompts > most:
                units.append(Unit(names[0], tuple(names)))
                names, count = [], 0
            if prompts > most:
                slices = math.ceil(prompts / most)
                units += [Unit(f"{name}-{j:04d}", (name,), (j, slices)) for j in range(slices)]
            else:
                names.append(name)
                count += prompts
        if names:
            units.append(Unit(names[0], tuple(names)))
        return units

    def read(self, unit: Unit, fs: Fs = REAL) -> list[Prompt]:
        """The prompts of a unit in key order, equal ones numbered in input order."""
        found: list[tuple[str, int, Prompt]] = []
        for name in unit.partitions:
            path = self.directory / f"{name}.jsonl"
            try:
                spooled = [unspooled(line) for line in fs.read(path).splitlines()]
            except (FileNotFoundError, ValueError, KeyError, TypeError) as exc:
                raise CorruptRun(f"{path}: the prompts of this run cannot be read back: {exc}") from exc
            if len(spooled) != self.partitions[name]:
                raise CorruptRun(f"{path}: holds {len(spooled)} prompts instead of {self.partitions[name]}")
            mine, slices = unit.slice
            found += [
                (prompt.hash, order, prompt)
                for order, prompt in spooled
                if slices == 1 or _slice_of(prompt.hash, name, slices) == mine
            ]
        found.sort(key=lambda item: item[:2])
        seen: dict[str, int] = {}
        out = []
        for hashed, _, prompt in found:
            number = seen.get(hashed, 0)
            seen[hashed] = number + 1
            out.append(replace(prompt, occurrence=number) if number else prompt)
        return out

    def keys_of(self, hashed: str, fs: Fs = REAL) -> list[str]:
        """The keys of all prompts with a hash: one for each time that it came in."""
        count = 0
        for name in self.partitions:
            if hashed.startswith(name):
                with fs.open(self.directory / f"{name}.jsonl") as lines:
                    count += sum(orjson.loads(line)["hash"] == hashed for line in lines)
        blank = Prompt(category="", messages=(), hash=hashed)
        return [identity.prompt_key(replace(blank, occurrence=number)) for number in range(count)]

    def bad_lines(self, fs: Fs = REAL) -> Iterator[BadLine]:
        """Every dropped input line, in input order, read lazily."""
        path = self.directory / "dropped.jsonl"
        if path.exists():
            with fs.open(path) as lines:
                for line in lines:
                    yield BadLine(**orjson.loads(line))


def open_spool(
    directory: Path,
    recipe: Recipe,
    limit: int | None,
    fs: Fs = REAL,
    tell: Callable[[int], None] = lambda n: None,
    rows: RowReader | None = None,
) -> Spool:
    """The spool of a recipe's prompts: the one on disk if the inputs have not changed since, else a new one.

    Args:
        directory: Holds spools by fingerprint.
        limit: Take only the first so many prompts in input order.
        tell: Called now and then with the number of rows read so far.
        rows: Reads sources of finished rows.
    """
    place = directory / _fingerprint(recipe, limit, rows)
    if not _whole(place, fs):
        aside = directory / f".{place.name}.tmp"
        if aside.exists():
            fs.remove_tree(aside)
        fs.mkdir(aside)
        _write(aside, recipe, limit, fs, tell, rows)
        crash_point("spool.written")
        if place.exists():
            fs.remove_tree(place)
        fs.rename(aside, place)
        fs.sync_dir(directory)
        crash_point("spool.committed")
    return load_spool(place, fs)


def _whole(place: Path, fs: Fs) -> bool:
    """Whether a spool is there with every file as long as it was: only names, not contents, are waited for on the
    disk, and a power failure may have cut some.
    """
    try:
        told = json.loads(fs.read(place / "spool.json"))
        return all((place / name).stat().st_size == size for name, size in told["bytes"].items())
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return False


def load_spool(place: Path, fs: Fs = REAL) -> Spool:
    """A spool that is on the disk. Raises FileNotFoundError, or CorruptRun if it cannot be understood."""
    data = fs.read(place / "spool.json")
    try:
        told = json.loads(data)
        return Spool(place, tuple(told["inputs"]), told["partitions"], Ledger.from_lines(told["ledger"]))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CorruptRun(f"{place / 'spool.json'}: not readable: {exc!r}; `tracemill build` makes it again") from exc


def _fingerprint(recipe: Recipe, limit: int | None, rows: RowReader | None) -> str:
    """Changes when the files, or how they are read, may have changed. Cheap: it reads no content."""
    parts: list[Any] = [FORMAT, limit]
    for source in recipe.prompts:
        told: dict[str, Any] = source.model_dump(mode="json")
        if not isinstance(source, GeneratedPrompts):
            stats = [(p, p.stat()) for _, p in _files(source, rows)]
            told["files"] = [[os.fsencode(p).hex(), s.st_size, s.st_mtime_ns] for p, s in stats]
        parts.append(told)
    return identity.digest(parts)[:16]


class _Partitions:
    """Appends lines to many files, holding few of them in memory and none of them open."""

    def __init__(self, directory: Path, fs: Fs) -> None:
        self.directory, self.fs = directory, fs
        self.counts: dict[str, int] = {}
        self._lines: dict[str, list[bytes]] = {}
        self._bytes = 0

    def add(self, name: str, line: bytes) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        self._lines.setdefault(name, []).append(line)
        self._bytes += len(line)
        if self._bytes > BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        for name, lines in self._lines.items():
            self.fs.append(self.directory / f"{name}.jsonl", b"".join(lines))
        self._lines, self._bytes = {}, 0


def _write(
    directory: Path,
    recipe: Recipe,
    limit: int | None,
    fs: Fs,
    tell: Callable[[int], None],
    reader: RowReader | None,
) -> None:
    partitions, dropped, ledger = _Partitions(directory, fs), _Partitions(directory, fs), Ledger()
    inputs = []
    order = taken = 0
    before = _fingerprint(recipe, limit, reader)
    for source in recipe.prompts:
        count = bad = 0
        not_seen = _named_columns(source)
        for item in _rows(source, reader, not_seen):
            if limit is not None and taken >= limit:
                not_seen = set()  # what was not read may have them
                break
            order += 1
            place = ("gather", item.category, item.language)
            ledger.taken[place] += 1
            if isinstance(item, BadLine):
                bad += 1
                ledger.dropped[(*place, item.reason)] += 1
                dropped.add("dropped", orjson.dumps(asdict(item)) + b"\n")
            else:
                count += 1
                taken += 1
                ledger.kept[place] += 1
                hashed = identity.prompt_hash(item.messages, item.tools)
                partitions.add(hashed[:DIGITS], spooled(replace(item, hash=hashed), order))
            if order % 10_000 == 0:
                tell(order)
        told = {**_describe(source, reader), "prompts": count, "bad_lines": bad}
        if count and not_seen:
            _refuse_unseen(source, not_seen)
            told["columns_not_found"] = sorted(not_seen)
        inputs.append(told)
    if _fingerprint(recipe, limit, reader) != before:
        raise RecipeError("an input file changed while it was read; run the command again when it is at rest")
    partitions.flush()
    dropped.flush()
    counts = partitions.counts
    while large := [n for n, c in counts.items() if c > UNIT_SAMPLES and len(n) < DEEPEST]:
        for name in large:
            counts.pop(name)
            counts.update(_split(directory, name, fs))
    sizes = {name: (directory / name).stat().st_size for name in fs.names(directory)}
    told = {
        "format": FORMAT,
        "inputs": inputs,
        "partitions": counts,
        "bytes": sizes,
        "ledger": list(ledger.lines()),
    }
    fs.replace(directory / "spool.json", json.dumps(told, sort_keys=True).encode())


def _slice_of(hashed: str, partition: str, slices: int) -> int:
    """Which of so many equal ranges of a partition's hashes a hash lies in."""
    return int(hashed[len(partition) : len(partition) + 8], 16) * slices >> 32


def _split(directory: Path, name: str, fs: Fs) -> dict[str, int]:
    """Divide one partition by two more digits of the hash."""
    finer = _Partitions(directory, fs)
    with fs.open(directory / f"{name}.jsonl") as lines:
        for line in lines:
            finer.add(orjson.loads(line)["hash"][: len(name) + 2], line)
    finer.flush()
    fs.unlink(directory / f"{name}.jsonl")
    return finer.counts


def _named_columns(source: PromptSource) -> set[str]:
    """The columns that single rows may be without; if all of them are, the name is most likely wrong."""
    if not isinstance(source, PromptFiles):
        return set()
    told = source.fields
    return {name for name in (told.id, told.license, told.language, *told.metadata) if name}


def _refuse_unseen(source: PromptSource, names: set[str]) -> None:
    """A language or licence that silently came from elsewhere would make every row say what is not so."""
    told = source.fields if isinstance(source, PromptFiles) else None
    for key, name in (("license", told.license), ("language", told.language)) if told else ():
        if name in names:
            raise RecipeError(
                f"prompts {source.name!r}: fields.{key} names {quoted(name)}, a column that no row has; nothing was "
                f"asked. Name one that is there, or take the key out and give `{key}` for all rows",
                ("prompts", source.name, "fields", key),
            )


def _files(source: PromptFiles | Rows, rows: RowReader | None) -> list[tuple[str, Path]]:
    """The files of a source, each with the name that it is told by."""
    if isinstance(source, PromptFiles):
        return [(label(source, path), path) for path in input_files(source)]
    if rows is None:
        raise RecipeError(f"prompts {source.name!r}: rows of a dataset cannot be read here; use `tracemill build`")
    return rows.files(source)


def _rows(source: PromptSource, rows: RowReader | None, not_seen: set[str] | None = None) -> Iterator[Prompt | BadLine]:
    if isinstance(source, Rows):
        assert rows is not None  # its files have been found
        yield from rows.read(source)
    elif isinstance(source, PromptFiles):
        for file in input_files(source):
            yield from read_prompts(source, file, not_seen)
    else:
        try:
            made = _generated(source)
        except RecipeError as exc:
            raise RecipeError(f"prompts {source.name!r}: {exc}", ("prompts", source.name, "families")) from exc
        yield from (replace(prompt, source=source.name, source_license=source.license) for prompt in made)


def _generated(source: GeneratedPrompts) -> Iterator[Prompt]:
    if source.generate == "exercises":
        from tracemill.exercises import make

        return make(source.count, source.seed, source.categories, source.families, source.difficulties)
    from tracemill.word_problems import generate

    return generate(source.count, source.seed, source.families, source.difficulties)


def _describe(source: PromptSource, rows: RowReader | None) -> dict[str, Any]:
    about = {"name": source.name, "license": source.license}
    if isinstance(source, GeneratedPrompts):
        return {**about, "generated": source.model_dump(mode="json", exclude={"name", "license"})}
    files = []
    for called, path in _files(source, rows):
        try:
            with path.open("rb") as file:
                hashed = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as exc:
            problem = f"{quoted(str(path), 200)} cannot be read: {exc.strerror or exc}"
            raise RecipeError(f"prompts {source.name!r}: {problem}", ("prompts", source.name, "path")) from exc
        files.append({"name": called, "bytes": path.stat().st_size, "sha256": hashed})
    return {**about, "url": source.url, "citation": source.citation, "files": files}
