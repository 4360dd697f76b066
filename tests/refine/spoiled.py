"""v1-like math rows with their answers in the metadata, some of them spoiled in known ways."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from rows import rows, write_v1
from tracemill.recipe_file import load_recipe

SHIPPED = Path(__file__).resolve().parents[2] / "src" / "tracemill" / "recipes" / "refine.yaml"


def recipe(*assignments: str):
    """The recipe that we ship, with some keys set."""
    return load_recipe(SHIPPED, assignments)


def math_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Well-formed rows, whose metadata names the right answer."""
    out = rows("math", count, seed)
    for row in out:
        answer = row["messages"][1]["content"].rpartition("\\boxed{")[2].rpartition("}")[0]
        row["metadata"] = json.dumps({"problem_source": f"set {seed}", "expected_answer": answer})
    return out


def spoil(held: list[dict[str, Any]]) -> dict[str, int]:
    """Spoil the first rows of a list, one in each way. What must become of them, by "stage: reason"."""
    held[1]["messages"][0]["content"] = "-"
    held[2]["messages"][0]["content"] = ""
    held[3]["metadata"] = json.dumps({"expected_answer": "987654321"})
    held[4]["messages"][1]["content"] = "<think>\nThis is never closed."
    held[5]["messages"] = held[5]["messages"][:1]
    held[6]["messages"][0]["role"] = "robot"
    held[7]["messages"][1]["content"] = "No trace, \\boxed{1}."
    held[8]["messages"][1]["content"] = "<think>\nI see.\n</think>\n\nIt is one."
    held[9] = copy.deepcopy(held[0])
    held[10]["uuid"] = held[0]["uuid"]
    held[11]["messages"][1]["content"] = f"<think>\nI see.\n</think>\n\n{'Ever again the same words come back. ' * 400}"
    held[12]["category"] = "../../etc"
    return {
        "structure: prompt_placeholder": 1,
        "structure: prompt_empty": 1,
        "structure: think_unclosed": 1,
        "structure: repetition_loop": 1,
        "verify_math: wrong_answer": 1,
        "verify_math: no_boxed_answer": 1,
        "complete: trace_missing": 1,
        "gather: no_answer": 1,
        "gather: no_sample": 1,
        "gather: unknown_category": 1,
        "duplicates: duplicate": 1,
        "duplicates: duplicate_uuid": 1,
    }


def write_dataset(root: Path, shards: int = 2, count: int = 60) -> dict[str, int]:
    """A v1-like directory: math in so many shards, the first of them spoiled, and code and tool rows."""
    lost: dict[str, int] = {}
    for number in range(shards):
        held = math_rows(count, number)
        lost = lost if number else spoil(held)
        write_v1(root / "data" / f"math-{number:05d}-of-{shards:05d}.parquet", held, group=20)
    write_v1(root / "data" / "code-00000-of-00001.parquet", rows("code", 20))
    write_v1(root / "data" / "tool-00000-of-00001.parquet", rows("tool_calling", 20))
    return lost
