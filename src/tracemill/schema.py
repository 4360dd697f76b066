r"""The Arrow schema of a published row, and the way from a sample to a row and back.

A row is v1's eight columns, then ours. What a row holds of one sample (most of our columns left out):

    uuid "6f1f...", license "cc-by-4.0", generator "deepseek-r1", version "1.0", category "math", reasoning "on",
    messages [{role "user", content "Weng earns $12 an hour ...", tool_calls []},
              {role "assistant", content "<think>\n50 minutes is ...\n</think>\n\n... \\boxed{10}", tool_calls []}],
    metadata "{}", language "en", domain "math", ..., usage {prompt_tokens 61, completion_tokens 214}

`from_row(to_row(sample)) == sample`, or `to_row` raises LossyConversion with the name of the field. The rules:

- Traces are inline (`think.join`) in assistant messages. Texts of other roles are never split nor scanned.
- `tools` lie in the metadata as "tools", ids of tool results as "tool_call_ids": one entry for each tool message, null
  where it has none. A sample whose own metadata has such a key in a form that would be read as ours is refused.
- Metadata is JSON with sorted keys. A text that we would have spelled otherwise ("", null, `[1]`, `{"a": 1}` with its
  blank) is kept whole in `metadata[METADATA_TEXT]` beside the parsed keys, and written back byte for byte as long as
  they still say the same. Once they do not, it is an ordinary key like any other.
- On reading: null content and null strings are "", null and [] tool_calls are both () and written as [], a null `type`
  of a call is "function", a null `reasoning` is "on" if an assistant message holds a trace that is not empty. A column
  that is missing altogether reads as the default of its field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import orjson
import pyarrow as pa

from tracemill import think
from tracemill.columns import table_of
from tracemill.errors import LossyConversion
from tracemill.metadata import read_metadata, write_metadata
from tracemill.record import ROLES, Message, Reasoning, Role, Sample, ToolCall, Usage, Verdict

_BATCH_ROWS = 256


def _strings(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string()) for name in names]


_FUNCTION = pa.struct(_strings("name", "arguments"))
CALLS_TYPE = pa.list_(pa.struct([*_strings("id", "type"), pa.field("function", _FUNCTION)]))
"""Arrow type of `tool_calls`; `arguments` is a string that holds JSON."""

_LABELS = _strings("uuid", "license", "generator", "version", "category", "reasoning")
_TURN = _strings("role", "content")

V1_SCHEMA = pa.schema(
    [
        *_LABELS,
        pa.field("messages", pa.list_(pa.struct([*_TURN, pa.field("tool_calls", CALLS_TYPE)]))),
        pa.field("metadata", pa.string()),
    ]
)
"""The columns of nvidia/Nemotron-Post-Training-Dataset-v1, in its order."""

V2_SCHEMA = pa.schema([*_LABELS, pa.field("messages", pa.list_(pa.struct(_TURN)))])
"""The columns of nvidia/Nemotron-Post-Training-Dataset-v2, in its order."""

_VERDICT = pa.struct([("step", pa.string()), ("passed", pa.bool_()), ("evidence", pa.string())])

SCHEMA = pa.schema(
    [
        *V1_SCHEMA,
        *_strings("language", "domain", "source", "source_id", "source_license", "parent_uuid", "prompt_key"),
        pa.field("sample_index", pa.int32()),
        *_strings("expected_answer", "finish_reason", "sampling"),
        pa.field("requests", pa.list_(pa.string())),
        pa.field("verdicts", pa.list_(_VERDICT)),
        pa.field("usage", pa.struct([("prompt_tokens", pa.int64()), ("completion_tokens", pa.int64())])),
    ]
)
"""A published row: v1's columns, then ours."""

REJECTED_SCHEMA = pa.schema([*SCHEMA, *_strings("stage", "reason", "evidence")])
"""A row in `rejected/`: the sample, and why not."""

FAILED_SCHEMA = pa.schema([*SCHEMA, *_strings("error_class"), pa.field("attempts", pa.int32()), *_strings("evidence")])
"""A row in `failed/`: what is known of the sample, and what its requests met."""


