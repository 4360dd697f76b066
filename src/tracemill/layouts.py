r"""The published layouts of the Nemotron post-training datasets, as views of a sample.

    v1   Parquet: uuid, license, generator, version, category, reasoning, messages (with tool_calls), metadata
    v2   Parquet: v1 without tool_calls and metadata
    v3   JSONL: {"uuid": "6f1f...", "messages": [{"role": "user", "content": "..."}, {"role": "assistant",
         "content": "... \\boxed{10}", "reasoning_content": "50 minutes is ..."}], "license": "cc-by-4.0",
         "used_in": ["nano_v3"], "tools": [], "reasoning": "on", "metadata": {}, "category": "math", ...}

`to_layout` raises LossyConversion only where the conversation itself would be damaged. All else that a layout has no
place for is a declared loss: `CARRIES` lists what comes back. The rules, besides those of `tracemill.schema`:

- Language is read from a category, else from a split, called `multilingual_<language>`; without one it is "en".
  The domain of such a row is not recorded, so it stays "".
- v1 and v2 have no other column: ours are read only from rows that have all of `SCHEMA`. The `metadata` that some v2
  shards have is read, and not written again.
- v3 keeps the trace beside the content, where text that looks like a tag is simply content. `reasoning_content` is
  there only where there is a trace. Seams lie in the metadata as "trace_seams", one entry for each message: null, or
  the four strings. The first seven keys are always there; category, generator and version follow where not "".
- v3's other columns (`used_in`, unless empty, `capability` ...) lie in `metadata["v3"]` of the sample and are columns
  again on writing.
- v3 may hold `tools`, `arguments` and `metadata` as JSON text or as values. Tools and metadata are written as values,
  arguments as text. Other keys of a v3 message are not read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import orjson
import pyarrow as pa

from tracemill import schema
from tracemill.errors import LossyConversion, RecipeError
from tracemill.metadata import METADATA_TEXT, tools_in
from tracemill.recipe import LANGUAGE
from tracemill.record import Message, Sample

Layout = Literal["v1", "v2", "v3"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

V3_SCHEMA = pa.schema(
    [
        pa.field("uuid", pa.string()),
        pa.field(
            "messages",
            pa.list_(
                pa.struct(
                    [
                        ("role", pa.string()),
                        ("content", pa.string()),
                        ("reasoning_content", pa.string()),
                        ("tool_calls", schema.CALLS_TYPE),
                        ("tool_call_id", pa.string()),
                    ]
                )
            ),
        ),
        pa.field("license", pa.string()),
        pa.field("used_in", pa.list_(pa.string())),
        pa.field("tools", pa.string()),
        pa.field("reasoning", pa.string()),
        pa.field("metadata", pa.string()),
    ]
)
"""v3's seven columns, for who wants them in Parquet: there, `tools` and `metadata` are JSON text."""

_LABELS = frozenset({"uuid", "license", "generator", "version", "category", "reasoning"})
CARRIES: dict[Layout, frozenset[str]] = {
    "v1": _LABELS | {"messages", "tools", "metadata"},
    "v2": _LABELS | {"messages"},
    "v3": _LABELS | {"messages", "tools", "metadata"},
}
"""The fields of a sample that come back equal from a row of the layout."""

_OPTIONAL = ("category", "generator", "version")
_SEAMS, _V3 = "trace_seams", "v3"
_SAMPLE_COLUMNS = frozenset(V3_SCHEMA.names) - {"used_in"} | set(_OPTIONAL)


def to_layout(sample: Sample, layout: Layout) -> dict[str, Any]:
    """`sample` as a row of `layout`, keys in its order.

    Raises:
        LossyConversion: The conversation would be damaged, or metadata read back as something else. `field` is as
            `schema.to_row` says, and for v2 also "tool_calls", "tools" or "tool_call_id".
    """
    match layout:
        case "v1":
            row = schema.to_row(sample)
            return {name: row[name] for name in schema.V1_SCHEMA.names}
        case "v2":
            return _to_v2(sample)
        case "v3":
            return _to_v3(sample)


