"""What pieces of a dataset add up to. A tally is made by one process, packed, and merged by another, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tracemill.errors import DataError
from tracemill.inspect.sketch import Sketch, unpack
from tracemill.legible import one_line

EXAMPLES = 5
"""Kept of each finding: those that come first in the data."""
MOST_VALUES = 1000
"""Different values of a label that are counted one by one; the rest is "(other)"."""
OTHER = "(other)"

Example = tuple[int, int, str, str, str]
"""(piece, row in it, uuid, place, evidence): sorts as the data does."""


def damage_of(name: str, exc: DataError) -> str:
    """What is said of a damaged file beside its name."""
    return one_line(str(exc).removeprefix(name).lstrip(":, "), 300)


@dataclass(slots=True)
class Finding:
    """How often a check found something in one split, and the first times."""

    count: int = 0
    examples: list[Example] = field(default_factory=list)

    def merge(self, count: int, examples: Iterable[Example]) -> None:
        """Add what was found elsewhere."""
        self.count += count
        self.examples = sorted([*self.examples, *examples])[:EXAMPLES]


@dataclass(slots=True)
class Article:
    """The sums behind the quality metrics of the article on v1, which knows rows of two messages alone."""

    rows: int = 0
    malformed: int = 0
    """Rows with another number of messages than two."""
    empty: int = 0
    """Of the others: those of which a message is empty."""
    measured: int = 0
    input_characters: int = 0
    output_characters: int = 0

    def merge(self, other: Article) -> None:
        """Add the sums of another one."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def to_json(self) -> dict[str, Any]:
        """The article's metrics, under its names; averages of nothing are null."""
        measured = self.measured
        return {
            "total_samples": self.rows,
            "avg_input_length": self.input_characters / measured if measured else None,
            "avg_output_length": self.output_characters / measured if measured else None,
            "empty_samples": self.empty,
            "malformed_samples": self.malformed,
        }


Kinds = tuple[int, int, int, dict[str, dict[str, int]]]
"""(piece, first row in it, rows, counts by value by feature): of what kind the rows of a batch are."""


@dataclass(slots=True)
class Tally:
    """Everything that is counted while the rows go by."""

    rows: Counter[str] = field(default_factory=Counter)
    """By split; lines that were no rows are `bad`."""
    bad: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    """By check and split."""
    lengths: dict[tuple[str, str], Sketch] = field(default_factory=dict)
    """Characters, by split and part: prompt, answer, trace; and "messages", their number."""
    article: dict[str, Article] = field(default_factory=dict)
    values: dict[str, Counter[str]] = field(default_factory=dict)
    """Rows by value, by label."""
    kinds: list[Kinds] = field(default_factory=list)

    def found(self, check: str, split: str, count: int, examples: Iterable[Example]) -> None:
        """Record what a check found."""
        if count:
            self.findings.setdefault((check, split), Finding()).merge(count, examples)

    def length(self, split: str, part: str) -> Sketch:
        """The sketch of one part's lengths."""
        return self.lengths.setdefault((split, part), Sketch())

    def value(self, label: str, counts: dict[str, int]) -> None:
        """Record values of a label."""
        held = self.values.setdefault(label, Counter())
        for value, count in counts.items():
            held[value if value in held or len(held) < MOST_VALUES else OTHER] += count

    def merge(self, other: Tally) -> None:
        """Take another tally in."""
        self.rows.update(other.rows)
        self.bad.update(other.bad)
        for (check, split), finding in other.findings.items():
            self.found(check, split, finding.count, finding.examples)
        for (split, part), sketch in other.lengths.items():
            self.length(split, part).merge(sketch)
        for split, article in other.article.items():
            self.article.setdefault(split, Article()).merge(article)
        for label, counts in other.values.items():
            self.value(label, counts)
        self.kinds += other.kinds

    def pack(self) -> dict[str, Any]:
        """The tally as plain JSON values."""
        return {
            "rows": self.rows,
            "bad": self.bad,
            "findings": [[*key, f.count, f.examples] for key, f in self.findings.items()],
            "lengths": [[*key, sketch.pack()] for key, sketch in self.lengths.items()],
            "article": [
                [split, [getattr(article, name) for name in Article.__slots__]]
                for split, article in self.article.items()
            ],
            "values": self.values,
            "kinds": self.kinds,
        }


def unpacked(told: dict[str, Any]) -> Tally:
    """The tally that was packed."""
    tally = Tally(Counter(told["rows"]), Counter(told["bad"]))
    for check, split, count, examples in told["findings"]:
        tally.found(check, split, count, [tuple(example) for example in examples])
    tally.lengths = {(split, part): unpack(sketch) for split, part, sketch in told["lengths"]}
    tally.article = {split: Article(*numbers) for split, numbers in told["article"]}
    tally.values = {label: Counter(counts) for label, counts in told["values"].items()}
    tally.kinds = [tuple(kind) for kind in told["kinds"]]
    return tally
