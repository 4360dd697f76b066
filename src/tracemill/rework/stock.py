"""The stock: the files of finished rows that a run works, as the spool is of prompts.

Rows stay where they are; the stock only says which files there are, what is in them (sha256), and how they are divided. A
unit is a piece of a file, named for the file's content: what is appended to a dataset makes new units, and leaves the
others what they were. Reading the input is a hash and a count of lines; what was hashed before, and has kept its size and
time, is not read again.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tracemill import identity
from tracemill.errors import CorruptRun, DataError, RecipeError, TracemillError
from tracemill.gather.spool import Spool, Unit
from tracemill.ledger import Ledger
from tracemill.reading.arrow_files import DAMAGED, held_batches
from tracemill.reading.batch import Piece
from tracemill.reading.dataset import located
from tracemill.reading.filters import pick_splits
from tracemill.reading.hub import fetched
from tracemill.reading.json_lines import byte_lines
from tracemill.reading.parquet import rows_in
from tracemill.reading.pieces import pieces
from tracemill.reading.shards import Shard
from tracemill.recipe import Recipe, Refine, Rows
from tracemill.record import Message, Prompt, Sample
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import STOCK
from tracemill.storage.parquet import file_sha256

FORMAT = 1
UNIT_BYTES = 16_000_000
"""About how many bytes of a file make a unit; of Parquet at least one row group. A worker holds one at a time."""
_OF_SO_MANY = re.compile(r"-of-\d+")


@dataclass(frozen=True, slots=True)
class Lot:
    """What one unit is made of."""

    name: str
    shard: int
    """Which of the stock's files."""
    first: int
    last: int
    """As of a `Piece`."""
    row: int
    rows: int
    """Rows and lines that are no rows; 1 for a file that cannot be opened."""
    cut: bool = False
    """Whether the piece holds more, which are left out."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of the stock, as it was when it was hashed."""

    path: str
    """Absolute, bytes that are no UTF-8 as Latin-1."""
    name: str
    kind: str
    split: str
    language: str | None
    bytes: int
    mtime: int
    """Nanoseconds."""
    sha256: str

    @property
    def shard(self) -> Shard:
        """The file as the readers of datasets take it. It is called without the number of its fellows, so that rows do
        not change their place when files are added: math-00003-of-00004.parquet is math-00003.parquet.
        """
        kind: Any = self.kind
        called = _OF_SO_MANY.sub("", self.name)
        return Shard(Path(os.fsdecode(self.path.encode("latin-1"))), called, kind, self.split, self.language)

    @property
    def content(self) -> str:
        """Hex; equal for files whose rows come out alike."""
        shard = self.shard
        return identity.digest([self.sha256, shard.name, shard.kind, shard.split, shard.language])


