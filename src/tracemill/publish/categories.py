"""What a card tells by category: rows by model and mode, what was left out, how answers were checked, and by whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tracemill.ledger import Ledger
from tracemill.recipe import Recipe

Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]
"""Head and rows."""


def by_model(rows: Mapping[tuple[str, str, str], int]) -> Table:
    """Rows of each category and model, with and without reasoning.

    Args:
        rows: Counts by (category, generator, reasoning).
    """
    pairs = sorted({key[:2] for key in rows})
    modes = [(rows.get((*pair, "on"), 0), rows.get((*pair, "off"), 0)) for pair in pairs]
    head = ("category", "model", "rows", "reasoning on", "reasoning off")
    return head, [(*pair, on + off, on, off) for pair, (on, off) in zip(pairs, modes, strict=True)]


def left_out(ledger: Ledger) -> Table:
    """Rows lost by stage and reason: in each category where there are several, in all, and of those that came there."""
    came: Counter[str] = Counter()
    for (stage, _, _), count in (*ledger.taken.items(), *ledger.spawned.items()):
        came[stage] += count
    cells: Counter[tuple[str, str, str]] = Counter()
    for (stage, category, _, reason), count in (*ledger.dropped.items(), *ledger.failed.items()):
        cells[stage, reason, category] += count
    there = sorted({key[2] for key in cells})
    columns = there if len(there) > 1 else []
    rows = [
        (stage, reason, *(cells[stage, reason, name] for name in columns), count, f"{100 * count / came[stage]:.2f} %")
        for (stage, reason), count in ledger.by_reason().items()
    ]
    return ("stage", "reason", *columns, "rows", "share"), rows


def checks_told(recipe: Recipe, categories: Iterable[str]) -> str:
    """How the answers of these categories were checked, a sentence or two for each."""
    verify, judge = recipe.verify, recipe.judge
    judged = () if judge is None else judge.categories
    code = {
        "require": "Code was parsed and run against its tests in a sandbox, and dropped unless it passed.",
        "annotate": "Code was parsed, and run against its tests where there was a sandbox; every row is kept, with what "
        "was found in the column of verdicts.",
        "off": "Code was not checked.",
    }
    told = {
        "chat": "" if "chat" in judged else "Chat was checked only for being whole.",
        "code": code[verify.code.policy],
        "math": "Math answers were compared with the expected answer, or where none is known kept if at least "
        f"{verify.math.majority:.0%} of the samples agreed.",
        "stem": "Answers of science and the humanities were compared with the expected ones where those are known: "
        f"letters as letters, measured numbers with their units, within {verify.units.tolerance:.1%}.",
        "tool_calling": "Tool calls had to fit the declared tools, and the calls, results and last state that were wanted, "
        "where those are known.",
    }
    out = [told[name] for name in sorted(set(categories)) if told.get(name)]
    if judge is not None:
        model = recipe.teachers[judge.teacher].model
        out.append(
            f"Answers of {' and '.join(judged)} that no rule could tell about were judged by {model} with a rubric, and kept "
            f"from {judge.passing} points of 5 on."
        )
    return " ".join(out)


def canaries(ledger: Ledger) -> Table:
    """How a judge did with the answers that were planted for it; no rows where none were."""
    ends: Counter[tuple[str, str]] = Counter()
    for (_, _, _, what), count in ledger.measured.items():
        if what.startswith("canary "):
            kind, _, end = what.removeprefix("canary ").partition(": ")
            ends[kind, end] += count
    told = ("passed", "failed", "no verdict", "no reply")
    rows = [
        (kind.replace("_", " "), "pass" if kind == "gold_good" else "fail", *(ends[kind, end] for end in told))
        for kind in sorted({kind for kind, _ in ends})
    ]
    return ("planted answer", "should", *told), rows
