r"""The step that checks tool use: declared tools, calls, results, order of turns, and what came of it.

What it reads: a sample with `tools`, whose messages hold calls and results, and in `check`, where they are known:

    "calls"   what is wanted: [{"name": "hypot", "arguments": {"x": [3], "y": [4, 4.0]}}], each argument with the values that
              are accepted, "" among them where it may be left out; [] where no tool fits and none must be called
    "acts"    names of the tools that "calls" is about; others may be called as often as one likes, and refused calls do not
              count
    "world"   {"name": "library", "seed": 3, "calls": [["lend_book", "{...}"]]}: the calls are made again in this world; each
              result must be the recorded one, and the last state the one that the world's own "calls" lead to
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from tracemill.record import Message, Sample, ToolCall
from tracemill.step import Drop
from tracemill.verify.tool_arguments import bad_schema, misfit
from tracemill.verify.tool_matches import matches
from tracemill.verify.units import same_quantity
from tracemill.verify.votes import passed, short
from tracemill.worlds import WORLDS, replay

Looked = Drop | None
"""What one look found wrong."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Keep a sample whose tool calls are sound, and led to what was wanted as far as that is known.

    Args:
        unknown_arguments: Let calls give arguments that their tool does not declare.
    """

    unknown_arguments: bool = False
    name: ClassVar[str] = "verify_tools"
    drops: ClassVar[frozenset[str]] = frozenset(
        {
            *("bad_schema", "bad_roles", "bad_ids", "unknown_tool", "bad_arguments"),
            *("missing_call", "needless_call", "wrong_call", "wrong_result", "wrong_state", "wrong_answer"),
        }
    )

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        looks: tuple[Callable[[Sample], Looked], ...] = (_tools, _turns, self._calls, _wanted, _world, _answer)
        for look in looks:
            if (found := look(sample)) is not None:
                return found
        calls = [call for message in sample.messages for call in message.tool_calls]
        known = [name for name in ("calls", "world") if name in sample.check]
        against = f", as {' and '.join(known)} want" if known else ""
        return passed(sample, self.name, f"{len(calls)} calls of {len(sample.tools)} tools{against}")

    def _calls(self, sample: Sample) -> Looked:
        declared = {
            name: parameters for tool in sample.tools if (name := _name(tool)) for parameters in [_parameters(tool)]
        }
        for message in sample.messages:
            for call in message.tool_calls:
                if call.name not in declared:
                    there = ", ".join(sorted(declared)[:8]) or "none"
                    return Drop("unknown_tool", f"no tool is called {call.name[:80]!r}; there is {there}")
                why = misfit(call.arguments, declared[call.name], self.unknown_arguments)
                if why:
                    return Drop("bad_arguments", f"{call.name}: {why}"[:400])
        return None


def _tools(sample: Sample) -> Looked:
    names: set[str] = set()
    for tool in sample.tools:
        name = _name(tool)
        if not name or name in names:
            return Drop(
                "bad_schema", f"two tools are called {name!r}" if name else f"a tool without a name: {tool!r:.120}"
            )
        names.add(name)
        if why := bad_schema(_parameters(tool)):
            return Drop("bad_schema", f"{name}: {why}"[:400])
    return None


def _turns(sample: Sample) -> Looked:
    """Who may speak after whom, and which result answers which call."""
    said = [m for m in sample.messages if m.role != "system"]
    if any(m.role == "system" for m in sample.messages[1:]):
        return Drop("bad_roles", "a system turn that is not the first")
    if not said or said[0].role != "user" or said[-1].role != "assistant":
        return Drop("bad_roles", f"the turns are {' '.join(m.role for m in sample.messages)[:200]}")
    open_calls: list[ToolCall] = []
    before = ""
    for message in said:
        if message.role == "tool":
            if not open_calls:
                return Drop("bad_ids", f"a result that no call asked for: {message.content[:80]!r}")
            answered = _answered(message, open_calls)
            if answered is None:
                waiting = ", ".join(call.id for call in open_calls)
                return Drop("bad_ids", f"a result for {message.tool_call_id!r}; open are {waiting}")
            open_calls.remove(answered)
        else:
            if open_calls:
                return Drop("bad_ids", f"no result for the call of {open_calls[0].name}")
            if message.role == before:
                return Drop("bad_roles", f"two {message.role} turns one after the other")
            open_calls = list(message.tool_calls)
            if open_calls and message.role != "assistant":
                return Drop("bad_roles", f"a {message.role} turn calls {open_calls[0].name}")
            ids = [call.id for call in open_calls if call.id]
            if len(ids) != len(set(ids)):
                return Drop("bad_ids", f"two calls have the id {max(ids, key=ids.count)!r}")
        before = message.role
    return None


def _answered(result: Message, open_calls: Sequence[ToolCall]) -> ToolCall | None:
    """The call that a result answers: by id, or without one the first that is open."""
    if not result.tool_call_id:
        return open_calls[0]
    return next((call for call in open_calls if call.id == result.tool_call_id), None)


def _wanted(sample: Sample) -> Looked:
    """The calls that were wanted against those that were made, in any order."""
    wanted = sample.check.get("calls")
    if not isinstance(wanted, list):
        return None
    acts = sample.check.get("acts")
    made = [
        call
        for call, result in with_results(sample.messages)
        if not isinstance(acts, list) or (call.name in acts and not refused(result))
    ]
    if not wanted and made:
        return Drop("needless_call", f"no tool fits, and {made[0].name} was called")
    if wanted and not made:
        return Drop("missing_call", f"{len(wanted)} calls are wanted, none was made")
    missing, needless = matches(wanted, made)
    if not missing and not needless:
        return None
    told = "; ".join(
        [*(f"wanted {orjson.dumps(w).decode()}" for w in missing), *(f"made {c.name} {c.arguments}" for c in needless)]
    )
    return Drop("wrong_call", short_text(told))


def _world(sample: Sample) -> Looked:
    """The same calls again, in the world that they were made in."""
    told = sample.check.get("world")
    if not isinstance(told, Mapping):
        return None
    world = WORLDS.get(str(told.get("name")))
    if world is None:
        return Drop("wrong_state", f"there is no world {told.get('name')!r}; there is {', '.join(WORLDS)}")
    first = world.start(int(told.get("seed", 0)))
    made = with_results(sample.messages)
    again = replay(world, first, [(call.name, call.arguments) for call, _ in made])
    for (call, result), expected in zip(made, again.results, strict=True):
        if result is not None and _value(result) != _value(expected):
            return Drop("wrong_result", short_text(f"{call.name} gives {expected}, recorded is {result}"))
    wanted = told.get("calls")
    if not isinstance(wanted, list):
        return None
    goal = replay(world, first, [(str(name), str(arguments)) for name, arguments in wanted]).state
    if goal != again.state:
        return Drop("wrong_state", short_text("; ".join(differences(goal, again.state))))
    return None


def _answer(sample: Sample) -> Looked:
    """The last words against the expected answer: the same value, or the text somewhere in them."""
    if sample.expected is None:
        return None
    content = sample.messages[-1].content
    if (
        _flat(sample.expected) in _flat(content)
        or same_quantity(sample.expected, content.strip(), sample.language).same
    ):
        return None
    return Drop("wrong_answer", f"expected {short(sample.expected)}, the last words are {short(content)!r}")


def with_results(messages: Sequence[Message]) -> list[tuple[ToolCall, str | None]]:
    """Every call in order with its result; None where it has none."""
    out: list[tuple[ToolCall, str | None]] = []
    for message in messages:
        if message.role == "tool":
            waiting = [(i, call) for i, (call, result) in enumerate(out) if result is None]
            answered = _answered(message, [call for _, call in waiting]) if waiting else None
            place = next((i for i, call in waiting if call is answered), None)
            if answered is not None and place is not None:
                out[place] = (answered, message.content)
        else:
            out += [(call, None) for call in message.tool_calls]
    return out


def refused(result: str | None) -> bool:
    """Whether a tool's result says that it did nothing."""
    if result is None:
        return False
    value = _value(result)
    return (isinstance(value, dict) and "error" in value) or result.lstrip().casefold().startswith("error")


def differences(wanted: Any, there: Any, path: str = "") -> list[str]:
    """Where two states differ, at most ten places."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        keys = sorted({*wanted, *there})
        return [d for key in keys for d in differences(wanted.get(key), there.get(key), f"{path}.{key}".lstrip("."))][
            :10
        ]
    return [] if wanted == there else [f"{path} is {there!r:.60}, not {wanted!r:.60}"]


def short_text(text: str) -> str:
    """Evidence of at most 400 characters."""
    return text if len(text) <= 400 else text[:397] + "..."


def _name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function", tool)
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else ""


def _parameters(tool: Mapping[str, Any]) -> Any:
    function = tool.get("function", tool)
    return function.get("parameters") if isinstance(function, Mapping) else None


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.strip()


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())
