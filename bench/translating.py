"""Real rows, and a translator of known faults in this process: what the two measurements of translation share."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import ROOT
from tracemill.models.wire import Ask, Failure, Reply, Request
from tracemill.recipe import Back, Recipe, Rows, Teacher, Translate
from tracemill.record import Message, Sample, Usage
from tracemill.testing.translator import Pretender
from tracemill.translation.stage import Translator, setup

DATA = ROOT.parent / "shared" / "data"


def rows(count: int) -> list[Sample]:
    """Half of them mathematics (GSM8K, solutions of 3 to 120 lines, several put together), a quarter code (MBPP with its
    solution in a fence), a quarter chat (MT-Bench's recorded answers).

    Raises:
        FileNotFoundError: The sets are not there.
    """
    math, code, chat = _math(), _code(), _chat()
    out: list[Sample] = []
    for number in range(count):
        category = ("math", "code", "math", "chat")[number % 4]
        source = {"math": math, "code": code, "chat": chat}[category]
        prompt, answer = next(source)
        turns = (Message("user", prompt), Message("assistant", answer, reasoning=f"Trace {number}."))
        out.append(Sample(f"{number:08d}-0000-4000-8000-000000000000", category, "on", turns, domain=category))
    return out


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a compressed file of JSON lines."""
    with gzip.open(path, "rb") as lines:
        return [json.loads(line) for line in lines]


def _math() -> Iterator[tuple[str, str]]:
    held = lines_of(DATA / "gsm8k" / "train.jsonl.gz")
    at = 0
    for number in range(10**9):
        take = (1, 2, 1, 4, 1, 8, 2, 30)[number % 8]
        part = [held[(at + i) % len(held)] for i in range(take)]
        at += take
        answer = "\n\n".join(row["answer"].partition("####")[0].strip() for row in part)
        yield (
            part[0]["question"],
            f"{answer}\n\nThe answer is \\boxed{{{part[-1]['answer'].rpartition('####')[2].strip()}}}.",
        )


def _code() -> Iterator[tuple[str, str]]:
    held = lines_of(DATA / "mbpp" / "mbpp.jsonl.gz")
    talk = [line for row in lines_of(DATA / "gsm8k" / "train.jsonl.gz")[5000:] for line in row["question"].split(". ")]
    for number in range(10**9):
        row = held[number % len(held)]
        told = talk[number * 12 % len(talk) :][: (2, 6, 12, 40)[number % 4]]
        steps = "\n".join(f"{step}. {line}" for step, line in enumerate(told, 1))
        yield row["text"], f"Here is a function that does it:\n\n```python\n{row['code']}\n```\n\n{steps}"


def _chat() -> Iterator[tuple[str, str]]:
    asked = {
        row["question_id"]: row["turns"][0]
        for row in lines_of(DATA / "mt_bench" / "questions.jsonl.gz")
        if row["lang"] == "en"
    }
    held = []
    for name in ("answers_gpt35_turbo", "answers_qwen2_7b_instruct"):
        for row in lines_of(DATA / "mt_bench" / f"{name}.jsonl.gz"):
            held += [(asked[row["question_id"]], turn) for turn in row["turns"] if row["lang"] == "en"]
    for number in range(10**9):
        yield held[number % len(held)]


@dataclass
class Bad:
    """A door to a `Pretender`, without a network. Remembers which reply was bad in which way."""

    pretender: Pretender
    kinds: dict[str, str] = field(default_factory=dict)
    """By the content of the reply."""
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    async def __call__(self, request: Request) -> Reply | Failure:
        """The reply; equal requests get the same one."""
        if request.key not in self.replies:
            before = self.pretender.planned.copy()
            content = self.pretender(request.body()).content
            found = [kind for kind in self.pretender.planned if self.pretender.planned[kind] != before[kind]]
            self.kinds[request.key] = found[0] if found else ""
            self.asked[request.teacher] += 1
            self.replies[request.key] = Reply(request.key, content, None, "stop", request.model, usage=Usage(90, 20))
        return self.replies[request.key]


def translator(
    ask: Ask, codes: tuple[str, ...], back: bool = False, route: tuple[str, ...] = ("small", "large")
) -> Translator:
    """Ours, with a route of models.

    Args:
        back: Whether what passes the gates is translated back, by one that is not on the route.
    """
    recipe = Recipe(
        name="bench",
        license="CC0-1.0",
        prompts=(Rows(rows="."),),
        teachers={name: Teacher(url="http://127.0.0.1:1/v1", model=name) for name in (*route, "back")},
        translate=Translate(to=codes, routes={"default": route}, back=Back(teacher="back") if back else None),
    )
    made = setup(recipe)
    assert made is not None  # the recipe translates
    return Translator(made, ask)
