"""Is the text of an answer sound? No garbage, no endless loop, and tool calls that can be carried out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from tracemill.record import Sample, ToolCall
from tracemill.step import Drop

GARBAGE = 0.01
"""Share of a text that may be U+FFFD, C0 controls other than tab and line ends, or private-use characters."""
FEWEST = 3
"""Of them, at least: one bad character in a short answer is a slip."""
_CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 0x7F])
_PRIVATE = re.compile("[\ue000-\uf8ff]")
LOOP_WORDS, LOOP_SHARE = 20, 0.3
"""A text is a loop when more than 30 % of its runs of 20 words have stood in it before."""
SHORTEST = 1_500
"""Characters. A shorter text may well say a thing three times."""
LONGEST = 100_000
"""Characters, from the end, whose runs are counted."""
PROBES, PROBE, SEEN = 4, 60, 3
"""A loop of that share is looked for with 4 samples of 60 characters, at each fifth of the text, of which one must stand in
the text three times. A model that loops does so in one stretch, usually to the end: one that fills 30 % holds a sample
whole. Repeats that lie scattered over half of a text are missed in 6 % of texts (0.5 ^ 4). Counting the samples takes less
than a hundredth of the time of counting all runs."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Refuses answers whose text is broken."""

    name: ClassVar[str] = "sound"
    drops: ClassVar[frozenset[str]] = frozenset({"bad_text", "degenerate", "tool_invalid"})

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        turn = sample.messages[-1]
        for where, text in (("answer", turn.content), ("trace", turn.reasoning or "")):
            bad = garbage(text)
            if bad >= FEWEST and bad > GARBAGE * len(text):
                return Drop("bad_text", f"{bad} of {len(text)} characters of the {where} are no text")
            share = looping(text)
            if share > LOOP_SHARE:
                return Drop("degenerate", f"{share:.0%} of the {where} repeats what it has said: {text[-80:]!r}")
        for call in turn.tool_calls:
            problem = wrong_call(call, sample.tools)
            if problem:
                return Drop("tool_invalid", problem)
        return sample


def garbage(text: str) -> int:
    """How many characters of a text are none: replacement characters, controls, private use. Cost: linear, in C."""
    data = text.encode(errors="replace")
    bad = len(data) - len(data.translate(None, _CONTROLS))
    if len(data) > len(text):
        bad += text.count("\ufffd") + len(_PRIVATE.findall(text))
    return bad


def looping(text: str) -> float:
    """The share of a text's runs of `LOOP_WORDS` words that stand in it before; 0 where no sample of it comes back."""
    if len(text) < SHORTEST:
        return 0.0
    step = len(text) // (PROBES + 1)
    for start in range(step, len(text) - step + 1, step):
        if text.count(text[start : start + PROBE]) >= SEEN:
            break
    else:
        return 0.0
    text = text[-LONGEST:]
    words = text.split()
    runs = Counter(hash(tuple(words[i : i + LOOP_WORDS])) for i in range(len(words) - LOOP_WORDS + 1))
    total = sum(runs.values())
    if total < LOOP_WORDS:  # no spaces, as in Chinese or Japanese: runs of characters instead
        runs = Counter(hash(text[i : i + PROBE]) for i in range(len(text) - PROBE + 1))
        total = sum(runs.values())
    return (total - len(runs)) / total


def wrong_call(call: ToolCall, tools: tuple[Mapping[str, Any], ...]) -> str | None:
    """Why a tool call cannot be carried out, or None: an unknown tool, arguments that are no JSON object, or that lack
    what the tool requires.
    """
    known = {name: told for tool in tools if (told := _function(tool)) and isinstance(name := told.get("name"), str)}
    if call.name not in known:
        return f"no tool is called {call.name[:80]!r}"
    try:
        arguments = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError as exc:
        return f"the arguments of {call.name} are not JSON: {exc}"
    if not isinstance(arguments, dict):
        return f"the arguments of {call.name} are no object"
    parameters = known[call.name].get("parameters")
    required = parameters.get("required") if isinstance(parameters, dict) else None
    missing = [n for n in required if n not in arguments] if isinstance(required, list) else []
    return f"the call of {call.name} lacks {', '.join(map(repr, missing))}" if missing else None


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a tool's schema says of its function, in OpenAI's form or bare."""
    told = tool.get("function", tool)
    return told if isinstance(told, Mapping) else None
