"""The card of the by-products."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tracemill.legible import one_line
from tracemill.recipe import Recipe

ABOUT = {
    "preference": "A right and a wrong answer to one prompt, for preference training: `prompt`, `chosen`, `rejected`.",
    "preference_tools": "The same of episodes with tools; each message is a JSON object, `tools` is JSON text.",
    "prompts": (
        "Prompts with what verifies an answer, for online training: `answer` and `check` (JSON text) are what `verifier` "
        "compares with; `pass_rate` is `right` by `judged`."
    ),
}
_NOTES = """\
Traces stand in the answers between `<think>` tags where `reasoning` is on. A wrong answer is one that a check or the judge
found whole and wrong (`why_rejected`); answers that were cut off, empty or undecided are in no pair. In `pass_rate` broken
answers count as wrong, undecided ones not at all.
"""
_STOPPED = """\
Samples were asked for until {agree} were right, so rates of few samples are too high: asking ends with a success.
"""


def card(recipe: Recipe, counts: Mapping[str, Mapping[str, int]], licenses: Mapping[tuple[str, str], int]) -> str:
    """Markdown, with the configs that `datasets.load_dataset` reads.

    Args:
        counts: Rows by kind and category.
        licenses: Rows by source and its licence.
    """
    head = ["---", "configs:"]
    for kind in counts:
        head += [f"- config_name: {kind}", "  data_files:", "  - split: train", f"    path: {kind}/*.parquet"]
    lines = [*head, "---", "", f"# By-products of {recipe.name} {json.dumps(recipe.version)[1:-1]}", ""]
    for kind, of in counts.items():
        lines += [f"## {kind}", "", ABOUT[kind], "", "| category | rows |", "| --- | --- |"]
        lines += [f"| {category} | {count:,} |" for category, count in of.items()] + [""]
    lines += [_NOTES]
    if recipe.respond.agree is not None:
        lines += [_STOPPED.format(agree=recipe.respond.agree)]
    lines += ["## Sources", "", "| source | licence | rows |", "| --- | --- | --- |"]
    lines += [f"| {_cell(s)} | {_cell(told)} | {rows:,} |" for (s, told), rows in sorted(licenses.items())]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|").replace("<", "&lt;")
