"""Calls that were made against calls that were wanted, each of which accepts several values for an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tracemill.record import ToolCall
from tracemill.tool_schemas import tool_name

MOST = 64
"""Calls of one answer that are matched; more are taken in the order in which they come."""
_LOOSE = str.maketrans("", "", " ,./-_*^'\"")
"""What texts may differ in, besides case: "New York, NY" is "new york ny". The set's own checker does the same."""


def matches(wanted: Sequence[Any], made: Sequence[ToolCall]) -> tuple[list[Any], list[ToolCall]]:
    """(wanted calls that nobody made, made calls that nobody wanted), the order being free.

    Source: augmenting paths (Berge, 1957), so that a call that fits two wanted ones leaves each its own.
    """
    fits = [[_fits(want, call) for call in made[:MOST]] for want in wanted[:MOST]]
    taken: dict[int, int] = {}

    def give(want: int, seen: set[int]) -> bool:
        for call, good in enumerate(fits[want]):
            if good and call not in seen:
                seen.add(call)
                if call not in taken or give(taken[call], seen):
                    taken[call] = want
                    return True
        return False

    served = [give(want, set()) for want in range(len(fits))]
    missing = [want for want, good in zip(wanted, served, strict=False) if not good] + list(wanted[MOST:])
    needless = [call for place, call in enumerate(made) if place not in taken]
    return missing, needless


def accepted(told: Mapping[str, Any]) -> dict[str, Any]:
    """One wanted call in our form: from BFCL's {name: {argument: [values]}}, or as it is."""
    if "name" in told and "arguments" in told:
        return {"name": tool_name(str(told["name"])), "arguments": dict(told["arguments"])}
    ((name, arguments),) = told.items()
    return {"name": tool_name(str(name)), "arguments": dict(arguments)}


def _fits(want: Any, call: ToolCall) -> bool:
    if not isinstance(want, Mapping) or want.get("name") != call.name or not isinstance(want.get("arguments"), Mapping):
        return False
    try:
        told = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        return False
    return isinstance(told, dict) and _fits_object(want["arguments"], told)


def _fits_object(wanted: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Each argument has one of its accepted values; one that accepts "" may be left out."""
    if any(name not in wanted for name in told):
        return False
    for name, values in wanted.items():
        choices = values if isinstance(values, list) else [values]
        if name not in told:
            if "" not in choices and None not in choices:
                return False
        elif not any(_same(choice, told[name]) for choice in choices):
            return False
    return True


def _same(wanted: Any, told: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(told, bool):
        return wanted is told
    if isinstance(wanted, int | float) and isinstance(told, int | float):
        return wanted == told
    if isinstance(wanted, str) and isinstance(told, str):
        return wanted == told or (_loose(wanted) == _loose(told) != "")
    if isinstance(wanted, list) and isinstance(told, list):
        return len(wanted) == len(told) and all(_same(a, b) for a, b in zip(wanted, told, strict=True))
    if isinstance(wanted, Mapping) and isinstance(told, Mapping):
        return _fits_object(wanted, told)
    return bool(wanted == told)


def _loose(text: str) -> str:
    return text.translate(_LOOSE).casefold()