def to_row(sample: Sample) -> dict[str, Any]:
    """`sample` as one row of `SCHEMA`, keys in its order, values as `pyarrow` takes them.

    Raises:
        LossyConversion: The row would be read back as another sample; `field` is "reasoning", "content", "seam",
            "tool_call_id", "tools" or "metadata".
    """
    metadata = _metadata_of(sample)
    return {
        "uuid": sample.uuid,
        "license": sample.license,
        "generator": sample.generator,
        "version": sample.version,
        "category": sample.category,
        "reasoning": sample.reasoning,
        "messages": [_turn(message, sample.uuid, i) for i, message in enumerate(sample.messages)],
        "metadata": metadata,
        "language": sample.language,
        "domain": sample.domain,
        "source": sample.source,
        "source_id": sample.source_id,
        "source_license": sample.source_license,
        "parent_uuid": sample.parent,
        "prompt_key": sample.prompt_key,
        "sample_index": sample.sample_index,
        "expected_answer": sample.expected,
        "finish_reason": sample.finish_reason,
        "sampling": sample.sampling,
        "requests": list(sample.requests),
        "verdicts": [{"step": v.step, "passed": v.passed, "evidence": v.evidence} for v in sample.verdicts],
        "usage": None
        if sample.usage is None
        else {"prompt_tokens": sample.usage.prompt_tokens, "completion_tokens": sample.usage.completion_tokens},
    }


def check_row(sample: Sample) -> None:
    """Raise what `to_row` raises, in half its time: nothing is written."""
    _metadata_of(sample)
    for i, message in enumerate(sample.messages):
        _check_turn(message, sample.uuid, i)


def _metadata_of(sample: Sample) -> str | None:
    ids = tuple(message.tool_call_id for message in sample.messages if message.role == "tool")
    if not (sample.metadata or sample.tools or ids):
        return "{}"
    try:
        return write_metadata(sample.metadata, sample.tools, ids)
    except LossyConversion as error:
        raise LossyConversion(f"sample {sample.uuid}: {error}", error.field) from error


def from_row(row: Mapping[str, Any]) -> Sample:
    """The sample of a row of `SCHEMA`, or of v1 or v2, whose missing columns read as defaults.

    Raises:
        LossyConversion: A value that no sample can hold: an unknown role, a `reasoning` that is neither on nor off, or
            another type than the schema's. `field` names it.
    """
    where = f"row {row.get('uuid')}"
    turns = records(row, "messages", where)
    tool_turns = sum(turn.get("role") == "tool" for turn in turns)
    written = optional_text(row, "metadata", where) if "metadata" in row else "{}"
    metadata, tools, ids = read_metadata(written, tool_turns)
    remaining = iter(ids)
    messages = []
    for i, turn in enumerate(turns):
        place = f"{where}, messages[{i}]"
        role, content, calls = read_role(turn, place), text(turn, "content", place), read_calls(turn, place)
        trace, content, seam = think.split(content) if role == "assistant" else (None, content, None)
        call_id = next(remaining) if role == "tool" else None
        messages.append(Message(role, content, trace, calls, call_id, seam))
    language, usage = optional_text(row, "language", where), row.get("usage")
    return Sample(
        uuid=text(row, "uuid", where),
        category=text(row, "category", where),
        reasoning=read_reasoning(row, messages, where),
        messages=tuple(messages),
        generator=text(row, "generator", where),
        license=text(row, "license", where),
        version=text(row, "version", where),
        language="en" if language is None else language,
        domain=text(row, "domain", where),
        tools=tools,
        metadata=metadata,
        source=text(row, "source", where),
        source_id=text(row, "source_id", where),
        source_license=text(row, "source_license", where),
        parent=optional_text(row, "parent_uuid", where),
        prompt_key=text(row, "prompt_key", where),
        sample_index=row.get("sample_index") or 0,
        expected=optional_text(row, "expected_answer", where),
        finish_reason=optional_text(row, "finish_reason", where),
        sampling=text(row, "sampling", where),
        requests=tuple(listed(row, "requests", where)),
        verdicts=tuple(
            Verdict(text(v, "step", where), bool(v.get("passed")), text(v, "evidence", where))
            for v in records(row, "verdicts", where)
        ),
        usage=None if usage is None else Usage(usage["prompt_tokens"], usage["completion_tokens"]),
    )


def to_table(samples: Iterable[Sample]) -> pa.Table:
    """`samples` as a table of `SCHEMA`, one row each, in their order.

    Raises:
        LossyConversion: As `to_row`; or a value that its Arrow type cannot hold, such as a lone surrogate in a text or
            a `sample_index` above 2**31 - 1. `field` is then the column.
    """
    rows = [to_row(sample) for sample in samples]
    try:
        return table_of(rows, SCHEMA)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError):
        for row in rows:
            for column in SCHEMA:
                try:
                    pa.array([row[column.name]], type=column.type)
                except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError) as error:
                    raise LossyConversion(
                        f"sample {row['uuid']}: {column.name} does not fit its Arrow type {column.type}: {error}",
                        column.name,
                    ) from error
        raise


