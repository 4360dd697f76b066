"""`tracemill.stats`: what is in a dataset, by split, category, domain, language, generator, reasoning and licence, with
the published figures of the set that it is most like beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.errors import DataError
from tracemill.inspect.counting import DIMENSIONS, MEASURES, check_tokenizer
from tracemill.inspect.crew import SMALL, answers, worker_count
from tracemill.inspect.published import Published, most_like
from tracemill.inspect.worker import work
from tracemill.legible import how_many, one_line
from tracemill.reading.batch import Piece
from tracemill.reading.dataset import located
from tracemill.reading.filters import Wanted, pick_splits
from tracemill.reading.pieces import pieces


@dataclass(frozen=True, slots=True)
class Line:
    """One value of one dimension."""

    value: str
    rows: int
    arrow_bytes: int
    """As `datasets` counts `num_bytes`: all columns that we know, uncompressed."""
    bytes: int
    """UTF-8 bytes of messages and traces."""
    characters: int
    tokens: int
    """0 where no tokenizer was given."""
    published_rows: int | None = None


@dataclass(frozen=True)
class StatsReport:
    """What is in a dataset."""

    data: str
    files: int
    total: Line
    bad: int
    """Lines that are no rows."""
    damage: list[str]
    """Files, or parts of files, that could not be read."""
    tables: dict[str, list[Line]]
    """By dimension; the most rows first."""
    published: Published

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "data": self.data,
            "files": self.files,
            "bad": self.bad,
            "damage": self.damage,
            "total": {name: getattr(self.total, name) for name in MEASURES},
            "tables": {
                dimension: [
                    {"value": line.value, **{name: getattr(line, name) for name in MEASURES}}
                    | {"published_rows": line.published_rows}
                    for line in lines
                ]
                for dimension, lines in self.tables.items()
            },
            "published": self.published.name,
        }

    def to_text(self) -> str:
        """The report for a terminal."""
        tokens = f", {self.total.tokens:,} tokens" if self.total.tokens else ""
        out = [
            f"{self.data}: {how_many(self.total.rows, 'row')} in {how_many(self.files, 'file')},"
            f" {self.total.bytes:,} bytes of text, {self.total.characters:,} characters{tokens};"
            f" lines that are no rows: {self.bad:,}"
        ]
        out += [f"  not read: {one_line(text, 200)}" for text in self.damage]
        for dimension, lines in self.tables.items():
            beside = any(line.published_rows is not None for line in lines)
            head = f"{dimension:<28}{'rows':>12}{'share':>9}{'text bytes':>17}{'characters':>17}{'per row':>10}"
            out += ["", head + (f"{'tokens':>15}" if self.total.tokens else "") + ("   published" if beside else "")]
            for line in lines[:30]:
                share = line.rows / max(self.total.rows, 1)
                told = f"{line.value[:27]:<28}{line.rows:>12,}{share:>9.2%}{line.bytes:>17,}{line.characters:>17,}"
                told += f"{line.characters / max(line.rows, 1):>10,.0f}"
                told += f"{line.tokens:>15,}" if self.total.tokens else ""
                if line.published_rows is not None:
                    whole = sum(
                        (self.published.generators if dimension == "generator" else self.published.rows).values()
                    )
                    told += f"   {line.published_rows:,} ({line.published_rows / whole:.1%})"
                out.append(told.rstrip())
            if len(lines) > 30:
                out.append(f"... and {len(lines) - 30:,} more")
        if any(line.published_rows is not None for lines in self.tables.values() for line in lines):
            out += ["", f"published: {self.published.name}"]
        return "\n".join(out)


def stats(
    data: str | Path,
    *,
    split: Wanted = None,
    tokenizer: str | None = None,
    workers: int | None = None,
    revision: str | None = None,
) -> StatsReport:
    """Count a dataset.

    Args:
        data: As for `open`.
        split: Only these splits.
        tokenizer: A `tokenizer.json`, or a directory that holds one; tokens of messages and traces are then counted,
            without those that a chat template adds.
        workers: Processes; 0 is this one alone.
    Raises:
        UsageError: There is no such data or split.
        DataError: There is no file of data in it.
        MissingExtra: A tokenizer is given, and the library `tokenizers` is not installed.
    """
    check_tokenizer(tokenizer)
    shards = pick_splits(located(data, revision), split)
    cells: dict[tuple[str, ...], list[int]] = {}
    bad, damage, found, shut = 0, dict[int, str](), list[Piece](), list[str]()
    for shard in shards:
        try:
            found += pieces(shard)
        except DataError as exc:
            shut.append(one_line(exc, 300))
    size = sum(path.stat().st_size for path in {piece.shard.path for piece in found})
    count = 0 if workers is None and size < SMALL else worker_count(workers)
    for number, answer in answers({"do": "count", "tokenizer": tokenizer}, found, count, work):
        if "died" in answer:
            damage[number] = f"{found[number].shard.name}: reading it ended the process ({answer['died']})"
            continue
        bad += answer["bad"]
        if answer["damage"]:
            damage[number] = answer["damage"]
        for key, counts in answer["cells"]:
            held = cells.setdefault(tuple(key), [0] * len(MEASURES))
            for place, value in enumerate(counts):
                held[place] += value
    published = most_like({key[0] for key in cells})
    tables = {name: _table(cells, place, name, published) for place, name in enumerate(DIMENSIONS)}
    total = [sum(counts[place] for counts in cells.values()) for place in range(len(MEASURES))]
    told = [*shut, *(damage[number] for number in sorted(damage))]
    return StatsReport(str(data), len(shards), Line("", *total), bad, told, tables, published)


def _table(cells: dict[tuple[str, ...], list[int]], place: int, dimension: str, published: Published) -> list[Line]:
    sums: dict[str, Sequence[int]] = {}
    for key, counts in cells.items():
        before = sums.get(key[place], [0] * len(MEASURES))
        sums[key[place]] = [a + b for a, b in zip(before, counts, strict=True)]
    known = {"generator": published.generators, "split": published.rows, "category": published.rows}.get(dimension, {})
    lines = [
        Line(value, **dict(zip(MEASURES, counts, strict=True)), published_rows=known.get(value))
        for value, counts in sums.items()
    ]
    return sorted(lines, key=lambda line: (-line.rows, line.value))
