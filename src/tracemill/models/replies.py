"""Reading a reply: where the answer is, where the trace is, and whether there is one at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tracemill.models.wire import Reply, Request
from tracemill.recipe import USUAL_TRACE_FIELDS
from tracemill.record import NO_TOKEN_COUNT, ToolCall, Usage
from tracemill.think import reply_parts

TRACE_PARTS = frozenset({"thinking", "reasoning", "reasoning_text", "reasoning.text", "reasoning.summary"})
"""Types of the parts of a content, or of `reasoning_details`, that hold a trace. Mistral sends "thinking"."""
TEXT_PARTS = frozenset({"text", "output_text"})


class Unreadable(Exception):
    """The body of a 200 holds no answer; the text says what it holds."""


def read_reply(request: Request, body: bytes) -> Reply:
    """The answer in the body of an HTTP 200.

    Raises:
        Unreadable: it is not JSON, is an error object, or has no choice with a message.
    """
    return read_told(request, parsed(body))


def parsed(body: bytes) -> Any:
    """The JSON of a body. Bytes and escapes that are no text (invalid UTF-8, half of a surrogate pair) become U+FFFD: a
    paid reply is not lost for one bad character.

    Raises:
        Unreadable: it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        try:
            mended = json.dumps(json.loads(body.decode(errors="replace")), ensure_ascii=False)
            return orjson.loads(mended.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        except (ValueError, RecursionError):
            raise Unreadable(f"not JSON ({exc}): {body[:80]!r}") from None


def read_told(request: Request, told: Any) -> Reply:
    """The answer in the parsed body of an HTTP 200.

    Raises:
        Unreadable: as `read_reply`.
    """
    try:
        return _read(request, told)
    except RecursionError:
        raise Unreadable("the reply nests too deep") from None


def _read(request: Request, told: Any) -> Reply:
    choice = first_choice(told)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Unreadable("the choice holds no message")
    said = parted(message, request.trace_field)
    return Reply(
        key=request.key,
        content=said.content,
        reasoning=said.reasoning,
        finish_reason=finish_reason(told),
        model=told.get("model") if isinstance(told.get("model"), str) else None,
        tool_calls=_tool_calls(message.get("tool_calls")),
        usage=usage(told),
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What an assistant's message says."""

    reasoning: str | None
    """Stripped; None where there is none, or a blank one."""
    content: str
    """Stripped."""
    where: str | None = None
    """Where the trace stood: a field, "content: " and its mark, or "parts of the content"."""


def parted(message: Mapping[str, Any], first: str | None = None) -> Said:
    """Trace and answer of an assistant's message, wherever its server put them.

    A field of its own comes first; then parts of the content; then the marks inside the text. With a trace in a field,
    the text stays as it is, whatever it looks like.

    Args:
        first: The field that is looked at before the usual ones.
    Raises:
        Unreadable: the content is neither text nor parts.
    """
    content = message.get("content")
    by_parts = None
    if isinstance(content, list):
        by_parts = _joined(content, TRACE_PARTS)
        content = _joined(content, TEXT_PARTS)
    if content is not None and not isinstance(content, str):
        raise Unreadable(f"the content is {type(content).__name__}, not text")
    text = (content or "").strip()
    for name in USUAL_TRACE_FIELDS if first in (None, "content") else (first, *USUAL_TRACE_FIELDS):
        if trace := _trace_text(message.get(name)):
            return Said(trace, text, name)
    if by_parts:
        return Said(by_parts, text, "parts of the content")
    found = reply_parts(text)
    return Said(found.reasoning or None, found.content, None if found.mark is None else f"content: {found.mark}")


def _trace_text(value: Any) -> str:
    """A trace that is a text, a list of parts, or a mapping that holds one; "" for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return _joined(value, TRACE_PARTS | TEXT_PARTS)
    if isinstance(value, dict):
        return next((text for name in ("text", "content", "summary") if (text := _trace_text(value.get(name)))), "")
    return ""


def _joined(parts: list[Any], kinds: frozenset[str]) -> str:
    """The texts of all parts of some kinds, in order. Whatever else lies among them is passed over."""
    out = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in kinds:
            held = next((part[k] for k in ("text", "thinking", "reasoning", "summary") if part.get(k)), "")
            out.append(held if isinstance(held, str) else _trace_text(held))
    return "".join(out).strip()


def first_choice(told: Any) -> dict[str, Any]:
    """The first choice of a completion. Raises Unreadable, saying what is there, if there is none."""
    if not isinstance(told, dict):
        raise Unreadable(f"a JSON object is wanted, this is {type(told).__name__}")
    choices = told.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Unreadable("an error object" if "error" in told else "no choices")
    return choices[0]


def finish_reason(told: Any) -> str | None:
    """Why the first choice ended, or None where that cannot be read."""
    try:
        reason = told["choices"][0]["finish_reason"]
    except (KeyError, IndexError, TypeError):
        return None
    return ("length" if reason == "max_tokens" else reason) if isinstance(reason, str) else None


def usage(told: Any) -> Usage | None:
    """Tokens as the endpoint counted them, or None where it did not."""
    counts = told.get("usage") if isinstance(told, dict) else None
    if not isinstance(counts, dict):
        return None
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if isinstance(prompt, int) and isinstance(completion, int) and _is_count(prompt) and _is_count(completion):
        return Usage(prompt, completion)
    return None


def _is_count(value: int) -> bool:
    """Whether a server's number can be a number of tokens, so that all those of a run can be added up."""
    return not isinstance(value, bool) and 0 <= value < NO_TOKEN_COUNT


def _as_text(arguments: Any) -> str:
    try:
        return orjson.dumps(arguments).decode()
    except TypeError as exc:
        raise Unreadable(f"the arguments of a tool call cannot be written: {exc}") from None


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    out = []
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            arguments = function.get("arguments", "")
            text = arguments if isinstance(arguments, str) else _as_text(arguments)
            out.append(ToolCall(str(call.get("id") or ""), str(function.get("name") or ""), text))
    return tuple(out)
