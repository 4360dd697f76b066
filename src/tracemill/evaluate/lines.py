"""What is evaluated: a translation beside its source, and beside a reference where there is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.errors import LossyConversion, UsageError
from tracemill.legible import did_you_mean, one_line, quoted
from tracemill.reading.dataset import located
from tracemill.reading.hub import fetched
from tracemill.reading.pieces import pieces
from tracemill.reading.raw import raw_rows
from tracemill.record import Sample
from tracemill.schema import from_row


@dataclass(frozen=True, slots=True)
class Line:
    """One text: a line of a test set, or a message of a row."""

    system: str
    """Who translated it: the name of a column of a table; "dataset" for rows."""
    language: str
    domain: str
    """What it is about, for tables; "" where nobody says."""
    source: str
    translation: str
    reference: str | None = None


def table_lines(
    file: str | Path,
    targets: Sequence[str],
    source: str,
    systems: Mapping[str, str],
    reference: str | None,
    domain: str | None = None,
    limit: int | None = None,
) -> Iterator[Line]:
    """The lines of a table in which each row holds a source, its translations and a reference, as columns.

    Args:
        file: JSONL (plain, .gz, .zst) or Parquet; lines that are no JSON objects are left out.
        source: Name of the column with the source.
        systems: By the name of each system its column. `{lang}` in a column's name stands for the target's code.
        reference: The column with the reference.
        domain: The column that says what a row is about.
        limit: Take only the first rows.
    Raises:
        UsageError: There is no such column.
        DataError: The file cannot be read.
    """
    for number, row in enumerate(_rows(file)):
        if limit is not None and number >= limit:
            return
        for target in targets:
            wanted = {name: column.replace("{lang}", target) for name, column in systems.items()}
            right = reference.replace("{lang}", target) if reference else None
            for column in (source, *wanted.values(), *([right] if right else []), *([domain] if domain else [])):
                if not isinstance(row.get(column), str):
                    there = [name for name, value in row.items() if isinstance(value, str)]
                    raise UsageError(
                        f"{file}, row {number + 1}: there is no text in a column {quoted(column)}; there are "
                        f"{one_line(', '.join(there), 300)}.{did_you_mean(column, there)}"
                    )
            for name, column in wanted.items():
                told = row[right] if right else None
                yield Line(name, target, row[domain] if domain else "", row[source], row[column], told)


def _rows(data: str | Path) -> Iterator[dict[str, Any]]:
    for shard in located(data):
        for piece in pieces(fetched(shard)):
            yield from raw_rows(piece)


def _samples(data: str | Path) -> Iterator[Sample]:
    """Rows that a sample can hold; the others have nothing to evaluate."""
    for row in _rows(data):
        with suppress(LossyConversion):
            yield from_row(row)


def dataset_lines(data: str | Path, targets: Sequence[str] = (), limit: int | None = None) -> Iterator[Line]:
    """The translated messages of a dataset beside those of their parents; rows without a parent there are left out.

    Args:
        targets: Only these languages; by default all that differ from their parent's.
        limit: Take only the first rows of each language.
    """
    taken: Counter[str] = Counter()
    wanted: dict[str, list[Sample]] = {}
    for sample in _samples(data):
        if sample.parent and (not targets or sample.language in targets):
            taken[sample.language] += 1
            if limit is None or taken[sample.language] <= limit:
                wanted.setdefault(sample.parent, []).append(sample)
    for parent in _samples(data) if wanted else ():
        for child in wanted.pop(parent.uuid, []):
            yield from _messages(parent, child)


def _messages(parent: Sample, child: Sample) -> Iterator[Line]:
    if child.language == parent.language or len(parent.messages) != len(child.messages):
        return
    for before, after in zip(parent.messages, child.messages, strict=True):
        if before.role in ("user", "assistant") and before.content.strip():
            domain = child.domain or parent.category
            yield Line("dataset", child.language, domain, before.content, after.content)
