"""Where a withheld prompt stands, as a row's metadata tells it, and how a source's row becomes its text.

    v1 code   {"dataset": "taco", "split": "train", "index": "117"}   row 117 of that split: a position
    v1 chat   {"conversation_id": "..."}                              the first user turn of that conversation
    v3        {"seed_prompt_sha256": "..."}                           the text with that hash, whatever the source

Positions are as good as the revision: a changed copy gives another question without a word. So what was restored is
recorded with its hash, and can be held against a record.

Source of the rules: NVIDIA-NeMo/Skills, recipes/opencodereasoning (questions of code); the cards of the sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

SOURCES = ("taco", "apps", "code_contests", "codeforces", "lmsys", "dapo", "skywork")
"""What can be given as NAME=PATH. Any other name is a set whose questions are found by their hash alone."""
CODE = {
    "taco": "taco",
    "apps": "apps",
    "code_contests": "code_contests",
    "open-r1/codeforces": "codeforces",
    "codeforces": "codeforces",
}
"""Source by what the metadata of v1's code rows says."""
BY_HASH = "sha256"
MOST_DIGITS = 18
"""Of a position: no file has more rows."""
QUESTIONS = ("question", "prompt", "problem", "instruction", "text", "description")


class Key(NamedTuple):
    """Where one prompt stands."""

    source: str
    """One of `SOURCES`, or `BY_HASH`."""
    key: str
    """SPLIT/INDEX, a conversation's id, or hex sha256."""


def key_of(metadata: str | None) -> Key | None:
    """Where the prompt of a row with this metadata stands; None where nobody says."""
    try:
        held = orjson.loads(metadata or "")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(held, dict):
        return None
    source, split, index = CODE.get(str(held.get("dataset"))), held.get("split"), held.get("index")
    if source and isinstance(split, str) and (at := position(index)) is not None:
        return Key(source, f"{split}/{at}")
    if isinstance(held.get("conversation_id"), str):
        return Key("lmsys", held["conversation_id"])
    if isinstance(held.get("seed_prompt_sha256"), str):
        return Key(BY_HASH, held["seed_prompt_sha256"].lower())
    return None


def position(told: Any) -> int | None:
    """A position of a row, from 0, that stands as a number or as text; None for anything else."""
    text = str(told) if isinstance(told, int) else told
    if not isinstance(text, str) or not text.isascii() or not text.isdecimal() or len(text) > MOST_DIGITS:
        return None
    return int(text)


def text_of(source: str, row: Mapping[str, Any]) -> str | None:
    """The prompt that a source's row holds; None where it holds none."""
    match source:
        case "taco" | "apps":
            text = row.get("question")
        case "code_contests":
            text = row.get("description")
        case "codeforces":
            text = _codeforces(row)
        case _:
            text = _first_turn(row)
    return text if isinstance(text, str) and text.strip() else None


def _first_turn(row: Mapping[str, Any]) -> Any:
    turns = row.get("conversation", row.get("messages"))
    if isinstance(turns, list):
        said = (t.get("content") for t in turns if isinstance(t, Mapping) and t.get("role") == "user")
        return next(said, None)
    return next((row[name] for name in QUESTIONS if isinstance(row.get(name), str)), None)


def _codeforces(row: Mapping[str, Any]) -> str | None:
    """The parts of a problem, each under its heading, with a blank line between them."""
    if not row.get("description"):
        return None
    parts = [str(row["description"])]
    for heading, name in (("Input", "input_format"), ("Output", "output_format")):
        if row.get(name):
            parts += [heading, str(row[name])]
    examples = row.get("examples")
    if isinstance(examples, list) and examples:
        parts.append("Examples")
        for example in examples:
            if isinstance(example, Mapping):
                parts += ["Input", str(example.get("input", "")), "Output", str(example.get("output", ""))]
    if row.get("note"):
        parts += ["Note", str(row["note"])]
    return "\n\n".join(parts)
