"""The rows of one unit, batch by batch: each with what validation finds in it, and each line that is no row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import orjson

from tracemill import identity
from tracemill.errors import DataError, LossyConversion
from tracemill.inspect.block import Block
from tracemill.inspect.checks import CHECKS
from tracemill.inspect.rows import parts, row_checks
from tracemill.legible import one_line
from tracemill.reading import columns
from tracemill.reading.batch import Batch, Piece
from tracemill.reading.flat import to_sample
from tracemill.reading.parquet import metadata, rows_in
from tracemill.reading.pieces import batches, pieces
from tracemill.reading.raw import raw_rows
from tracemill.reading.rows import NO_CATEGORY, prompt_of
from tracemill.recipe import Refine, Rows
from tracemill.record import CATEGORIES, BadLine, Sample, Usage, Verdict
from tracemill.schema import SCHEMA

NOT_OF_ROWS = frozenset({"uuid_duplicate", "prompt_duplicate", "benchmark_item"})
"""Checks of validation that need more than the row: other rows, or a benchmark."""
FINDINGS = tuple(name for name, check in CHECKS.items() if check.of == "row" and name not in NOT_OF_ROWS)
"""What may be found in a row, or keep a line from being one."""
OURS = tuple(name for name in SCHEMA.names if name not in columns.SCHEMA.names)
"""Columns of our own rows that the readers of datasets leave out."""
KEY = re.compile("[0-9a-f]{64}")
"""What a prompt key of ours looks like. It tells where replies are stored, so that of others none is taken."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the input."""

    sample: Sample
    """The row; of a line that is none, what can be shown of it."""
    bad: BadLine | None = None
    """Why it is no row."""
    found: Mapping[str, str] = field(default_factory=dict)
    """What validation finds: evidence by check."""


def rows_of(source: Rows, piece: Piece, count: int, refine: Refine, cut: bool = False) -> Iterator[list[Row]]:
    """All lines of a piece, in order, some at a time.

    Args:
        count: How many there are; where damage keeps some from being read, each is told of as unreadable.
        cut: There may be more, which are left out.
    """
    left = count
    for rows in _rows_of(source, piece, count, refine):
        yield rows[:left] if cut else rows
        left -= len(rows)
        if cut and left <= 0:
            return


def _rows_of(source: Rows, piece: Piece, count: int, refine: Refine) -> Iterator[list[Row]]:
    seen = 0
    damage = _why_shut(piece)
    for part in parts(piece) if damage is None else ():
        begun = seen
        extras = _extras(part)
        try:
            for batch in batches(part, columns.SCHEMA.names):
                made = list(_in_batch(source, batch, extras, refine))
                seen += len(made)
                yield made
        except DataError as exc:
            damage = exc
            if part.row >= 0 and piece.shard.kind == "parquet":
                lost = rows_in(part) - (seen - begun)
                yield [_lost(source, piece, part.row + seen - begun + n, exc) for n in range(lost)]
                seen += lost
    if seen < count and damage is not None:
        yield [_lost(source, piece, n, damage) for n in range(seen, count)]
    elif seen != count:
        raise DataError(f"{piece.shard.name}: {seen:,} lines where {count:,} were counted; was it changed meanwhile?")


def _why_shut(piece: Piece) -> DataError | None:
    """What keeps a file from being opened at all."""
    try:
        next(pieces(piece.shard), None)
    except DataError as exc:
        return exc
    return None


def _in_batch(source: Rows, batch: Batch, extras: _Extras | None, refine: Refine) -> Iterator[Row]:
    shard = batch.shard
    lines: list[tuple[int, Row]] = []
    found = _findings(batch, refine.findings) if batch.rows.num_rows else {}
    for at, row in enumerate(batch.rows.to_pylist()):
        row["split"] = shard.split
        more = extras.of(batch.numbers[at]) if extras is not None else {}
        lines.append((batch.numbers[at], _row(source, batch, at, row, more, found.get(at, {}), refine)))
    for bad in batch.bad:
        category = shard.split if shard.split in CATEGORIES else NO_CATEGORY
        told = BadLine(source.name, bad.place, category, shard.language or "en", bad.reason, bad.evidence)
        lines.append((_number(bad.place), Row(_shown(source, told, {}), told)))
    yield from (line for _, line in sorted(lines, key=lambda numbered: numbered[0]))


def _number(place: str) -> int:
    return int(place.rpartition(" ")[2])


