"""Prompts with their check and how often they were solved, as TRL's online trainers read them (GRPO and its kin): a column
`prompt`, and further ones that a reward function is given by name.

    {"prompt": [{"role": "user", "content": "..."}], "answer": "18", "verifier": "verify_math", "check": null,
     "pass_rate": 0.75, "right": 3, "judged": 4, ...}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from tracemill import identity
from tracemill.glean.samples import Samples
from tracemill.record import Prompt, Reasoning, Sample

SCHEMA = pa.schema(
    [
        pa.field("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        *(pa.field(name, pa.string()) for name in ("answer", "verifier", "check", "tools", "category", "language")),
        pa.field("pass_rate", pa.float64()),
        pa.field("right", pa.int32()),
        pa.field("judged", pa.int32()),
        *(pa.field(name, pa.float64()) for name in ("pass_rate_on", "pass_rate_off")),
        *(pa.field(name, pa.string()) for name in ("prompt_key", "source", "source_id", "source_license")),
    ]
)
"""`answer`: what a right response ends in. `check`: JSON text of what the verifier needs besides: tests, options, wanted
calls, a world. `pass_rate`: right answers by judged ones; broken ones count as wrong, unknown ones not at all."""


def prompt_row(prompt: Prompt, asked: Sample, of_modes: Mapping[Reasoning, Samples]) -> dict[str, Any] | None:
    """A prompt for training, or None where nothing could verify an answer to it, or none was judged.

    Args:
        asked: One of its samples without an answer: the messages as they were sent.
    """
    steps: Counter[str] = Counter()
    for samples in of_modes.values():
        steps.update(samples.steps)
    judged = sum(samples.judged for samples in of_modes.values())
    verifiers = [step for step, _ in steps.most_common() if step != "judge"]
    if not judged or not verifiers or (prompt.expected is None and not prompt.check):
        return None
    right = sum(len(samples.right) for samples in of_modes.values())
    return {
        "prompt": [{"role": message.role, "content": message.content} for message in asked.messages],
        "answer": prompt.expected,
        "verifier": verifiers[0],
        "check": identity.canonical(dict(prompt.check)).decode() if prompt.check else None,
        "tools": identity.canonical([dict(tool) for tool in asked.tools]).decode() if asked.tools else None,
        "category": prompt.category,
        "language": prompt.language,
        "pass_rate": right / judged,
        "right": right,
        "judged": judged,
        "pass_rate_on": _rate(of_modes.get("on")),
        "pass_rate_off": _rate(of_modes.get("off")),
        "prompt_key": asked.prompt_key,
        "source": prompt.source,
        "source_id": prompt.source_id,
        "source_license": prompt.source_license,
    }


def _rate(samples: Samples | None) -> float | None:
    return len(samples.right) / samples.judged if samples is not None and samples.judged else None
