"""The dataset card: front matter that `load_dataset` and the Hub read, and what a person wants to know.

A function of the rows and the recipe: it holds no date, so equal runs have equal cards. Text from the recipe or the
data is escaped, so that it stays text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

import tracemill
from tracemill.ledger import Ledger
from tracemill.publish.categories import by_model, canaries, checks_told, left_out
from tracemill.publish.exclusion import exclusion
from tracemill.recipe import Recipe
from tracemill.recipe.teacher import Price

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
         (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"))  # fmt: skip
"""The Hub's size categories."""
HUB_LICENSES = frozenset(
    [
        "apache-2.0",
        "mit",
        "cc0-1.0",
        "cc-by-4.0",
        "cc-by-3.0",
        "cc-by-sa-4.0",
        "cc-by-sa-3.0",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "odc-by",
        "pddl",
        "bsd-3-clause",
        "bsd-2-clause",
        "gpl-3.0",
        "lgpl-3.0",
        "afl-3.0",
        "unknown",
    ]
)
"""Licence words that the Hub knows; others are given as license_name."""
COLUMNS = ("category", "language", "generator", "reasoning", "license", "source_license")


@dataclass(frozen=True, slots=True)
class Usage:
    """What the replies of one generator took, over the rows that they became. A function of the replies alone: what was
    asked again, or in vain, is not in it, for it depends on how a run went.
    """

    kept: int = 0
    """Rows that passed."""
    told: int = 0
    """Rows, kept and rejected, whose endpoint counted tokens."""
    rows: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def plus(self, kept: int, told: int, rows: int, prompt_tokens: int, completion_tokens: int) -> Usage:
        """With so many more of each."""
        more = (kept, told, rows, prompt_tokens, completion_tokens)
        mine = (self.kept, self.told, self.rows, self.prompt_tokens, self.completion_tokens)
        return Usage(*(a + b for a, b in zip(mine, more, strict=True)))


@dataclass(frozen=True)
class CardFacts:
    """Whatever the card tells."""

    recipe: Recipe
    inputs: list[dict[str, Any]]
    rows: Counter[tuple[str, str, str, str, str, str]]
    """Kept rows by `COLUMNS`."""
    ledger: Ledger
    files: list[dict[str, Any]]
    usage: Mapping[str, Usage] = field(default_factory=dict)
    """By generator."""
    removed: int = 0
    """Rows that were taken down."""

    @property
    def total(self) -> int:
        return sum(self.rows.values())

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split."""
        out: Counter[str] = Counter()
        for entry in self.files:
            if "split" in entry:
                out[entry["split"]] += entry["rows"]
        return dict(out)


def write_card(facts: CardFacts) -> str:
    """README.md of the dataset."""
    recipe = facts.recipe
    parts = [
        "---",
        yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {escape(recipe.name)}",
        "",
        escape(recipe.description)
        or "Prompts with answers of language models. Answers to math prompts were checked; others only for being whole.",
        "",
        *_counts(facts),
        *_exclusion(facts),
        *_translation(facts),
        *_structure(recipe),
        *_making(recipe, {key[0] for key in facts.rows}),
        *_planted(facts.ledger),
        *_effort(facts),
        *_sources(facts),
        *_rights(recipe, facts.removed),
        *_citation(recipe),
    ]
    return "\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that Markdown and HTML show as it is."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", text).strip()


def _front_matter(facts: CardFacts) -> dict[str, Any]:
    word = facts.recipe.license.lower()
    known = word in HUB_LICENSES
    front: dict[str, Any] = {"license": word if known else "other"}
    if not known:
        front["license_name"] = facts.recipe.license
    front["language"] = sorted({key[1] for key in facts.rows}) or ["en"]
    front["pretty_name"] = facts.recipe.name
    front["task_categories"] = ["text-generation"]
    front["tags"] = ["synthetic", "reasoning", "post-training", "tracemill"]
    front["size_categories"] = [next((name for most, name in SIZES if facts.total < most), "n>1T")]
    files = [{"split": s, "path": f"data/{s}-*.parquet"} for s in facts.splits]
    front["configs"] = [{"config_name": "default", "data_files": files}]
    return front


def table_lines(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    """A Markdown table, and an empty line; text is escaped."""
    if not rows:
        return ["None.", ""]
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(f"{v:,}" if isinstance(v, int) else escape(str(v)) for v in row) + " |" for row in rows]
    return [*lines, ""]


def _counts(facts: CardFacts) -> list[str]:
    out = ["## What is in it", "", f"{facts.total:,} rows.", ""]
    out += table_lines(("split", "rows"), list(facts.splits.items()))
    of_models: Counter[tuple[str, str, str]] = Counter()
    for key, rows in facts.rows.items():
        of_models[key[0], key[2], key[3]] += rows
    out += ["By category, model and reasoning:", "", *table_lines(*by_model(of_models))]
    for title, column in (
        ("category", 0), ("language", 1), ("generator", 2), ("reasoning", 3), ("licence of the row", 4),
        ("licence of the prompt", 5),
    ):  # fmt: skip
        count: Counter[str] = Counter()
        for key, rows in facts.rows.items():
            count[key[column]] += rows
        out += [f"By {title}:", "", *table_lines((title, "rows"), sorted(count.items()))]
    return out


def _exclusion(facts: CardFacts) -> list[str]:
    return [
        "## What was left out",
        "",
        "Rows that were refused, by stage and reason; the share is of the rows that came to the stage.",
        "",
        *table_lines(*left_out(facts.ledger)),
    ]


NOBODY = "No model was asked: what a memory of translations has is all that was translated."


def _translation(facts: CardFacts) -> list[str]:
    """What translation lost, beside the article's table; nothing where nothing was translated."""
    cells = exclusion(facts.ledger)
    wanted = facts.recipe.translate
    if not cells or wanted is None:
        return []
    rows = [
        (
            *(cell.language, cell.category, cell.rows, f"{cell.share:.2%}", f"{cell.share_of_bytes:.2%}"),
            "" if cell.article is None else f"{cell.article:.2f}%",
        )
        for cell in cells
    ]
    routes = "; ".join(
        f"{code}: {', '.join(facts.recipe.teachers[name].model for name in route)}"
        for code, route in wanted.routes.items()
    )
    kept = ", ".join(
        ([] if wanted.traces else ["reasoning traces"]) + ["code but its comments" if wanted.comments else "code"]
    )
    return [
        "## Translation",
        "",
        f"Prompts and answers were translated from {escape(wanted.source)} segment by segment; {kept}, "
        "formulas and addresses are those of the originals, byte for byte. Each segment had to pass every gate, and was "
        f"asked for again where it did not. {f'Models by language: {escape(routes)}.' if routes else NOBODY}",
        "",
        "Rows that were lost, of rows and of bytes; the last column is what the article on NVIDIA's Post-Training Dataset "
        "v2 tells of the same cell, in bytes.",
        "",
        *table_lines(("language", "category", "rows", "lost", "of bytes", "article"), rows),
        *_looked_at(facts.ledger),
    ]


