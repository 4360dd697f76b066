"""Pairs of a right and a wrong answer to one prompt, as TRL's preference trainers read them (DPO and its kin).

{"prompt": [{"role": "user", "content": "..."}], "chosen": [{"role": "assistant", "content": "<think>..."}],
 "rejected": [{"role": "assistant", "content": "<think>..."}], ...}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

import orjson
import pyarrow as pa

from tracemill import identity
from tracemill.glean.samples import Samples
from tracemill.record import Sample
from tracemill.schema import to_row

_ABOUT = [
    *(pa.field(name, pa.string()) for name in ("reasoning", "category", "language", "why_rejected")),
    *(pa.field(name, pa.string()) for name in ("chosen_model", "rejected_model", "chosen_uuid", "rejected_uuid")),
    *(pa.field(name, pa.string()) for name in ("prompt_key", "source", "source_id", "source_license", "license")),
]


def _schema(turn: pa.DataType, *more: pa.Field) -> pa.Schema:
    turns = pa.list_(turn)
    return pa.schema([*(pa.field(name, turns) for name in ("prompt", "chosen", "rejected")), *more, *_ABOUT])


TEXT = pa.struct([("role", pa.string()), ("content", pa.string())])
SCHEMA = _schema(TEXT)
"""Pairs of plain conversations."""
TOOLS_SCHEMA = _schema(pa.json_(), pa.field("tools", pa.string()))
"""Pairs of episodes with tools. Each message is JSON: `datasets` reads it as an object that has `tool_calls`, and arguments
as objects, where there are some, and no such key elsewhere, as chat templates want it. TRL reads `tools` from text itself."""


def pairs(samples: Samples, most: int | None = None) -> Iterator[dict[str, Any]]:
    """The first right answer with the first wrong one, the second with the second, and so on: no answer stands in two pairs.

    Args:
        samples: Of one prompt and mode.
        most: No more pairs than these. None: as many as there are.
    """
    right, wrong = (sorted(those, key=lambda s: s.sample_index) for those in (samples.right, samples.wrong))
    found = 0
    for chosen, rejected in zip(right, wrong, strict=False):
        if most is not None and found >= most:
            return
        row = pair(chosen, rejected)
        if row is not None:
            found += 1
            yield row


def pair(chosen: Sample, rejected: Sample) -> dict[str, Any] | None:
    """One pair. What both say up to where they part is the prompt; None where they do not part at an answer."""
    better, worse = to_row(chosen)["messages"], to_row(rejected)["messages"]
    together = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(better, worse, strict=False)))
    prompt, better, worse = better[:together], better[together:], worse[together:]
    if not prompt or not better or not worse or {better[0]["role"], worse[0]["role"]} != {"assistant"}:
        return None
    told = rejected.verdicts[-1]
    if chosen.tools:
        ids = [message.tool_call_id for message in chosen.messages], [m.tool_call_id for m in rejected.messages]
        try:
            prompt = _told(prompt, ids[0])
            better, worse = _told(better, ids[0][together:]), _told(worse, ids[1][together:])
        except orjson.JSONDecodeError:
            return None
    return {
        "prompt": prompt,
        "chosen": better,
        "rejected": worse,
        "tools": identity.canonical([dict(tool) for tool in chosen.tools]).decode() if chosen.tools else None,
        "reasoning": chosen.reasoning,
        "category": chosen.category,
        "language": chosen.language,
        "why_rejected": f"{told.step}: {told.evidence}",
        "chosen_model": chosen.generator,
        "rejected_model": rejected.generator,
        "chosen_uuid": chosen.uuid,
        "rejected_uuid": rejected.uuid,
        "prompt_key": chosen.prompt_key,
        "source": chosen.source,
        "source_id": chosen.source_id,
        "source_license": chosen.source_license,
        "license": chosen.license,
    }


def _told(turns: list[dict[str, Any]], ids: Sequence[str | None]) -> list[str]:
    """Messages as JSON texts, without what they do not have. Arguments stay letter by letter as the teacher wrote them.

    Raises:
        orjson.JSONDecodeError: arguments are no JSON.
    """
    out = []
    for turn, answers in zip(turns, ids, strict=False):
        told = {"role": turn["role"], "content": turn["content"]}
        if turn["tool_calls"]:
            told["tool_calls"] = [{**call, "function": _called(call["function"])} for call in turn["tool_calls"]]
        if answers is not None:
            told["tool_call_id"] = answers
        out.append(orjson.dumps(told).decode())
    return out


def _called(function: Mapping[str, Any]) -> dict[str, Any]:
    arguments = function["arguments"] or "{}"
    orjson.loads(arguments)
    return {"name": function["name"], "arguments": orjson.Fragment(arguments)}