def from_layout(row: Mapping[str, Any], layout: Layout, *, split: str | None = None) -> Sample:
    """The sample of a row of `layout`; the name of its split says the language where the category does not.

    Raises:
        LossyConversion: A value that no sample can hold; `field` names it.
    """
    if layout == "v3":
        return _spoken(_from_v3(row), split)
    if row.keys() >= set(schema.SCHEMA.names):
        return schema.from_row(row)
    return _spoken(schema.from_row({name: row[name] for name in schema.V1_SCHEMA.names if name in row}), split)


def layout_schema(layout: Layout) -> pa.Schema:
    """The Arrow schema of `layout`."""
    return {"v1": schema.V1_SCHEMA, "v2": schema.V2_SCHEMA, "v3": V3_SCHEMA}[layout]


def detect_layout(row_keys: Collection[str]) -> Layout:
    """The layout of a row with these keys: that of rows which have at least v1's or v2's columns, else v3.

    Rows of our own `SCHEMA` are v1; `from_layout` then reads the whole of them.

    Raises:
        RecipeError: There are no messages, so it is none of the three.
    """
    keys = set(row_keys)
    if "messages" not in keys:
        raise RecipeError(
            f"these rows have no 'messages', so they are none of {', '.join(LAYOUTS)}; they have:"
            f" {', '.join(sorted(keys)) or 'nothing'}. Name the column that holds the conversation 'messages'."
        )
    if keys & {"used_in", "tools"} or not keys >= set(schema.V2_SCHEMA.names):
        return "v3"
    return "v1" if "metadata" in keys else "v2"


def split_language(name: str | None) -> str | None:
    """The language code in a split or category called `multilingual_<language>`, else None.

    Splits are spelled in small letters and underscores, codes as BCP 47 has them: multilingual_pt_br is "pt-BR",
    multilingual_zh_hant_tw is "zh-Hant-TW". What is no code comes back as it stands.
    """
    before, _, language = (name or "").partition("multilingual_")
    if not language or before:
        return None
    first, *parts = language.replace("_", "-").split("-")
    code = "-".join([first.lower(), *map(_subtag, parts)])
    return code if LANGUAGE.fullmatch(code) else language


def _subtag(text: str) -> str:
    """As RFC 5646, 2.1.1 spells it: regions in capitals, scripts with one."""
    if text.isalpha() and len(text) in (2, 4):
        return text.upper() if len(text) == 2 else text.title()
    return text.lower()


def _spoken(sample: Sample, split: str | None) -> Sample:
    language = split_language(sample.category) or split_language(split)
    return sample if language is None else replace(sample, language=language)


def _to_v2(sample: Sample) -> dict[str, Any]:
    held = {
        "tool_calls": any(message.tool_calls for message in sample.messages),
        "tools": bool(sample.tools),
        "tool_call_id": any(message.tool_call_id is not None for message in sample.messages),
    }
    if lost := [name for name, there in held.items() if there]:
        raise LossyConversion(
            f"sample {sample.uuid}: layout v2 has no place for its {' and '.join(lost)}; write v1 or v3.", lost[0]
        )
    row = schema.to_row(replace(sample, metadata={}))
    row["messages"] = [{"role": turn["role"], "content": turn["content"]} for turn in row["messages"]]
    return {name: row[name] for name in schema.V2_SCHEMA.names}


def _to_v3(sample: Sample) -> dict[str, Any]:
    metadata = dict(sample.metadata)
    where = f"sample {sample.uuid}"
    columns = metadata.pop(_V3) if _V3 in metadata else {}
    if _V3 in sample.metadata and not _are_columns(columns):
        raise LossyConversion(
            f"{where}: metadata['{_V3}'] is {columns!r:.80}; layout v3 keeps that key for the columns of a v3"
            " row that a sample has no field for, by name. Rename the key.",
            "metadata",
        )
    if any(message.seam is not None for message in sample.messages):
        clash = _SEAMS in metadata
        metadata[_SEAMS] = [None if message.seam is None else list(message.seam) for message in sample.messages]
    else:
        clash = _seams_in(metadata, len(sample.messages)) is not None
    if clash:
        raise LossyConversion(
            f"{where}: metadata has a key '{_SEAMS}', which layout v3 keeps for the white space around traces."
            " Rename it.",
            "metadata",
        )
    return {
        "uuid": sample.uuid,
        "messages": [_v3_turn(message) for message in sample.messages],
        "license": sample.license,
        "used_in": [],
        "tools": [dict(tool) for tool in sample.tools],
        "reasoning": sample.reasoning,
        "metadata": metadata,
        **{name: value for name in _OPTIONAL if (value := getattr(sample, name))},
        **columns,
    }


