"""What a world is: a state of plain JSON values, and tools that are functions of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import orjson

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """A world and its tools."""

    name: str
    about: str
    """What it is, for a system prompt."""
    tools: tuple[Mapping[str, Any], ...]
    """In OpenAI's form."""
    start: Callable[[int], State]
    """The state that a seed begins with."""
    functions: Mapping[str, Callable[..., Any]]
    """By tool: called with the state, which it may change, and the arguments by name. It returns plain JSON values."""
    acts: frozenset[str]
    """Tools that change the state."""

    def call(self, state: State, name: str, arguments: str) -> tuple[State, str]:
        """The state after a call, and its result as JSON text. A call that the world refuses changes nothing, and its
        result is {"error": ...}; no call raises.
        """
        function = self.functions.get(name)
        if function is None:
            return state, _text({"error": f"there is no tool {name!r}"[:200]})
        try:
            told = orjson.loads(arguments or "{}")
        except orjson.JSONDecodeError:
            return state, _text({"error": "the arguments are not JSON"})
        after = deepcopy(state)
        try:
            result = function(after, **told)
        except Refused as exc:
            return state, _text({"error": str(exc)})
        except (TypeError, AttributeError):  # arguments that the tool does not have, or of another type
            return state, _text({"error": f"{name} cannot be called with these arguments"})
        return after, _text(result)


class Refused(Exception):
    """What a tool says instead of acting."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What calls came to."""

    state: State
    results: tuple[str, ...]


def replay(world: World, state: State, calls: Sequence[tuple[str, str]]) -> Replayed:
    """Make calls, each (tool, arguments as JSON text), one after the other."""
    results = []
    for name, arguments in calls:
        state, result = world.call(state, name, arguments)
        results.append(result)
    return Replayed(state, tuple(results))


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
