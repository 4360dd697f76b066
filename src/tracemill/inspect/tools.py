"""Checks of tool calls against the tools that a row declares. Only rows that call are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from tracemill.inspect.block import Block
from tracemill.legible import one_line, quoted

DEEPEST = 16
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int, float),
    "number": (int, float),
    "null": (type(None),),
}
_SPOKEN = {"dict": "object", "str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array",
           "tuple": "array"}  # fmt: skip
"""Types that tool data spells as Python does."""


def tool_calls(block: Block) -> dict[str, dict[int, str]]:
    """Evidence by check and row."""
    found: dict[str, dict[int, str]] = {}

    def add(check: str, row: int, evidence: str) -> None:
        found.setdefault(check, {}).setdefault(row, one_line(evidence, 120))

    declared = block.texts("tools")
    metadata = block.texts("metadata")
    calling = np.flatnonzero(block.calls)
    callers = set(block.row_of[calling].tolist())
    for row in np.flatnonzero(np.asarray(declared.is_valid())).tolist():
        text = declared[row].as_py()
        if text.strip() and _listed(text) is None:
            add("tools_not_json", row, text)
    tools: dict[int, dict[str, Any] | None] = {}
    for row in callers:
        tools[row] = _tools_of(declared[row].as_py(), metadata[row].as_py())
        if tools[row] is not None and not tools[row]:
            add("tools_missing", row, "")
    as_objects = set(block.batch.notes.get("arguments_as_object", ()))
    for message in calling.tolist():
        row = int(block.row_of[message])
        known = tools[row]
        for call in block.call_values(message):
            function = call.get("function")
            function = function if isinstance(function, Mapping) else {}
            name, text = function.get("name"), function.get("arguments")
            if text and row not in as_objects:
                add("arguments_as_text", row, "")
            arguments = _object(text or "{}")
            if arguments is None:
                add("arguments_not_json", row, text)
            if not known:
                continue
            if name not in known:
                add("call_unknown_tool", row, f"{quoted(name)}; there is {', '.join(known)}")
            elif arguments is not None and (misfit := _misfit(arguments, known[name], "")):
                add("call_arguments_differ", row, f"{name}: {misfit}")
    return found


def _tools_of(declared: str | None, metadata: str | None) -> dict[str, Any] | None:
    """The parameters of each tool by its name; {} where none is declared, None where what is declared is no JSON."""
    if declared and declared.strip():
        listed = _listed(declared)
        if listed is None:
            return None
        if listed:
            return _by_name(listed)
    return _in_metadata(metadata or "{}")


@lru_cache(maxsize=512)
def _in_metadata(text: str) -> dict[str, Any] | None:
    held = _object(text)
    if held is None:
        return None
    tools = held.get("tools")
    listed = _listed(tools) if isinstance(tools, str) else tools
    if listed is None:
        return {} if tools is None else None
    return _by_name(listed) if isinstance(listed, list) else None


def _by_name(tools: list[Any]) -> dict[str, Any]:
    known = {}
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        function = function if isinstance(function, dict) else tool if isinstance(tool, dict) else {}
        if isinstance(function.get("name"), str):
            known[function["name"]] = function.get("parameters")
    return known


@lru_cache(maxsize=512)
def _listed(text: str) -> list[Any] | None:
    try:
        held = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    held = [held] if isinstance(held, dict) else held
    return held if isinstance(held, list) and all(isinstance(tool, dict) for tool in held) else None


def _object(text: Any) -> dict[str, Any] | None:
    try:
        held = orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError):
        return None
    return held if isinstance(held, dict) else None


def _misfit(value: Any, schema: Any, path: str, deep: int = 0) -> str | None:
    """Why `value` does not fit a JSON schema, or None. What a schema says beyond type, enum, required, properties,
    items and additionalProperties=false is not asked.
    """
    if not isinstance(schema, dict) or deep > DEEPEST:
        return None
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(kinds, list):
        named = [_SPOKEN.get(kind, kind) for kind in kinds if isinstance(kind, str)]
        if named and all(kind in _TYPES for kind in named) and not any(_is(value, kind) for kind in named):
            return f"{path or 'arguments'} is {quoted(value)}, not of type {' or '.join(named)}"
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        return f"{path or 'arguments'} is {quoted(value)}, not one of {len(choices)} values allowed"
    if isinstance(value, dict):
        return _misfit_object(value, schema, path, deep)
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, dict):
        return next((m for held in value if (m := _misfit(held, items, f"{path}[]", deep + 1))), None)
    return None


def _misfit_object(value: dict[str, Any], schema: dict[str, Any], path: str, deep: int) -> str | None:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in value:
            return f"{path + '.' if path else ''}{name} is required, and not there"
    for name, held in value.items():
        if held is None and not (isinstance(required, list) and name in required):
            continue  # null is how most models leave a parameter out
        if name in properties:
            if misfit := _misfit(held, properties[name], f"{path + '.' if path else ''}{name}", deep + 1):
                return misfit
        elif properties and schema.get("additionalProperties") is False:
            return f"{path + '.' if path else ''}{name} is no parameter; there are {', '.join(map(str, properties))}"
    return None


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, _TYPES[kind])