def _from_v3(row: Mapping[str, Any]) -> Sample:
    where = f"row {row.get('uuid')}"
    metadata = _v3_metadata(row.get("metadata"), where)
    tools = tools_in([] if row.get("tools") in (None, "") else row["tools"])
    if tools is None:
        raise LossyConversion(
            f"{where}: tools is {row['tools']!r:.80}, not a list of JSON objects nor the JSON text of one.", "tools"
        )
    turns = schema.records(row, "messages", where)
    if seams := _seams_in(metadata, len(turns)):
        del metadata[_SEAMS]
    messages = [
        Message(
            role=schema.read_role(turn, place := f"{where}, messages[{i}]"),
            content=schema.text(turn, "content", place),
            reasoning=schema.optional_text(turn, "reasoning_content", place),
            tool_calls=schema.read_calls(turn, place),
            tool_call_id=schema.optional_text(turn, "tool_call_id", place),
            seam=seams[i] if seams else None,
        )
        for i, turn in enumerate(turns)
    ]
    columns = {name: row[name] for name in row if name not in _SAMPLE_COLUMNS}
    if columns.get("used_in") in (None, []):
        columns.pop("used_in", None)
    if columns:
        metadata[_V3] = columns
    return Sample(
        uuid=schema.text(row, "uuid", where),
        category=schema.text(row, "category", where),
        reasoning=schema.read_reasoning(row, messages, where),
        messages=tuple(messages),
        generator=schema.text(row, "generator", where),
        license=schema.text(row, "license", where),
        version=schema.text(row, "version", where),
        tools=tools,
        metadata=metadata,
    )


def _v3_turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning is not None:
        turn["reasoning_content"] = message.reasoning
    if message.tool_calls:
        turn["tool_calls"] = schema.calls_out(message)
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _v3_metadata(value: Any, where: str) -> dict[str, Any]:
    """A new dict of v3's metadata; text that is no JSON object is kept under `METADATA_TEXT`."""
    if isinstance(value, str) and value:
        try:
            parsed = orjson.loads(value)
        except orjson.JSONDecodeError:
            parsed = None
        value = parsed if isinstance(parsed, dict) else {METADATA_TEXT: value}
    if not isinstance(value, Mapping | None) and value != "":
        raise LossyConversion(f"{where}: metadata is {value!r:.80}, neither an object nor text.", "metadata")
    metadata = dict(value or {})
    if _V3 in metadata:
        raise LossyConversion(
            f"{where}: metadata has a key '{_V3}', which a sample keeps for columns that it has no field for."
            " Rename it.",
            "metadata",
        )
    return metadata


def _seams_in(metadata: Mapping[str, Any], turns: int) -> list[tuple[str, str, str, str] | None] | None:
    """The seam of each message, where `metadata` holds such a list with at least one seam."""
    held = metadata.get(_SEAMS)
    if not isinstance(held, list) or len(held) != turns or all(seam is None for seam in held):
        return None
    seams: list[tuple[str, str, str, str] | None] = []
    for seam in held:
        match seam:
            case None:
                seams.append(None)
            case [str(before), str(opened), str(closing), str(after)]:
                seams.append((before, opened, closing, after))
            case _:
                return None
    return seams


def _are_columns(value: Any) -> bool:
    """Whether a v3 row can hold `value` as columns of its own, and give it back."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(name, str) and name not in _SAMPLE_COLUMNS for name in value)
        and value.get("used_in", True) not in (None, [])
    )