def _looked_at(ledger: Ledger) -> list[str]:
    """What people said of the segments that they looked at."""
    seen: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for (_, _, code, what), count in ledger.measured.items():
        seen[code] += count if what == "looked at" else 0
        agreed[code] += count if what == "agreed" else 0
    rows = [(code, count, agreed[code], f"{agreed[code] / count:.1%}") for code, count in sorted(seen.items()) if count]
    if not rows:
        return []
    head = ("language", "segments looked at by people", "left as a model had said them", "share")
    return ["Where people looked at translations, theirs stand in the rows.", "", *table_lines(head, rows)]


def _structure(recipe: Recipe) -> list[str]:
    layouts = {
        "full": "The first eight columns are those of NVIDIA's Nemotron Post-Training Dataset v1, in name, order and type; "
        "language, source, verdicts, usage and the like follow. The trace stands between `<think>` and `</think>` at "
        "the head of the assistant's content.",
        "v1": "The columns are those of NVIDIA's Nemotron Post-Training Dataset v1.",
        "v2": "The columns are those of NVIDIA's Nemotron Post-Training Dataset v2.",
        "v3": "The columns are those of NVIDIA's v3 post-training sets: the trace is in `reasoning_content`.",
    }
    return ["## Structure", "", layouts[recipe.publish.layout], ""]


def _planted(ledger: Ledger) -> list[str]:
    head, rows = canaries(ledger)
    told = "Answers with a known verdict were planted for the judge, who did not know them from others."
    return [told, "", *table_lines(head, rows)] if rows else []


