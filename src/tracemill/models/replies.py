"""Reading a reply: where the answer is, where the trace is, and whether there is one at all."""

from __future__ import annotations

from typing import Any

import orjson

from tracemill.models.wire import Reply, Request
from tracemill.record import ToolCall, Usage
from tracemill.think import reply_split

TRACE_FIELDS = ("reasoning_content", "reasoning", "thinking")
"""Where servers put the trace: vLLM before 0.12, SGLang, llama.cpp; vLLM since, OpenRouter, Ollama; some proxies."""


class Unreadable(Exception):
    """The body of a 200 holds no answer; the text says what it holds."""


def read_reply(request: Request, body: bytes) -> Reply:
    """The answer in the body of an HTTP 200.

    Raises:
        Unreadable: it is not JSON, is an error object, or has no choice with a message.
    """
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise Unreadable(f"not JSON ({exc}): {body[:80]!r}") from None
    choice = _first_choice(told)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Unreadable("the choice holds no message")
    content = message.get("content")
    if isinstance(content, list):  # parts, as some servers send them
        content = "".join(
            str(p["text"]) for p in content if isinstance(p, dict) and p.get("type") == "text" and "text" in p
        )
    if content is not None and not isinstance(content, str):
        raise Unreadable(f"the content is {type(content).__name__}, not text")
    trace = next((t for name in TRACE_FIELDS if isinstance(t := message.get(name), str) and t), None)
    visible = content or ""
    if trace is None:
        trace, visible = reply_split(visible)
    return Reply(
        key=request.key,
        content=visible.strip(),
        reasoning=trace.strip() or None if trace is not None else None,
        finish_reason=finish_reason(told),
        model=told.get("model") if isinstance(told.get("model"), str) else None,
        tool_calls=_tool_calls(message.get("tool_calls")),
        usage=usage(told),
    )


def _first_choice(told: Any) -> dict[str, Any]:
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
    """Whether a server's number can be a number of tokens, and fits the 64 bits of its column."""
    return not isinstance(value, bool) and 0 <= value < 1 << 63


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
