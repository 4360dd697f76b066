"""A run whose teacher is right, wrong or cut off by plan: math, and episodes in the library's world."""

from __future__ import annotations

import json
import zlib

from campaign import write_jsonl
from tracemill.record import ToolCall
from tracemill.testing import Answer
from tracemill.testing.answers import last_user_text, wants_reasoning
from tracemill.worlds import WORLDS

PROMPTS, SAMPLES = 30, 4
HARD = 3
"""Every so manieth prompt is answered wrongly more often than not."""


def fate_of(seed, number):
    """What the teacher does, by the seed and the prompt: "right", "wrong" or "empty"."""
    drawn = zlib.crc32(f"{seed} {number}".encode()) % 10
    if drawn == 9:
        return "cut"
    return "right" if drawn < (3 if number % HARD == 0 else 7) else "wrong"


def answered(body):
    trace = "I reckon." if wants_reasoning(body) else None
    text = last_user_text(body)
    number = int(text.rpartition("number ")[2].split(".")[0])
    fate = fate_of(body["seed"], number)
    if body.get("tools"):
        return clerk(body, number, fate, trace)
    if fate == "cut":
        return Answer("It is", trace, finish_reason="length")
    return Answer(f"It is \\boxed{{{number if fate == 'right' else number + 1}}}.", trace)


def clerk(body, number, fate, trace):
    """Lends the book that was asked for, or another one; the seed of its first request decides."""
    turns = [turn for turn in body["messages"] if turn["role"] == "assistant"]
    if turns:
        return Answer("Done.", trace)
    state = WORLDS["library"].start(number)
    free = [key for key, book in state["books"].items() if book["lent_to"] is None]
    book = free[0] if fate == "right" else free[1]
    member = next(key for key, told in state["members"].items() if not told["fee_cents"])
    told = json.dumps({"member_id": member, "book_id": book})
    return Answer("", trace, tool_calls=(ToolCall("c1", "lend_book", told),))


def tree_over(folder, url):
    plain = [{"prompt": f"Say the number {i}.", "id": f"p{i}", "answer": str(i)} for i in range(PROMPTS)]
    desk = []
    for i in range(9):
        state = WORLDS["library"].start(i)
        book = next(key for key, told in state["books"].items() if told["lent_to"] is None)
        member = next(key for key, told in state["members"].items() if not told["fee_cents"])
        calls = [["lend_book", json.dumps({"member_id": member, "book_id": book})]]
        world = {"name": "library", "seed": i, "calls": calls}
        desk.append(
            {"prompt": f"Lend the first free book to {member}. Case number {i}.", "id": f"d{i}", "world": world}
        )
    return {
        "name": "mixed",
        "license": "CC0-1.0",
        "seed": 2,
        "prompts": [
            {
                "path": str(write_jsonl(folder / "plain.jsonl", plain)),
                "name": "plain",
                "license": "MIT",
                "fields": {"id": "id", "expected": "answer"},
            },
            {
                "path": str(write_jsonl(folder / "desk.jsonl", desk)),
                "name": "desk",
                "category": "tool_calling",
                "fields": {"id": "id", "world": "world"},
            },
        ],
        "teachers": {"main": {"url": url, "model": "scripted"}},
        "respond": {"samples": SAMPLES, "reasoning": "both", "ask_anew": 0},
        "verify": {"duplicates": False},
    }
