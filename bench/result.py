"""What a measurement came to: medians of interleaved runs, their ratios, and what is needed to judge them.

The first column is Tracemill; every other one is a baseline. A ratio is Tracemill's figure divided by the baseline's,
taken within each pair of runs that followed one another, so that a neighbour who takes the machine hits both.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"
Figures = Mapping[str, float | None]
"""What one run of one column came to, by the name of the measure."""


@dataclass(frozen=True)
class Measure:
    """One line of a table."""

    name: str
    text: str
    digits: int = 0
    headline: bool = False
    """Whether its ratios are said in a sentence of their own."""


@dataclass(frozen=True)
class Ratio:
    """Tracemill's figure divided by a baseline's, over the pairs."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Line:
    """Medians by column, and for each baseline the ratio; None where there is nothing to compare."""

    text: str
    digits: int
    medians: list[float | None]
    ratios: list[Ratio | None]
    headline: bool = False


@dataclass
class Result:
    """One file of bench/results."""

    name: str
    about: str
    """What was measured, in a sentence or two."""
    columns: list[str]
    lines: list[Line]
    settings: dict[str, Any]
    pairs: int
    quick: bool
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())
    python: str = field(default_factory=platform.python_version)
    system: str = field(default_factory=lambda: f"{platform.system()} {platform.machine()}")
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    noise: dict[str, list[float]] = field(default_factory=dict)
    """Load of the machine over 1, 5 and 15 minutes, before and after; the measurement itself counts in "after"."""
    remarks: list[str] = field(default_factory=list)

    def table(self) -> list[str]:
        """The lines as a Markdown table."""
        return [
            f"| | {' | '.join(self.columns)} |",
            f"| --- |{' ---: |' * len(self.columns)}",
            *(f"| {line.text} | {' | '.join(_cells(line))} |" for line in self.lines),
        ]

    def sentences(self) -> list[str]:
        """The ratios that matter, each against its baseline by name."""
        return [
            f"{line.text}: **{_times(ratio.median)}** that of {column} "
            f"({_times(ratio.least)} to {_times(ratio.most)} in {self.pairs} pairs)"
            for line in self.lines
            if line.headline
            for column, ratio in zip(self.columns[1:], line.ratios[1:], strict=True)
            if ratio is not None
        ]

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def read_result(path: Path) -> Result:
    """The result in a file."""
    told = json.loads(path.read_text(encoding="utf-8"))
    told["lines"] = [
        Line(**{**line, "ratios": [None if r is None else Ratio(**r) for r in line["ratios"]]})
        for line in told["lines"]
    ]
    return Result(**told)


def compared(
    runs: Mapping[str, Sequence[Figures]], measures: Sequence[Measure], prefix: str = "", plain: bool = False
) -> list[Line]:
    """One line per measure over runs by column, Tracemill's first; the n-th runs of all columns make a pair.

    Args:
        prefix: Put before the text of every line.
        plain: No ratios, for figures that are no contest.
    """
    ours, *_ = runs.values()
    lines = []
    for measure in measures:
        medians: list[float | None] = []
        ratios: list[Ratio | None] = []
        for number, column in enumerate(runs.values()):
            known = [v for run in column if (v := run.get(measure.name)) is not None]
            medians.append(round(median(known), 6) if known else None)
            each = [
                mine / other
                for a, b in zip(ours, column, strict=True)
                if (mine := a.get(measure.name)) is not None and (other := b.get(measure.name))
            ]
            told = Ratio(*(round(f(each), 4) for f in (median, min, max))) if each and number and not plain else None
            ratios.append(told)
        lines.append(Line(prefix + measure.text, measure.digits, medians, ratios, measure.headline))
    return lines


def load() -> list[float]:
    """Load of the machine over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def file_system(place: Path) -> str:
    """The kind of file system that a directory lies on, e.g. "ext4"; waiting for the disk means nothing on "tmpfs"."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown"
    real = str(place.resolve())
    over = [(len(m[1]), m[2]) for m in mounts if real == m[1] or real.startswith(m[1].rstrip("/") + "/")]
    return max(over)[1] if over else "unknown"


def _cells(line: Line) -> list[str]:
    return [
        "-" if value is None else f"{value:,.{line.digits}f}" + ("" if ratio is None else f" ({_times(ratio.median)})")
        for value, ratio in zip(line.medians, line.ratios, strict=True)
    ]


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.3g}x"