def _making(recipe: Recipe, categories: set[str]) -> list[str]:
    if recipe.refine is not None:
        findings = ", ".join(f"`{name}`" for name in recipe.refine.findings) or "none"
        told = (
            f"Refined with Tracemill {tracemill.__version__}: finished rows were taken as they were, and those that a check "
            f"refused were taken out. Refused were rows with these findings: {findings}; rows that are not whole; rows whose "
            "answer is not the expected one, where one is known; and rows that say what an earlier one says. What no check "
            "could tell about has the verdict `unchecked`."
        )
        return ["## How it was made", "", told, ""]
    rows = [
        (
            t.model,
            t.revision or "",
            ", ".join(f"{k} {v}" for k, v in t.sampling_for("math").model_dump(exclude_none=True).items()),
        )
        for t in recipe.teachers.values()
    ]
    return [
        "## How it was made",
        "",
        f"Made with Tracemill {tracemill.__version__}. Each prompt was answered {_how_often(recipe)} for each "
        f"reasoning mode ({recipe.respond.reasoning}). {escape(checks_told(recipe, categories))}",
        "",
        *table_lines(("model", "revision", "sampling"), rows),
    ]


def _how_often(recipe: Recipe) -> str:
    told = recipe.respond
    return (
        f"{told.samples} time(s)" if told.agree is None else f"until {told.agree} of at most {told.samples} were right"
    )


def _effort(facts: CardFacts) -> list[str]:
    """Tokens, and money where the recipe has prices, in all and for each kept row."""
    used = {name: usage for name, usage in sorted(facts.usage.items()) if usage.told}
    if not used:
        return []
    priced = any(_price(facts.recipe, name) for name in used)
    head = ("model", "rows answered", "kept", "prompt tokens", "reply tokens", "tokens for a kept row")
    rows = []
    for name, usage in used.items():
        tokens = usage.prompt_tokens + usage.completion_tokens
        row: tuple[Any, ...] = (name, usage.rows, usage.kept, usage.prompt_tokens, usage.completion_tokens)
        row += (_each(tokens, usage.kept, ",.0f"),)
        if priced:
            price = _price(facts.recipe, name)
            cost = price.of(usage.prompt_tokens, usage.completion_tokens) if price else None
            row += (("not given",) * 2) if cost is None else (f"{cost:.6g}", _each(cost, usage.kept, ".4g"))
        rows.append(row)
    untold = sum(usage.rows - usage.told for usage in facts.usage.values())
    out = [
        "## What it took",
        "",
        "Tokens of the replies that rows were made of, those of rejected rows included, as the endpoints counted them. "
        "What was asked again or in vain is not in it."
        + (f" For {untold:,} rows nobody counted." if untold else "")
        + (" Cost is by the recipe's prices." if priced else ""),
        "",
    ]
    return out + table_lines((*head, "cost", "cost of a kept row") if priced else head, rows)


def _each(amount: float, rows: int, form: str) -> str:
    return format(amount / rows, form) if rows else "none kept"


def _price(recipe: Recipe, generator: str) -> Price | None:
    """What a model's tokens cost: None if that is not known, or not the same with all teachers that serve it."""
    prices = {teacher.price for teacher in recipe.teachers.values() if teacher.model == generator}
    return prices.pop() if len(prices) == 1 else None


def _sources(facts: CardFacts) -> list[str]:
    rows = []
    for source in facts.inputs:
        made = source.get("generated")
        origin = (
            f"generated ({made['generate']}, seed {made['seed']})" if made else source.get("url") or "no address given"
        )
        rows.append((source["name"], source["license"], source["prompts"], source["bad_lines"], origin))
    out = [
        "## Sources of the prompts",
        "",
        *table_lines(("source", "licence", "prompts", "unusable lines", "from"), rows),
    ]
    for source in facts.inputs:
        if source.get("citation"):
            out += ["```bibtex", source["citation"].replace("```", "'''").strip(), "```", ""]
    return out


def _rights(recipe: Recipe, removed: int) -> list[str]:
    contact = escape(recipe.contact) if recipe.contact else "none given"
    return [
        "## Rights and removal",
        "",
        f"Licence of the rows as released: {escape(recipe.license)}. The licence of each prompt is in `source_license`; "
        "the terms of the models that answered may apply as well. ATTRIBUTION.md counts the rows of each source.",
        "",
        f"To have a row taken out, write to: {contact}." + (f" {removed:,} rows were taken out." if removed else ""),
        "",
    ]


def _citation(recipe: Recipe) -> list[str]:
    text = recipe.citation or (
        f"@misc{{{recipe.name.replace('-', '_')},\n  title = {{{recipe.name}}},\n  version = {{{recipe.version}}},\n"
        "  howpublished = {Made with Tracemill}\n}"
    )
    return ["## Citation", "", "```bibtex", text.replace("```", "'''").strip(), "```"]
