"""A set of Parquet files in v1's exact schema, with lengths like the real ones, and some rows in a hundred spoilt."""

from __future__ import annotations

import math
import random
import uuid
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bench.prose import prose
from tracemill.identify.screen import COMMON
from tracemill.schema import V1_SCHEMA

SHARES = {"stem": 0.805, "math": 0.08, "code": 0.074, "chat": 0.029, "tool_calling": 0.012}
"""Of the rows of v1."""
SPOILT = {"prompt_placeholder": 0.002, "think_unclosed": 0.002, "think_missing": 0.002, "answer_missing": 0.001,
          "repetition_loop": 0.003, "script_leak": 0.001, "identity_leak": 0.001, "boxed_missing": 0.001,
          "prompt_duplicate": 0.01}  # fmt: skip
"""Shares of rows that break what the check of that name looks for."""
PROMPT, TRACE, ANSWER = (600, 0.6), (8000, 0.7), (1500, 0.5)
"""(mean characters, sigma of the log-normal)."""
GROUP_ROWS = 1000


def make(out: Path, rows: int, files: int, seed: int = 0, codec: str = "snappy", language: str | None = None) -> None:
    """`rows` rows in `files` files below `out/data`.

    Args:
        language: Of a split whose answers hold its commonest words, as often as its prose has them.
    """
    split = f"multilingual_{language}" if language else "train"
    (out / "data").mkdir(parents=True)
    for number in range(files):
        draw = random.Random(seed * 1000 + number)
        path = out / "data" / f"{split}-{number:05d}-of-{files:05d}.parquet"
        with pq.ParquetWriter(path, V1_SCHEMA, compression=codec) as writer:
            left = rows // files + (number < rows % files)
            earlier: list[str] = []
            while left > 0:
                group = [_row(draw, earlier) for _ in range(min(GROUP_ROWS, left))]
                if language:
                    group = [_translated(draw, row, split, language) for row in group]
                writer.write_table(pa.Table.from_pylist(group, schema=V1_SCHEMA))
                left -= len(group)


def _length(draw: random.Random, mean: float, sigma: float) -> int:
    return max(12, int(draw.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma)))


def _text(draw: random.Random, mean: float, sigma: float) -> str:
    return prose(draw.randrange(1 << 40), _length(draw, mean, sigma)).strip()


def _row(draw: random.Random, earlier: list[str]) -> dict[str, Any]:
    category = draw.choices(list(SHARES), list(SHARES.values()))[0]
    spoilt = draw.choices([*SPOILT, ""], [*SPOILT.values(), 1 - sum(SPOILT.values())])[0]
    prompt, trace, answer = _text(draw, *PROMPT), _text(draw, *TRACE), _text(draw, *ANSWER) + " So it is."
    metadata: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    match spoilt:
        case "prompt_placeholder":
            prompt = "-"
        case "answer_missing":
            answer = ""
        case "repetition_loop":
            trace = (prose(draw.randrange(1 << 40), 120) + " ") * 60
        case "script_leak":
            answer = answer[:400] + "因此答案是这个数字的平方根再加上一个常数" * 4 + "."
        case "identity_leak":
            answer = "I am Qwen, a model made by Alibaba Cloud. " + answer
        case "boxed_missing":
            prompt += " Put the final answer in \\boxed{}."
        case "prompt_duplicate" if earlier:
            prompt = draw.choice(earlier)
        case "":
            if len(earlier) < 3000:
                earlier.append(prompt)
            if category == "math":
                answer += f" \\boxed{{{draw.randrange(10**6)}}}"
    if category == "tool_calling":
        name = draw.choice(["get_weather", "find_flight", "convert"])
        function = {"name": name, "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}
        metadata["tools"] = [{"type": "function", "function": function}]
        arguments = orjson.dumps({"q": prose(draw.randrange(1 << 40), 30)}).decode()
        calls = [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}]
    said = f"<think>\n{trace}\n</think>\n\n{answer}"
    said = answer if spoilt == "think_missing" else f"<think>\n{trace}" if spoilt == "think_unclosed" else said
    turns = [_turn("user", prompt), _turn("assistant", said, calls)]
    if calls:
        turns += [_turn("tool", '{"ok": true}'), _turn("assistant", "That is all there is.")]
    return {
        "uuid": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "license": "cc-by-4.0",
        "generator": "Qwen3-235B-A22B" if category in ("chat", "tool_calling") else "DeepSeek-R1-0528",
        "version": "1.0",
        "category": category,
        "reasoning": "on",
        "messages": turns,
        "metadata": orjson.dumps(metadata).decode(),
    }


def _translated(draw: random.Random, row: dict[str, Any], split: str, language: str) -> dict[str, Any]:
    """The row with every other word of its answer one of the commonest of a language."""
    common = COMMON[language].split()
    turn = row["messages"][1]
    trace, tag, answer = turn["content"].rpartition("</think>")
    words = answer.split(" ")
    words[1:-8:2] = draw.choices(common, k=len(words[1:-8:2]))
    turn["content"] = trace + tag + " ".join(words)
    return {**row, "category": split}


def _turn(role: str, content: str, calls: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"role": role, "content": content, "tool_calls": calls or []}
