"""Rows of NVIDIA's sets for reinforcement learning whose question and answer were withheld; always JSON lines.

    {"dataset": "nano_v3_sft_profiled_dapo17k", "_hf_placeholder": {"row": 12, "question_template": {"prefix": "Box it. "}}}
    {"dataset": "..._skywork_no_omni", "_hf_placeholder": {"row": 7, "question_template": "Solve {question} at last."}}

`row` is a position in DAPO-Math-17k, or in the split math of Skywork-OR1. DAPO's questions stand between two paragraphs of
instructions, which are left away before the row's own are put around. Other rows of these sets are whole.

Source of the rules: NVIDIA-NeMo/Nemotron, data_prep (hf_placeholder), and the scripts beside the sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tracemill.restoring.keys import Key, position

FIELD = "_hf_placeholder"
REQUEST = "responses_create_params"
SPLITS = {"dapo": "train", "skywork": "math"}
"""Sources whose rows are counted, and the split that positions are in."""
NAMES = {"dapo17k": "dapo", "skywork": "skywork"}
"""Source by a part of what a row's `dataset` says."""


def is_for_rl(row: Mapping[str, Any]) -> bool:
    """Whether a row is one of these sets, which have no messages."""
    return FIELD in row or REQUEST in row


def placeholder_key(row: Mapping[str, Any]) -> Key | None:
    """Where the question of a row stands; None where nobody says."""
    told, named = row.get(FIELD), str(row.get("dataset"))
    source = next((source for part, source in NAMES.items() if part in named), None)
    at = position(told.get("row")) if isinstance(told, Mapping) else None
    return None if source is None or at is None else Key(source, f"{SPLITS[source]}/{at}")


def question_and_answer(row: Mapping[str, Any]) -> str | None:
    """What a source's row holds, as a JSON list of the question and the answer; None where it has no question."""
    turns, reward = row.get("prompt"), row.get("reward_model")
    first = turns[0] if isinstance(turns, list) and turns else None
    question = first.get("content") if isinstance(first, Mapping) else None
    if not isinstance(question, str) or not question.strip():
        return None
    answer = reward.get("ground_truth") if isinstance(reward, Mapping) else None
    if isinstance(answer, str) and answer.strip()[:1] == "[":
        try:
            held = orjson.loads(answer)
            answer = held[0] if isinstance(held, list) and held else answer
        except orjson.JSONDecodeError:
            pass
    return orjson.dumps([question, answer]).decode()


def filled(row: Mapping[str, Any], key: Key, held: str, hashed: str) -> dict[str, Any]:
    """A row with its question and answer in place of the placeholder, and `restored_sha256` of what was found."""
    question, answer = orjson.loads(held)
    template = row[FIELD].get("question_template")
    text = _wrapped(question, template) if key.source == "dapo" else _put_in(question, template)
    whole = {name: value for name, value in row.items() if name != FIELD}
    request = row.get(REQUEST)
    whole[REQUEST] = {**(request if isinstance(request, Mapping) else {}), "input": [{"role": "user", "content": text}]}
    return {**whole, "question": text, "expected_answer": answer, "restored_sha256": hashed}


def _wrapped(question: str, template: Any) -> str:
    parts = question.split("\n\n")
    bare = "\n\n".join(parts[1:-1]) if len(parts) >= 3 else question
    told = template if isinstance(template, Mapping) else {}
    return f"{told.get('prefix') or ''}{bare}{told.get('suffix') or ''}".rstrip("\n")


def _put_in(question: str, template: Any) -> str:
    text = template.get("template") if isinstance(template, Mapping) else template
    return text.replace("{question}", question) if isinstance(text, str) and "{question}" in text else question
