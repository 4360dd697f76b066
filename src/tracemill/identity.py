"""Identity: which question, which request, which row. Every id is derived, none is drawn.

These functions are part of the journal's format. Changing what one returns would ask, and pay for, everything again, so
the golden values in `tests/golden/identity.json` hold them fixed.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from hashlib import sha1, sha256
from typing import Any

import orjson

from tracemill.record import Message, Prompt

NAMESPACE = uuid.UUID("7f0e5c7e-6a0f-5d2b-9c39-2f4a8d8f3b11")
"""Namespace of every uuid that Tracemill derives."""
_NAMESPACE = NAMESPACE.bytes

SEED_BITS = 31
"""Seeds on the wire fit a signed 32-bit integer, which every known server accepts."""


def canonical(value: Any) -> bytes:
    """`value` as JSON with sorted keys and no white space: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(value: Any) -> str:
    """Hex sha256 of the canonical JSON of `value`."""
    return sha256(canonical(value)).hexdigest()


def wire_message(message: Message) -> dict[str, Any]:
    """A message as an OpenAI-compatible endpoint reads it."""
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning is not None:
        out["reasoning_content"] = message.reasoning
    if message.tool_calls:
        out["tool_calls"] = [
            {"id": c.id, "type": c.type, "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    return out


def prompt_hash(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> str:
    """What is asked, and nothing else: not the category, the source, or the expected answer."""
    return digest(["prompt", [wire_message(m) for m in messages], list(tools)])


def prompt_key(prompt: Prompt) -> str:
    """Hex key of a prompt: its hash and its occurrence number."""
    return digest(["prompt_key", prompt.hash, prompt.occurrence])


def sample_uuid(category: str, key: str, reasoning: str, index: int) -> str:
    """The uuid of a row: uuid5 of category, prompt key, reasoning mode and sample index."""
    return _uuid5(canonical([category, key, reasoning, index]))


def translation_uuid(parent: str, language: str) -> str:
    """The uuid of a translated row: uuid5 of its parent's uuid and its own language."""
    return _uuid5(canonical(["translation", parent, language]))


def input_uuid(source: str, where: str) -> str:
    """The uuid of an input line that never became a prompt, from its source and place."""
    return _uuid5(canonical(["input", source, where]))


def _uuid5(name: bytes) -> str:
    """`uuid.uuid5` in our namespace (RFC 9562, 5.5), in a quarter of the standard library's time: each sample pays it."""
    hashed = bytearray(sha1(_NAMESPACE + name, usedforsecurity=False).digest()[:16])
    hashed[6] = hashed[6] & 0x0F | 0x50
    hashed[8] = hashed[8] & 0x3F | 0x80
    told = hashed.hex()
    return f"{told[:8]}-{told[8:12]}-{told[12:16]}-{told[16:20]}-{told[20:]}"


def wire_seed(run_seed: int, key: str, reasoning: str, index: int, retry: int = 0, step: int = 0) -> int:
    """The seed sent with one request: 0 <= seed < 2**31, another one for each sample, each of its steps, and each time
    that one is asked anew.
    """
    told = ["seed", run_seed, key, reasoning, index, retry, *([step] if step else [])]
    hashed = sha256(canonical(told)).digest()
    return int.from_bytes(hashed[:8], "big") % (1 << SEED_BITS)


def chosen_teacher(run_seed: int, key: str, weights: Mapping[str, float]) -> str:
    """The teacher of a prompt, by weighted rendezvous hashing.

    A function of seed, prompt key and weights alone, never of load. Adding a teacher moves only the prompts that go to
    the new one, so nothing else is asked again.

    Args:
        weights: Positive weight by teacher name; they need not add up to 1.
    Source: Schindelhauer & Schomaker, "Weighted distributed hash tables" (SPAA 2005): score = -ln(u) / weight, least wins.
    """
    if len(weights) == 1:
        return next(iter(weights))

    def score(name: str) -> tuple[float, str]:
        drawn = int.from_bytes(sha256(canonical(["teacher", run_seed, key, name])).digest()[:7], "big")
        return (-math.log((drawn + 1) / (1 << 56)) / weights[name], name)

    return min((name for name, weight in weights.items() if weight > 0), key=score)
