"""A row's metadata text: the sample's own metadata, and what v1 keeps beside it, its tools and the ids of the calls that
tool messages answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import orjson

from tracemill import identity
from tracemill.errors import LossyConversion

METADATA_TEXT = "metadata_text"
"""Key in `Sample.metadata` of the text that the metadata was read from, where it is not our spelling of it."""

Carried = tuple[dict[str, Any], tuple[Mapping[str, Any], ...], tuple[str | None, ...]]
"""What a metadata text holds: the sample's own metadata, its tools, and the call id of each tool message."""


def read_metadata(written: str | None, tool_turns: int) -> Carried:
    """What the metadata text of a row with `tool_turns` tool messages holds. Never fails; see the rules of `schema`."""
    opaque: Carried = ({METADATA_TEXT: written}, (), (None,) * tool_turns)
    if written is None:
        return opaque
    try:
        held = orjson.loads(written)
    except orjson.JSONDecodeError:
        return opaque
    if not isinstance(held, dict):
        return opaque
    metadata, tools, ids = parts = _unpack(held, tool_turns)
    try:
        if METADATA_TEXT in held:
            return parts if write_metadata(*parts) == written else opaque
        if _canonical(_pack(*parts)) == written:
            return parts
    except (LossyConversion, TypeError):
        return opaque
    return {**metadata, METADATA_TEXT: written}, tools, ids


def tools_in(value: Any) -> tuple[Mapping[str, Any], ...] | None:
    """Tools from a list of JSON schemas or from JSON text of one; None where `value` is neither."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    return tuple(value) if isinstance(value, list) and all(isinstance(tool, dict) for tool in value) else None


def write_metadata(
    metadata: Mapping[str, Any], tools: Sequence[Mapping[str, Any]], ids: Sequence[str | None]
) -> str | None:
    """The text that `read_metadata` reads as exactly these parts; raises LossyConversion where there is none."""
    parts: Carried = (dict(metadata), tuple(tools), tuple(ids))
    try:
        if isinstance(written := metadata.get(METADATA_TEXT, False), str | None):
            read = read_metadata(written, len(ids))
            if read == parts and _canonical(read) == _canonical(parts):
                return written
        held = _pack(*parts)
        spelled = _canonical(held)
    except TypeError as error:
        raise LossyConversion(f"metadata or tools cannot be written as JSON: {error}.", "metadata") from error
    if orjson.loads(spelled) != held:
        raise LossyConversion(
            "metadata or tools hold values that JSON writes as something else (a tuple, NaN, a date ...);"
            " make them plain JSON values.",
            "metadata",
        )
    if _unpack(held, len(ids)) != parts:
        raise LossyConversion(
            "metadata has a key 'tools' or 'tool_call_ids' that would be read back as the sample's tools or call ids;"
            " rename it, or set the fields themselves.",
            "metadata",
        )
    return spelled


def _pack(metadata: Mapping[str, Any], tools: Sequence[Mapping[str, Any]], ids: Sequence[str | None]) -> dict[str, Any]:
    held = dict(metadata)
    if tools:
        held["tools"] = [dict(tool) for tool in tools]
    if any(call_id is not None for call_id in ids):
        held["tool_call_ids"] = list(ids)
    return held


def _unpack(held: Mapping[str, Any], tool_turns: int) -> Carried:
    metadata = dict(held)
    tools = tools_in(metadata.get("tools")) or ()
    if tools:
        del metadata["tools"]
    ids = metadata.get("tool_call_ids")
    kinds = {type(call_id) for call_id in ids} if isinstance(ids, list) and len(ids) == tool_turns else set()
    if str not in kinds or not kinds <= {str, NoneType}:
        return metadata, tools, (None,) * tool_turns
    return metadata, tools, tuple(metadata.pop("tool_call_ids"))


def _canonical(value: Any) -> str:
    return identity.canonical(value).decode()