@dataclass(frozen=True, slots=True)
class Stock(Spool):
    """A finished stock."""

    files: tuple[File, ...] = ()
    lots: tuple[Lot, ...] = ()

    @property
    def prompts(self) -> int:
        return sum(lot.rows for lot in self.lots)

    @property
    def source(self) -> Rows:
        """What the rows are called where they do not say it themselves."""
        return Rows(rows="-", name=self.inputs[0]["name"], license=self.inputs[0]["license"])

    def units(self, samples_per_prompt: int) -> list[Unit]:
        """All units, file after file."""
        return [Unit(lot.name, ()) for lot in self.lots]

    def first(self, limit: int | None) -> Stock:
        """The first so many lines of it; all where there is no limit."""
        if limit is None:
            return self
        lots, left = list[Lot](), limit
        for lot in self.lots:
            if left > 0:
                whole = lot.rows <= left
                lots.append(lot if whole else replace(lot, name=f"{lot.name}-{left}", rows=left, cut=True))
                left -= lot.rows
        return replace(self, lots=tuple(lots))

    def piece(self, unit: Unit) -> tuple[Lot, Piece]:
        """What a unit is made of.

        Raises:
            RecipeError: the file is gone, or not what it was.
        """
        lot = next(lot for lot in self.lots if lot.name == unit.name)
        file = self.files[lot.shard]
        self._unchanged(file)
        return lot, Piece(file.shard, lot.first, lot.last, lot.row)

    def check(self, unit: Unit) -> None:
        """Raises RecipeError if the file of a unit is not what it was."""
        lot = next(lot for lot in self.lots if lot.name == unit.name)
        self._unchanged(self.files[lot.shard])

    def _unchanged(self, file: File) -> None:
        path = file.shard.path
        try:
            told = path.stat()
        except OSError as exc:
            raise RecipeError(f"{file.name}: the input cannot be read any more: {exc.strerror or exc}: {path}") from exc
        if (told.st_size, told.st_mtime_ns) != (file.bytes, file.mtime):
            raise RecipeError(f"{file.name}: the input has changed since it was read; run the command again")

    def read(self, unit: Unit, fs: Fs = REAL) -> list[Prompt]:
        """The rows of a unit as prompts that were answered, in input order; lines that are no rows are left out."""
        from tracemill.rework.rows import rows_of

        lot, piece = self.piece(unit)
        whole = Refine(findings=())
        found = (row for some in rows_of(self.source, piece, lot.rows, whole, cut=lot.cut) for row in some)
        return [asked(row.sample) for row in found if row.bad is None]

    def keys_of(self, hashed: str, fs: Fs = REAL) -> list[str]:
        """The key of a prompt with a hash: rows are not numbered."""
        return [identity.prompt_key(Prompt(category="", messages=(), hash=hashed))]

    def counted(self, ledger: Ledger) -> Stock:
        """The same stock, whose source tells how many of its lines were rows."""
        bad = sum(n for (stage, _, _, _), n in ledger.dropped.items() if stage == "gather")
        taken = sum(n for (stage, _, _), n in ledger.taken.items() if stage == "gather")
        return replace(self, inputs=({**self.inputs[0], "prompts": taken - bad, "bad_lines": bad},))


def open_stock(
    directory: Path,
    recipe: Recipe,
    revision: str | None,
    fs: Fs = REAL,
    tell: Callable[[str], None] = lambda text: None,
    limit: int | None = None,
) -> Stock:
    """The stock of a recipe's rows: the one on disk if no file has changed since, else a new one.

    Args:
        directory: Holds stocks by fingerprint.
        revision: Of a dataset on the Hub.
        limit: Only the first so many lines; files behind them are not looked at.
        tell: Told of files that are read.
    Raises:
        RecipeError: there are no such rows.
        EndpointError, MissingExtra: a dataset on the Hub cannot be had.
    """
    [source] = recipe.prompts
    assert isinstance(source, Rows)
    shards = _shards(source, revision, limit)
    stats = [shard.path.stat() for shard in shards]
    seen = [
        [_bytes(s.path), s.name, s.kind, s.split, s.language, t.st_size, t.st_mtime_ns]
        for s, t in zip(shards, stats, strict=True)
    ]
    place = directory / identity.digest([FORMAT, source.name, source.license, source.url, source.citation, seen])[:16]
    if not (place / STOCK).exists():
        known = _known(directory, fs)
        files, lots = [], []
        taken: Counter[str] = Counter()
        for number, (shard, told) in enumerate(zip(shards, stats, strict=True)):
            before = known.get((_bytes(shard.path), told.st_size, told.st_mtime_ns))
            if before is None:
                tell(f"reading {shard.name}, {number + 1} of {len(shards)}")
            sha256 = before[0] if before else file_sha256(shard.path, fs)
            named = (_bytes(shard.path), shard.name, shard.kind, shard.split, shard.language)
            file = File(*named, told.st_size, told.st_mtime_ns, sha256)
            taken[file.content] += 1
            again = "" if taken[file.content] == 1 else f"x{taken[file.content]}"
            parts = before[1] if before else list(_parts(shard))
            lots += [Lot(f"{file.content[:24]}{again}-{at:05d}", number, *part) for at, part in enumerate(parts)]
            files.append(file)
        _write(place, directory, source, files, lots, fs)
    return load_stock(place, fs).first(limit)