def from_table(table: pa.Table) -> list[Sample]:
    """All samples of `table`, in its order. For files that do not fit in memory, `samples_in` each batch."""
    return list(samples_in(table))


def samples_in(table: pa.Table | pa.RecordBatch) -> Iterator[Sample]:
    """The samples of `table` one after another; no more than a batch of them is held as Python values."""
    for start in range(0, table.num_rows, _BATCH_ROWS):
        for row in table.slice(start, _BATCH_ROWS).to_pylist():
            yield from_row(row)


def calls_out(message: Message) -> list[dict[str, Any]]:
    """The tool calls of `message` as v1 and the OpenAI wire write them."""
    return [
        {"id": call.id, "type": call.type, "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]


def read_calls(turn: Mapping[str, Any], where: str) -> tuple[ToolCall, ...]:
    """The tool calls of a raw message. Arguments given as a value become JSON text, key order kept."""
    calls = []
    for call in records(turn, "tool_calls", where):
        function = call.get("function") or {}
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = orjson.dumps(arguments).decode()
        calls.append(
            ToolCall(
                text(call, "id", where),
                text(function, "name", where),
                arguments or "",
                "function" if call.get("type") is None else text(call, "type", where),
            )
        )
    return tuple(calls)


def read_role(turn: Mapping[str, Any], where: str) -> Role:
    """The role of a raw message, one of `ROLES`."""
    role = turn.get("role")
    if role not in ROLES:
        raise LossyConversion(f"{where}.role is {role!r}, not one of {', '.join(ROLES)}.", "role")
    return cast(Role, role)


def read_reasoning(row: Mapping[str, Any], messages: Sequence[Message], where: str) -> Reasoning:
    """The `reasoning` of a raw row; where that is null or missing, what the messages show."""
    value = row.get("reasoning")
    if value is None:
        return "on" if any(message.role == "assistant" and message.reasoning for message in messages) else "off"
    if value not in ("on", "off"):
        raise LossyConversion(f"{where}: reasoning is {value!r}, not 'on', 'off' or null.", "reasoning")
    return cast(Reasoning, value)


def text(row: Mapping[str, Any], name: str, where: str) -> str:
    """The string under `name`; "" where it is null or missing."""
    value = optional_text(row, name, where)
    return "" if value is None else value


def optional_text(row: Mapping[str, Any], name: str, where: str) -> str | None:
    """The string under `name`; None where it is null or missing."""
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise LossyConversion(f"{where}: {name} is a {type(value).__name__} ({value!r:.60}), not a string.", name)
    return value


def listed(row: Mapping[str, Any], name: str, where: str) -> Sequence[Any]:
    """The list under `name`; empty where it is null or missing. Arrays, as pandas gives them, serve too."""
    value = row.get(name)
    if value is None:
        return ()
    if isinstance(value, str | Mapping) or not hasattr(value, "__iter__"):
        raise LossyConversion(f"{where}: {name} is a {type(value).__name__} ({value!r:.60}), not a list.", name)
    return cast(Sequence[Any], value)


def records(row: Mapping[str, Any], name: str, where: str) -> list[Mapping[str, Any]]:
    """The structs listed under `name`; empty where it is null or missing."""
    values = listed(row, name, where)
    for i, value in enumerate(values):
        if not isinstance(value, Mapping):
            raise LossyConversion(f"{where}: {name}[{i}] is {value!r:.60}, not a struct of named values.", name)
    return list(values)


def _turn(message: Message, uuid: str, i: int) -> dict[str, Any]:
    _check_turn(message, uuid, i)
    content = message.content
    if message.role == "assistant":
        content = think.join(message.reasoning, message.content, message.seam, checked=True)
    return {"role": message.role, "content": content, "tool_calls": calls_out(message)}


def _check_turn(message: Message, uuid: str, i: int) -> None:
    try:
        if message.role == "assistant":
            think.check(message.reasoning, message.content, message.seam)
        elif message.reasoning is not None:
            raise LossyConversion(f"only an assistant's trace is kept; this role is {message.role!r}.", "reasoning")
        elif message.seam is not None:
            raise LossyConversion(f"only an assistant's seam is kept; this role is {message.role!r}.", "seam")
        if message.tool_call_id is not None and message.role != "tool":
            raise LossyConversion(
                f"only a tool message answers a call; this role is {message.role!r}. Set tool_call_id to None.",
                "tool_call_id",
            )
    except LossyConversion as error:
        raise LossyConversion(f"sample {uuid}, messages[{i}]: {error}", error.field) from error
