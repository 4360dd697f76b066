"""ATTRIBUTION.md: whose questions, under which licences, answered by which models, are in the rows that are there now.

A function of the rows and of what the recipe says of its sources: no date, so equal rows give equal files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tracemill.publish.card import escape, table_lines

ORIGIN = ("source", "source_license", "generator", "license")
"""Columns of a row that say where it comes from."""
Origins = Counter[tuple[str, ...]]
"""Rows by the values of `ORIGIN`."""


def write_attribution(name: str, license: str, origins: Origins, inputs: Iterable[Mapping[str, Any]]) -> str:
    """The file of a dataset called `name`, which as a whole is released under `license`.

    Args:
        inputs: Of each source: name, license, and url and citation if there are any.
    """
    known = {source["name"]: source for source in inputs}
    rows: list[tuple[Any, ...]] = [
        (source, terms, generator, own, count) for (source, terms, generator, own), count in sorted(origins.items())
    ]
    lines = [
        "# Attribution",
        "",
        f"{escape(name)} holds {sum(origins.values()):,} rows, released under {escape(license)}. This is what they were made of.",
        "",
        *table_lines(("source of the prompt", "its licence", "answered by", "licence of the row", "rows"), rows),
    ]
    for source in sorted({key[0] for key in origins}):
        told = known.get(source, {})
        lines += [f"## {escape(source) or 'no source named'}", "", _about(source, told, origins), ""]
        if told.get("citation"):
            lines += ["```bibtex", told["citation"].replace("```", "'''").strip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _about(source: str, told: Mapping[str, Any], origins: Origins) -> str:
    count = sum(rows for key, rows in origins.items() if key[0] == source)
    terms = ", ".join(sorted({escape(key[1]) for key in origins if key[0] == source and key[1]})) or "not named"
    place = f" From {escape(told['url'])}." if told.get("url") else ""
    made = " Made by Tracemill's own problem generator." if told.get("generated") else ""
    return f"{count:,} rows; licence of its prompts: {terms}.{place}{made}"
