"""Rows as NVIDIA's sets have them, well-formed, for tests that spoil some of them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracemill.schema import V1_SCHEMA, V2_SCHEMA
from tracemill.word_problems import generate

FRENCH = (
    "Pour résoudre ce problème, nous avons d'abord calculé la somme de tous les nombres dans le tableau, et ensuite nous "
    "avons divisé le résultat par le nombre de lignes qui ne sont pas vides. La réponse est donc {}, avec une marge."
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
]
CODE = (
    "Read the numbers and add them up:\n\n```python\nprint(sum(map(int, input().split())))\n```\n\nThat reads one line."
)


def row(category: str, number: int, seed: int = 0) -> dict[str, Any]:
    """One well-formed row, another for every number."""
    draw = Random(f"{seed} {category} {number}")
    problem = next(iter(generate(1, seed * 100_003 + number)))
    asked = f"{problem.messages[-1].content} (Question {number} of {category}, {seed}.)"
    trace = f"We are told a few numbers. Number {number} is one. Adding what belongs together gives {problem.expected}."
    turns = [{"role": "user", "content": asked}]
    metadata: dict[str, Any] = {}
    answer, reasoning = f"The answer is {problem.expected}.", "on"
    match category:
        case "math":
            turns[0]["content"] += " Put the final answer in \\boxed{}."
            answer = f"The answer is \\boxed{{{problem.expected}}}."
        case "code":
            answer = CODE
            metadata = {"dataset": "taco", "split": "train", "index": str(number)}
        case "chat":
            reasoning = "off"
            metadata = {"conversation_id": draw.randbytes(16).hex()}
        case "multilingual_fr":
            answer = FRENCH.format(problem.expected)
    content = answer if reasoning == "off" else f"<think>\n{trace}\n</think>\n\n{answer}"
    turns.append({"role": "assistant", "content": content})
    if category == "tool_calling":
        call = {"name": "get_weather", "arguments": json.dumps({"city": f"Town {number}", "days": 2})}
        turns[-1]["tool_calls"] = [{"id": "call_0", "type": "function", "function": call}]
        turns += [
            {"role": "tool", "content": '{"sky": "clear"}'},
            {"role": "assistant", "content": "It will be clear."},
        ]
        metadata = {"tools": TOOLS}
    return {
        "uuid": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "license": "cc-by-4.0",
        "generator": "Qwen3-235B-A22B" if category in ("chat", "tool_calling") else "DeepSeek-R1-0528",
        "version": "1.0",
        "category": category,
        "reasoning": reasoning,
        "messages": turns,
        "metadata": json.dumps(metadata),
    }


def rows(category: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    return [row(category, number, seed) for number in range(count)]


def write_v1(path: Path, held: list[dict[str, Any]], group: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    full = [
        {**r, "messages": [{"tool_calls": [], **turn} for turn in r["messages"]]} if r["messages"] else r for r in held
    ]
    pq.write_table(pa.Table.from_pylist(full, schema=V1_SCHEMA), path, row_group_size=group, compression="zstd")
    return path


def write_v2(path: Path, held: list[dict[str, Any]], extra: pa.Field | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = V2_SCHEMA if extra is None else V2_SCHEMA.append(extra)
    pq.write_table(pa.Table.from_pylist(held, schema=schema), path, compression="zstd")
    return path


def write_lines(path: Path, held: list[dict[str, Any] | str]) -> Path:
    """JSON lines; a text stands as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in held), encoding="utf-8")
    return path
