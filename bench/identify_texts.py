"""Texts whose language is known, for `bench.identify`: whole ones, lines, and ones that are full of formulas or code."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import ROOT

DATA = ROOT.parent / "shared" / "data"
MINE = ("en", "fr", "es", "de", "it", "ja")
"""The languages of a run, as an engine that can choose is told them."""
OTHERS = ("pt", "ca", "nl", "zh", "ko", "ro", "ru", "sw")
WHOLE = ("MGSM problem", "NTREX document", "MT-Bench answer")
LINES = ("FLORES line", "NTREX line", "MGSM sentence", "MT-Bench line")
SHORT = ("lingua sentence", "lingua word pair", "lingua word")
FORMAL = ("LaTeX-heavy", "code-heavy", "TheoremQA solution")
SETS = (*WHOLE, *LINES, *SHORT, *FORMAL)
ENGLISH_ANSWERS = frozenset({("de", 95), ("fr", 95), ("ja", 95)})
"""(language, question) of MT-Bench whose recorded answers are in English, which is what was asked of a model there."""
_FORMULA = re.compile(r"\$\$[^$]+\$\$|\$[^$\n]{8,}\$|\\\[.+?\\\]|\\\(.{8,}?\\\)", re.DOTALL)
_WORDS = re.compile(r"(?<!\\)\b[a-z]{2,}\s+[a-z]{2,}\s+[a-z]{2,}", re.IGNORECASE)
"""Words between two formulas, which a pattern for formulas catches too."""
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*")


@dataclass(frozen=True)
class Text:
    """One text."""

    kind: str
    language: str
    text: str

    @property
    def half(self) -> int:
        """0: thresholds may be set by it; 1: figures are taken from it. By hash, so equal texts fall together."""
        return hashlib.sha256(self.text.encode()).digest()[0] % 2


def rows(*parts: str) -> list[dict[str, Any]]:
    """The rows of one file of the shared data."""
    with gzip.open(DATA.joinpath(*parts), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def texts() -> Iterator[Text]:
    """All of them, in an order that stays."""
    codes = (*MINE, *OTHERS)
    sentences: dict[str, list[str]] = defaultdict(list)
    for row in rows("mgsm", "mgsm_parallel.jsonl.gz"):
        for code in codes:
            if code in row:
                yield Text("MGSM problem", code, row[code])
                for sentence in _SENTENCE.split(row[code]):
                    if sentence.strip():
                        sentences[code].append(sentence)
                        yield Text("MGSM sentence", code, sentence)
    for name in ("flores_dev.jsonl.gz", "flores_test.jsonl.gz"):
        for row in rows("flores", name):
            for code in MINE:
                sentences[code].append(row[code])
                yield Text("FLORES line", code, row[code])
    documents: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows("ntrex", "ntrex.jsonl.gz"):
        for code in codes:
            if code in row:
                documents[code, row["doc"]].append(row[code])
                yield Text("NTREX line", code, row[code])
    for (code, _), lines in documents.items():
        yield Text("NTREX document", code, "\n".join(lines))
    for row in rows("lid_lines", "lid_lines.jsonl.gz"):
        yield Text(
            "lingua " + row["kind"].rstrip("s").replace("-", " ").replace("single ", ""), row["lang"], row["text"]
        )
    yield from _answers()
    yield from _formal(sentences)


def _answers() -> Iterator[Text]:
    """Recorded answers of two models to MT-Bench in six languages, whole and by lines without their code."""
    for name in ("answers_qwen2_7b_instruct.jsonl.gz", "answers_gpt35_turbo.jsonl.gz"):
        for row in rows("mt_bench", name):
            if (row["lang"], row["question_id"]) in ENGLISH_ANSWERS:
                continue
            for turn in row["turns"]:
                yield Text("MT-Bench answer", row["lang"], turn)
                for line in _FENCED.sub("", turn).split("\n"):
                    if line.strip():
                        yield Text("MT-Bench line", row["lang"], line)


def _formal(sentences: dict[str, list[str]]) -> Iterator[Text]:
    """Human sentences of a language among real formulas or real code, three to six of each; and English solutions."""
    solutions = [row["solution"] for row in _theorems()]
    for solution in solutions:
        yield Text("TheoremQA solution", "en", solution)
    formulas = [found for text in solutions for found in _FORMULA.findall(text) if not _WORDS.search(found)]
    code = [row["code"].replace("\r", "") for row in rows("mbpp", "mbpp.jsonl.gz")]
    draw = random.Random(7)
    for language in MINE:
        own = sentences[language]
        for _ in range(400):
            said = draw.sample(own, draw.randint(3, 6))
            yield Text("LaTeX-heavy", language, "\n\n".join(f"{s} {' '.join(draw.sample(formulas, 4))}" for s in said))
            said = draw.sample(own, draw.randint(3, 6))
            yield Text("code-heavy", language, "\n\n".join(f"{s}\n```python\n{draw.choice(code)}\n```" for s in said))


def _theorems() -> list[dict[str, Any]]:
    """Solutions of a model to problems of TheoremQA that are written with LaTeX, in the language of the problems."""
    found = rows("theoremqa", "responses_internlm2_20b.jsonl.gz") + rows(
        "theoremqa", "responses_mistral_7b_base_v0.2.jsonl.gz"
    )
    return [row for row in found if row["solution"].count("$") >= 6 or row["solution"].count("\\") >= 8]


def there() -> bool:
    """Whether the data are beside the project."""
    return Path(DATA, "lid_lines").is_dir()
