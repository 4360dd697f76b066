"""Rows, recipes and servers for tests of translation."""

from __future__ import annotations

import json
from pathlib import Path

from campaign import read_jsonl_gz, shared
from tracemill.recipe import Recipe, Rows, Teacher, Translate
from tracemill.word_problems import generate

STATED = (
    "Mara buys {a} notebooks for ${b} each and pays with a note of $100.",
    "A train leaves at noon and covers {a} kilometres in {b} hours, then it waits for an hour.",
    "The farmer packs {a} apples into each of {b} boxes before he drives to the market.",
)


def row(number: int, prompt: str, answer: str, **more: object) -> dict:
    """One row as v1 has it, with a trace."""
    content = f"<think>\nLet me see, row {number}.\n</think>\n\n{answer}"
    return {
        "uuid": f"{number:08d}-0000-4000-8000-000000000000",
        "license": "cc-by-4.0",
        "generator": "a-teacher",
        "version": "1",
        "category": "math",
        "reasoning": "on",
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": content}],
        **more,
    }


def made_rows(count: int) -> list[dict]:
    """Generated problems with answers of some lines, one of which all rows have."""
    out = []
    for number, prompt in enumerate(generate(count, 5)):
        stated = STATED[number % 3].format(a=number + 3, b=number + 2)
        answer = (
            f"Let us work this out step by step.\n\n- {stated}\n- So the sum is $x = {number + 3}$ here.\n\n"
            f"```python\nprint({number})\n```\n\nThe answer is \\boxed{{{prompt.expected}}}."
        )
        out.append(row(number, prompt.messages[-1].content, answer, expected_answer=prompt.expected))
    return out


def real_rows(count: int) -> list[dict]:
    """Rows of GSM8K, whose solutions have some lines each; generated ones where the set is not there."""
    source = shared("gsm8k", "train.jsonl.gz")
    if not source.exists():
        return made_rows(count)
    out = []
    for number, told in enumerate(read_jsonl_gz(source)[:count]):
        text, _, result = told["answer"].rpartition("####")
        result = result.strip().replace(",", "")
        answer = f"{text.strip()}\n\nThe answer is \\boxed{{{result}}}."
        out.append(row(number, told["question"], answer, expected_answer=result))
    return out


def write_rows(path: Path, rows: list[dict]) -> Path:
    """The rows as JSONL."""
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def recipe(rows: Path, url: str, to: tuple[str, ...] = ("fr", "ja"), **more: object) -> Recipe:
    """Two models that translate, both at one address."""
    told = {"routes": {"default": ("small", "large")}, **more}
    return Recipe(
        name="multi",
        license="CC-BY-4.0",
        prompts=(Rows(rows=str(rows), name="rows"),),
        teachers={
            "small": Teacher(url=url, model="small-model", concurrency=16),
            "large": Teacher(url=url, model="large-model", concurrency=16),
        },
        translate=Translate.model_validate({"to": to, **told}),
    )