def load_stock(place: Path, fs: Fs = REAL) -> Stock:
    """A stock that is on the disk. Raises FileNotFoundError, or CorruptRun if it cannot be understood."""
    data = fs.read(place / STOCK)
    try:
        told = json.loads(data)
        files = tuple(File(**file) for file in told["files"])
        lots = tuple(Lot(*lot) for lot in told["lots"])
        return Stock(place, tuple(told["inputs"]), {}, Ledger(), files, lots)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CorruptRun(f"{place / STOCK}: not readable: {exc!r}; `tracemill refine` makes it again") from exc


def asked(sample: Sample) -> Prompt:
    """The prompt that a row answers."""
    turns = tuple(Message(m.role, m.content) for m in sample.messages[:-1])
    return Prompt(
        category=sample.category,
        messages=turns,
        expected=sample.expected,
        language=sample.language,
        tools=sample.tools,
        source=sample.source,
        source_id=sample.source_id,
        source_license=sample.source_license,
        hash=identity.prompt_hash(turns, sample.tools),
        given=sample,
    )


def _shards(source: Rows, revision: str | None, limit: int | None) -> list[Shard]:
    taken, lines = list[Shard](), 0
    try:
        for shard in pick_splits(located(source.rows, revision), list(source.split) or None):
            taken.append(fetched(shard))
            if limit is not None:
                lines += sum(rows for *_, rows in _parts(taken[-1]))
                if lines >= limit:
                    break
        return taken
    except TracemillError as exc:
        if exc.exit_code == 5 or not isinstance(exc, DataError):
            raise
        raise RecipeError(f"prompts {source.name!r}: {exc}", ("prompts", source.name, "rows")) from exc


def _bytes(path: Path) -> str:
    return os.fsencode(path.absolute()).decode("latin-1")


def _known(directory: Path, fs: Fs) -> dict[tuple[str, int, int], tuple[str, list[tuple[int, int, int, int]]]]:
    """What earlier stocks know of files: sha256 and parts, by path, size and time."""
    known = {}
    for name in fs.names(directory):
        try:
            stock = load_stock(directory / name, fs)
        except (FileNotFoundError, NotADirectoryError, CorruptRun):
            continue
        parts: dict[int, list[tuple[int, int, int, int]]] = {}
        for lot in stock.lots:
            parts.setdefault(lot.shard, []).append((lot.first, lot.last, lot.row, lot.rows))
        for number, file in enumerate(stock.files):
            known[file.path, file.bytes, file.mtime] = (file.sha256, parts.get(number, []))
    return known


def _parts(shard: Shard) -> Iterator[tuple[int, int, int, int]]:
    """(first, last, row, rows) of each piece of a file. One that cannot be opened is one piece with one lost row."""
    try:
        for piece in pieces(shard, UNIT_BYTES):
            if rows := _count(piece):
                yield piece.first, piece.last, piece.row, rows
    except DataError:
        yield 0, 0, 0, 1


def _count(piece: Piece) -> int:
    """Rows, and lines that are none; damage ends them, and is one itself."""
    if piece.shard.kind == "parquet":
        return rows_in(piece)
    count = 0
    try:
        if piece.shard.kind == "jsonl":
            for _ in byte_lines(piece):
                count += 1
            return count
        import pyarrow as pa

        with pa.memory_map(str(piece.shard.path)) as raw:
            for batch in held_batches(raw):
                count += batch.num_rows
    except DAMAGED:  # a DataError is a ValueError
        count += 1
    return count


def _write(place: Path, directory: Path, source: Rows, files: list[File], lots: list[Lot], fs: Fs) -> None:
    about = {"name": source.name, "license": source.license, "url": source.url, "citation": source.citation}
    listed = [{"name": file.name, "bytes": file.bytes, "sha256": file.sha256} for file in files]
    told = {
        "format": FORMAT,
        "inputs": [{**about, "files": listed, "prompts": sum(lot.rows for lot in lots), "bad_lines": 0}],
        "files": [asdict(file) for file in files],
        "lots": [[lot.name, lot.shard, lot.first, lot.last, lot.row, lot.rows] for lot in lots],
    }
    fs.mkdir(place)
    fs.replace(place / STOCK, json.dumps(told).encode())
    fs.sync_dir(directory)
