"""Lines of batch files: what was asked, what was answered, and what went wrong.

    {"custom_id": "9f..", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "r1", "messages": [...]}}
    {"custom_id": "9f..", "response": {"status_code": 200, "body": {"choices": [...]}}, "error": null}
    {"request": {"model": "r1", "messages": [...]}, "response": {"choices": [...]}}

The first two are OpenAI's batch files; vLLM's `run-batch` reads and writes the same, but tells an HTTP error in `error`
beside a response without a body, where OpenAI's stands in the body. The third is a pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from tracemill import identity
from tracemill.errors import UsageError
from tracemill.gather.lines import DAMAGE, MAX_LINE, open_file
from tracemill.models.replies import Unreadable, parsed

Format = Literal["auto", "openai-batch", "vllm-batch", "pairs"]
FORMATS: tuple[str, ...] = get_args(Format)

FREE = frozenset(
    {"max_tokens", "max_completion_tokens", "seed", "stream", "stream_options", "user", "metadata", "store"}
)
"""Fields of a body that do not make it another question. Limit and seed are compared by themselves."""
CODES = {"batch_expired": "expired", "batch_cancelled": "cancelled"}
"""OpenAI's words for requests that a batch never came to."""


class BadLine(Exception):
    """A line that brings no answer. Holds a reason of `REASONS` and what it says."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of itself."""

    question: str
    """Hex hash of the body without what is `FREE`: equal for the samples of one prompt."""
    seed: int | None
    max_tokens: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line, understood: a request, an answer, or both."""

    custom_id: str | None
    asked: Asked | None
    body: Mapping[str, Any] | None
    """The reply's body, or None where the line is a request alone."""


def read_lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines of a file, compressed or not, without blank ones; None for a line that cannot be read.

    Raises:
        UsageError: there is no such file, or it may not be read.
    """
    number = 0
    try:
        with open_file(path) as lines:
            while line := lines.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    while (rest := lines.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield number, None
                elif line := line.removeprefix(b"\xef\xbb\xbf").strip():
                    yield number, line
    except DAMAGE as exc:
        if isinstance(exc, OSError) and number == 0:
            raise UsageError(f"{path} cannot be read: {exc.strerror or exc}") from exc
        yield number + 1, None  # the file is damaged from here on


def read_line(line: bytes, form: Format = "auto") -> Line:
    """What a line holds.

    Raises:
        BadLine: it is no line of such a file, or tells of an error in place of an answer.
    """
    try:
        told = parsed(line)
    except Unreadable as exc:
        raise BadLine("unreadable", str(exc)) from None
    if not isinstance(told, dict):
        raise BadLine("unreadable", "not a JSON object")
    is_pair = isinstance(told.get("request"), dict)
    if is_pair != (form == "pairs") and form != "auto":
        raise BadLine("unreadable", f"not a line of {form}")
    if is_pair:
        return _pair(told)
    custom_id = told.get("custom_id")
    name = custom_id if isinstance(custom_id, str) and custom_id else None
    body = told.get("body")
    if "response" not in told and "error" not in told and isinstance(body, dict):
        if name is None:
            raise BadLine("no_custom_id", "a request without a custom_id")
        return Line(name, asked(body), None)
    if not ("response" in told or "error" in told):
        raise BadLine("unreadable", "neither a request nor a response in it")
    return Line(name, None, _reply(told.get("response"), told.get("error")))


def _pair(told: dict[str, Any]) -> Line:
    request = told["request"]
    inner = request.get("body")
    question = inner if isinstance(inner, dict) and "messages" not in request else request
    reply = told.get("response", told.get("reply"))
    custom_id = told.get("custom_id", request.get("custom_id"))
    name = custom_id if isinstance(custom_id, str) and custom_id else None
    return Line(name, asked(question), _reply(reply, told.get("error")))


def _reply(response: Any, error: Any) -> Mapping[str, Any]:
    """The body of an answer. A response that has no status stands for its own body."""
    if error:
        code = error.get("code") if isinstance(error, dict) else None
        raise BadLine(CODES.get(str(code), "error"), _told(error))
    if not isinstance(response, dict):
        raise BadLine("error", "no response")
    wrapped = "status_code" in response or isinstance(response.get("body"), dict)
    if response.get("status_code", 200) != 200:
        raise BadLine("error", f"HTTP {response['status_code']}: {_told(response.get('body'))}")
    body = response.get("body") if wrapped else response
    if not isinstance(body, dict):
        raise BadLine("error", "a response without a body")
    return body


def _told(value: Any) -> str:
    return orjson.dumps(value).decode()[:300]


def asked(body: Mapping[str, Any]) -> Asked:
    """What a request's body asks, however it is spelled."""
    seed = body.get("seed")
    limits = (body.get("max_tokens"), body.get("max_completion_tokens"))
    return Asked(
        question=identity.digest(_plain({k: v for k, v in body.items() if k not in FREE and not _is_default(k, v)})),
        seed=seed if isinstance(seed, int) else None,
        max_tokens=next((limit for limit in limits if isinstance(limit, int)), None),
    )


def _is_default(key: str, value: Any) -> bool:
    return value is None or (key == "n" and value == 1) or (key == "tools" and value == [])


def _plain(value: Any) -> Any:
    """A value without differences of spelling: 1.0 is 1, a content in parts is its text, a null is nothing."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        if value and all(
            isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in value
        ):
            return "".join(part["text"] for part in value)
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    return value


def body_hash(body: Mapping[str, Any]) -> bytes:
    """Equal for bodies that say the same."""
    return sha256(identity.canonical(body)).digest()