def _row(
    source: Rows,
    batch: Batch,
    at: int,
    row: dict[str, Any],
    more: dict[str, Any],
    found: dict[str, str],
    refine: Refine,
) -> Row:
    def read(told: Mapping[str, Any]) -> Sample:
        return _with_ours(to_sample(told), more)

    made = prompt_of(source, batch.shard, batch.place(at), row, read)
    if isinstance(made, BadLine):
        return Row(_shown(source, made, row), made)
    assert made.given is not None
    return Row(replace(made.given, expected=expected_of(made.given, row, refine)), None, found)


def _findings(batch: Batch, wanted: Sequence[str]) -> dict[int, dict[str, str]]:
    """Evidence by check, by row, of those checks that are wanted."""
    out: dict[int, dict[str, str]] = {}
    if not wanted:
        return out
    every = row_checks(Block(batch))
    for name in wanted:
        held = every.get(name, ())
        for at in held if isinstance(held, dict) else map(int, held):
            out.setdefault(at, {})[name] = held[at] if isinstance(held, dict) else ""
    return out


class _Extras:
    """The columns of our own rows that the readers of datasets leave out, asked for in rising order."""

    def __init__(self, piece: Piece) -> None:
        self._rows = raw_rows(piece, OURS)
        self._next = piece.row

    def of(self, number: int) -> dict[str, Any]:
        """Those of one row of the file."""
        skipped, self._next = number - self._next, number + 1
        return next(islice(self._rows, skipped, None))


def _extras(piece: Piece) -> _Extras | None:
    if piece.shard.kind != "parquet":
        return None
    try:
        there = metadata(piece.shard).schema.to_arrow_schema().names
    except (DataError, OSError, ValueError):
        return None
    return _Extras(piece) if set(OURS) <= set(there) else None


def _with_ours(sample: Sample, more: Mapping[str, Any]) -> Sample:
    """With what one of our own rows says of its past."""
    if not more:
        return sample
    usage = more["usage"]
    return replace(
        sample,
        source=more["source"] or "",
        source_id=more["source_id"] or "",
        source_license=more["source_license"] or "",
        parent=more["parent_uuid"],
        prompt_key=more["prompt_key"] if KEY.fullmatch(more["prompt_key"] or "") else "",
        sample_index=more["sample_index"] or 0,
        sampling=more["sampling"] or "",
        requests=tuple(more["requests"] or ()),
        verdicts=tuple(Verdict(v["step"], bool(v["passed"]), v["evidence"] or "") for v in more["verdicts"] or ()),
        usage=Usage(usage["prompt_tokens"] or 0, usage["completion_tokens"] or 0) if usage else None,
    )


def expected_of(sample: Sample, row: Mapping[str, Any], refine: Refine) -> str | None:
    """The right answer that a row names, where the recipe says that it stands; None where it names none."""
    for key in refine.expected:
        held: Any = row.get(key) if key in columns.TEXTS else None
        if held is None:
            held = sample.metadata
            for step in key.split("."):
                held = held.get(step) if isinstance(held, Mapping) else None
        if held is None or isinstance(held, bool | Mapping | list):
            continue
        text = held if isinstance(held, str) else orjson.dumps(held).decode()
        if refine.expected_after is not None:
            _, mark, text = text.rpartition(refine.expected_after)
            text = text if mark else ""
        if text.strip():
            return text.strip()
    return None


def _shown(source: Rows, bad: BadLine, row: Mapping[str, Any]) -> Sample:
    """What is shown of a line that is no row: all of it where it reads as one, else its uuid and place."""
    uuid = row.get("uuid") or identity.input_uuid(bad.source, bad.where)
    made = Sample(uuid=uuid, category=bad.category, reasoning="off", messages=())
    for shown in ({**row, "messages": [], "reasoning": None}, row) if row else ():
        with suppress(LossyConversion, KeyError, TypeError):
            made = to_sample(shown)
    return replace(
        made, uuid=uuid, category=bad.category, language=bad.language, source=source.name, source_id=bad.where
    )


def _lost(source: Rows, piece: Piece, number: int, damage: DataError) -> Row:
    """A row that damage has taken."""
    shard = piece.shard
    category = shard.split if shard.split in CATEGORIES else NO_CATEGORY
    where = f"{shard.name}:row {number}" if piece.row >= 0 else f"{shard.name}:byte {piece.first} and {number} rows"
    bad = BadLine(source.name, where, category, shard.language or "en", "unreadable", one_line(damage, 300))
    return Row(_shown(source, bad, {}), bad)
