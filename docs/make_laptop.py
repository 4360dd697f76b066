"""Write the figures of docs/laptop.md from bench/results: `python docs/make_laptop.py`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("laptop.md")
RESULTS = PAGE.parents[1] / "bench" / "results"
V1_BYTES = 203_373_185_595
"""What is fetched of v1, by its card."""
V1_WITHHELD = 1_896_395 + 746_622
"""Rows of its splits code and chat, by its card."""
STEPS = (
    ("`tracemill validate`, all checks", "validate", "everything", V1_BYTES),
    ("`tm.measure`, the article's metrics", "validate", "the article's metrics", V1_BYTES),
    ("`tracemill contains`, 100 words", "consume", "contains, 100 words", V1_BYTES),
    ("`tracemill restore`, code and chat", "consume", "restore", None),
)
"""(step, result, its lines, bytes of v1 that it reads; None: as many rows as are withheld). Of lines that were measured in
several sizes the largest is told.
"""
MARKED = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def table() -> str:
    """The figures: measured, and what they come to for v1."""
    lines = [
        "| step | rows a second of one core | peak memory, MB | all of v1, hours of one core (extrapolated) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for step, name, prefix, size in STEPS:
        file = RESULTS / f"{name}.json"
        told = json.loads(file.read_text(encoding="utf-8"))
        (cpu, label), (memory, _) = (_ours(told, prefix, what) for what in ("CPU seconds", "peak memory"))
        rows, held = _measured(told["settings"], label) if size else (told["settings"]["conversations"] // 2, 0)
        hours = cpu * (size / held if size else V1_WITHHELD / rows) / 3600
        lines.append(f"| {step} | {rows / cpu:,.0f} | {memory:,.0f} | {hours:.1f} |")
    return "\n".join(lines)


def _ours(told: dict[str, Any], prefix: str, what: str) -> tuple[float, str]:
    """(the first column of the last line of that name, the size of data that it speaks of, "" where it names none)."""
    named = re.compile(rf"{re.escape(prefix)}(?:, (?P<size>[\d.]+ [GM]B))?: {what}")
    found = [(line, match) for line in told["lines"] if (match := named.match(line["text"]))]
    line, match = found[-1]
    return float(line["medians"][0]), match["size"] or ""


def _measured(settings: dict[str, Any], label: str) -> tuple[int, int]:
    """(rows, bytes) of what was measured; of that size, if there were several."""
    if not label:
        return settings["rows"], settings["bytes"]
    place = [f"{size / 1e9:.1f} GB" for size in settings["bytes"]].index(label)
    return settings["rows"][place], settings["bytes"][place]


def page() -> str:
    """The page with its figures as the results now are."""
    return MARKED.sub(lambda found: f"{found[1]}\n{table()}\n\n{found[2]}", PAGE.read_text(encoding="utf-8"))


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
