"""One set of columns for v1, v2, v3, Llama-Nemotron and our own rows, and the way there from each.

Shards of one dataset differ: a column more, `arguments` as an object in place of text, `tools` as text in one row and as
a list in the next. Here they become alike. Nothing is judged: a role that nobody knows stays as it is.

    uuid .. reasoning     text, as in v1; null where there is none
    messages              role, content, reasoning_content, tool_calls, tool_call_id; inline traces stay inline
    tools, metadata       JSON text
    language, domain, difficulty, topic, expected_answer, finish_reason    text; null where nobody says
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tracemill.schema import CALLS_TYPE

TURN = pa.struct(
    [
        ("role", pa.string()),
        ("content", pa.string()),
        ("reasoning_content", pa.string()),
        ("tool_calls", CALLS_TYPE),
        ("tool_call_id", pa.string()),
    ]
)
TURNS = pa.list_(TURN)
TEXTS = (
    *("uuid", "license", "generator", "version", "category", "reasoning", "tools", "metadata", "language", "domain"),
    *("difficulty", "topic", "expected_answer", "finish_reason"),
)
SCHEMA = pa.schema([pa.field("messages", TURNS), *(pa.field(name, pa.string()) for name in TEXTS)])
"""What every batch holds, or those of it that were asked for."""

OTHER_NAMES = {"uuid": ("id",), "expected_answer": ("expected",), "license": ("licence",), "topic": ("subject",)}
"""Columns that stand in where ours is missing."""
LLAMA = ("input", "output", "system_prompt")
"""Columns of the Llama-Nemotron set that together are a conversation."""


def wanted(there: Collection[str], columns: Collection[str]) -> list[str]:
    """Which columns of a file that has `there` must be read for `columns` of `SCHEMA`."""
    names: list[str] = []
    for column in columns:
        if column in there:
            names.append(column)
        elif column == "messages":
            names += [name for name in LLAMA if name in there]
        else:
            names += [name for name in OTHER_NAMES.get(column, ()) if name in there][:1]
    return names


def unified(batch: pa.RecordBatch, columns: Collection[str]) -> pa.RecordBatch:
    """`batch` of a file as `columns` of `SCHEMA`, row for row.

    Raises:
        ValueError: There is neither a conversation nor what one is made of; the text names the columns there are.
    """
    there = batch.schema.names
    arrays: list[pa.Array] = []
    for column in columns:
        if column == "messages":
            arrays.append(_conversations(batch))
            continue
        name = next((n for n in (column, *OTHER_NAMES.get(column, ())) if n in there), None)
        arrays.append(pa.nulls(batch.num_rows, pa.string()) if name is None else as_text(batch.column(name)))
    fields = [SCHEMA.field(column) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def as_text(array: pa.Array) -> pa.Array:
    """Text of any column: text as it is, anything else as JSON."""
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    return pa.array([json_text(value) for value in array.to_pylist()], pa.string())


def json_text(value: Any) -> str | None:
    """A value as JSON text; text itself stays as it is, and null is null.

    Keys that are null are left out: Arrow gives every struct of a column the keys of all the others.
    """
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(_without_nulls(value), default=str).decode(errors="replace")


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _without_nulls(held) for key, held in value.items() if held is not None}
        case list():
            return [_without_nulls(held) for held in value]
        case bytes():
            return value.decode(errors="replace")
    return value


def _conversations(batch: pa.RecordBatch) -> pa.Array:
    there = batch.schema.names
    if "messages" in there:
        return turns(batch.column("messages"))
    if "input" in there:
        return _llama(batch)
    raise ValueError(without_conversation(there))


def without_conversation(there: Collection[str]) -> str:
    """What is said of a file that has none of the columns that a conversation can be in."""
    return f"there is neither 'messages' nor 'input'; the columns are {', '.join(there) or 'none'}"


def turns(array: pa.Array) -> pa.Array:
    """Conversations of whatever Arrow type as `TURNS`; those of lists of structs without a copy of their texts."""
    kind = array.type
    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
        return pa.array([turns_of(value) for value in array.to_pylist()], TURNS)
    first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
    offsets = array.offsets if first == 0 else pc.subtract(array.offsets, first)
    structs = array.values.slice(first, last - first)
    names = [field.name for field in kind.value_type]
    arrays = []
    for field in TURN:
        if field.name not in names:
            arrays.append(pa.nulls(len(structs), field.type))
            continue
        held = pc.struct_field(structs, field.name)
        if field.name != "tool_calls":
            arrays.append(as_text(held))
        elif held.type == CALLS_TYPE:
            arrays.append(held)
        else:
            arrays.append(pa.array([calls_of(value) for value in held.to_pylist()], CALLS_TYPE))
    if not len(structs):
        return pa.array([[]] * len(array), TURNS)
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(arrays, fields=list(TURN)))


def turns_of(value: Any) -> list[dict[str, Any]] | None:
    """One conversation from a list of objects, or from JSON text of one; None where it is neither."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) for turn in value):
        return None
    return [turn_of(turn) for turn in value]


def turn_of(turn: Mapping[str, Any]) -> dict[str, Any]:
    """One message as `TURN` holds it."""
    return {
        "role": json_text(turn.get("role")),
        "content": json_text(turn.get("content")),
        "reasoning_content": json_text(turn.get("reasoning_content")),
        "tool_calls": calls_of(turn.get("tool_calls")),
        "tool_call_id": json_text(turn.get("tool_call_id")),
    }


def calls_of(value: Any) -> list[dict[str, Any]] | None:
    """Tool calls as `CALLS_TYPE` holds them; objects as arguments become JSON text."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    calls = []
    for told in value:
        call = told if isinstance(told, Mapping) else {}
        function = call.get("function")
        function = function if isinstance(function, Mapping) else call
        calls.append(
            {
                "id": json_text(call.get("id")),
                "type": json_text(call.get("type")),
                "function": {
                    "name": json_text(function.get("name")),
                    "arguments": json_text(function.get("arguments")),
                },
            }
        )
    return calls


def llama_turns(given: Any, output: Any, system: Any) -> list[dict[str, Any]] | None:
    """The conversation of a Llama-Nemotron row: its input, as a list or one question, and its output."""
    asked = [{"role": "user", "content": given}] if isinstance(given, str) else given
    made = turns_of(asked)
    if made is None:
        return None
    if isinstance(system, str) and system and not any(turn["role"] == "system" for turn in made):
        made.insert(0, turn_of({"role": "system", "content": system}))
    if output is not None:
        made.append(turn_of({"role": "assistant", "content": output}))
    return made


def _llama(batch: pa.RecordBatch) -> pa.Array:
    held = {name: batch.column(name).to_pylist() if name in batch.schema.names else None for name in LLAMA}
    none = [None] * batch.num_rows
    rows = zip(held["input"] or none, held["output"] or none, held["system_prompt"] or none, strict=True)
    return pa.array([llama_turns(*row) for row in rows], TURNS)
