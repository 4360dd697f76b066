"""Which rows are wanted: by split, category, language, licence, generator or reasoning.

What a shard's name or a row group's statistics decide is never decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tracemill.errors import UsageError
from tracemill.legible import did_you_mean, quoted
from tracemill.reading.shards import Shard
from tracemill.reading.withheld import with_prompt

Wanted = str | Iterable[str] | None
KEYS = ("category", "language", "license", "generator", "reasoning")
MULTILINGUAL = "multilingual_"


@dataclass(frozen=True, slots=True)
class Filters:
    """Values by column; a column that is not there filters nothing."""

    values: Mapping[str, frozenset[str]]
    prompted: bool = False
    """Leave out rows whose prompt was withheld."""

    @property
    def any(self) -> bool:
        """Whether some row may not pass."""
        return bool(self.values) or self.prompted

    @property
    def columns(self) -> list[str]:
        """What must be read to decide about a row."""
        needed = set(self.values)
        if "category" in needed:
            needed.add("domain")
        if "language" in needed:
            needed.add("category")
        return sorted(needed | ({"messages"} if self.prompted else set()))

    def shard_may_pass(self, shard: Shard) -> bool:
        """Whether a shard can hold rows that are wanted, as far as its name tells."""
        languages = self.values.get("language")
        return languages is None or shard.language is None or shard.language in languages

    def mask(self, rows: pa.RecordBatch, shard: Shard) -> pa.Array | None:
        """True for each row that is wanted; None where all are. `rows` holds `columns`."""
        passed = with_prompt(rows.column("messages")) if self.prompted else None
        for column, values in self.values.items():
            held = languages_of(rows, shard) if column == "language" else rows.column(column)
            known = pa.array(sorted(values), pa.string())
            one = pc.is_in(held, value_set=known)
            if column == "category":
                one = pc.or_(one, pc.is_in(rows.column("domain"), value_set=known))
            passed = one if passed is None else pc.and_(passed, one)
        return passed


def languages_of(rows: pa.RecordBatch, shard: Shard) -> pa.Array:
    """The language of each row: its own column, else what its category or split is called, else English.

    `rows` holds `category`, and `language` where the file may have one.
    """
    spoken = pa.nulls(rows.num_rows, pa.string())
    if "language" in rows.schema.names:
        spoken = rows.column("language")
        spoken = pc.if_else(pc.equal(spoken, ""), pa.scalar(None, pa.string()), spoken)
    if spoken.null_count:
        category = rows.column("category")
        named = pc.if_else(
            pc.fill_null(pc.starts_with(category, MULTILINGUAL), False),
            pc.utf8_slice_codeunits(category, len(MULTILINGUAL)),
            pa.scalar(shard.language or "en"),
        )
        spoken = pc.coalesce(spoken, named)
    return spoken


def filters(given: Mapping[str, Wanted]) -> Filters:
    """Filters from keywords. Raises UsageError for a value that nothing can have."""
    values: dict[str, frozenset[str]] = {}
    for column, value in given.items():
        if value is None:
            continue
        names = frozenset([value] if isinstance(value, str) else value if isinstance(value, Iterable) else ())
        if not names or not all(isinstance(name, str) for name in names):
            raise UsageError(f"{column}={value!r}: give text, or several texts")
        if column == "reasoning" and not names <= {"on", "off"}:
            raise UsageError(f"reasoning={value!r}: there is 'on' and 'off'")
        values[column] = names
    return Filters(values)


def means_training(wanted: Wanted) -> bool:
    """Whether the split that is asked for is "train": what is trained on has its prompts."""
    return wanted is not None and "train" in ([wanted] if isinstance(wanted, str) else list(wanted))


def pick_splits(shards: list[Shard], wanted: Wanted) -> list[Shard]:
    """The shards of the splits that are wanted; "train" means all of them where no split is called so.

    Raises:
        UsageError: there is no such split; the text names those there are.
    """
    if wanted is None:
        return shards
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    there = sorted({shard.split for shard in shards})
    for name in names:
        if name not in there and name != "train":
            raise UsageError(
                f"there is no split {quoted(name)}; there are {', '.join(there[:20])}.{did_you_mean(name, there)}"
            )
    if "train" in names and "train" not in there:
        return shards
    return [shard for shard in shards if shard.split in names]
