"""How a scripted server misbehaves, and for which requests.

A fault is drawn from the request and from how often the server has seen it, never from time or order of arrival: the
same requests meet the same faults in every run, and a request that is sent again gets a new draw.
"""

from __future__ import annotations

import difflib
import gzip
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cache
from hashlib import sha256
from typing import Any

import orjson

from tracemill import identity
from tracemill.testing.connection import Response

KINDS = {
    "throttle": "429 with Retry-After in seconds",
    "throttle_date": "429 with Retry-After as an HTTP date",
    "throttle_bare": "429 without Retry-After",
    "error_500": "500 with a JSON error",
    "error_502": "502 with a gateway's HTML page",
    "error_503": "503 with a JSON error",
    "error_504": "504 with a gateway's HTML page",
    "reset": "connection reset before any byte of the response",
    "partial": "headers and half of the body, then the connection is closed",
    "hang": "no byte for `hang_seconds`, then the connection is closed",
    "slow": "the right answer after `slow_factor` times the latency",
    "malformed": "200 with the first half of the JSON",
    "html": "200 with an HTML page",
    "error_object": "200 with an error object instead of choices",
    "no_choices": "200 with an empty list of choices",
    "empty": "200 with content '' and finish_reason stop, without a trace",
    "bad_request": "400 with a JSON error",
    "unauthorized": "401 with a JSON error",
    "model_missing": "404 with a JSON error",
    "error_408": "408 with a JSON error",
    "error_529": "529 with a JSON error",
    "unpaid": "402 with a JSON error",
    "forbidden": "403 with a JSON error",
    "moderated": "403 with a JSON error that names the moderation",
    "too_long": "400 with a JSON error that names the context length",
    "redirect": "307 to another host",
    "stall": "headers and half of the body, then nothing for `hang_seconds`, then the connection is closed",
    "oversize": "200 with a body of 40 MB",
    "bomb": "200 with 64 kB of gzip that open to 64 MB",
    "wrong_model": "the right answer, under another model's name",
    "filtered": "200 with content '' and finish_reason content_filter",
    "truncated": "the right answer, its second half missing, with finish_reason length",
    "loop": "200 with a content that says one sentence a hundred times",
    "garbage": "the right answer, U+FFFD after every two characters of its content",
    "bad_utf8": "the right answer, with a byte that is no UTF-8 at the end of its content",
    "surrogate": "the right answer, with half of an escaped surrogate pair at the end of its content",
}
"""What each kind of fault looks like on the wire."""

AT_ONCE = frozenset(
    {
        *("throttle", "throttle_date", "throttle_bare", "bad_request", "unauthorized", "model_missing"),
        *("error_529", "unpaid", "forbidden", "moderated", "too_long", "redirect", "max_in_flight"),
    }
)
"""Kinds that are answered without latency, since no model is asked."""

TOO_MANY = "max_in_flight"
"""The fault of a request that came while `max_in_flight` others were being answered. Looks like "throttle_bare"."""

_ERRORS = {
    "throttle": (429, "rate_limit_error", "Rate limit reached."),
    "throttle_date": (429, "rate_limit_error", "Rate limit reached."),
    "throttle_bare": (429, "rate_limit_error", "Rate limit reached."),
    TOO_MANY: (429, "rate_limit_error", "Too many requests in flight."),
    "error_500": (500, "server_error", "The server had an error."),
    "error_503": (503, "server_error", "The server is overloaded."),
    "error_object": (200, "server_error", "The model failed while it answered."),
    "bad_request": (400, "invalid_request_error", "This request cannot be answered."),
    "unauthorized": (401, "authentication_error", "Incorrect API key provided."),
    "model_missing": (404, "not_found_error", "The model does not exist."),
    "error_408": (408, "timeout_error", "The request took too long to arrive."),
    "error_529": (529, "overloaded_error", "Overloaded."),
    "unpaid": (402, "billing_error", "There is no credit left."),
    "forbidden": (403, "permission_error", "This key may not do that."),
    "moderated": (403, "moderation_error", "The input was flagged by moderation."),
    "too_long": (400, "invalid_request_error", "This model's maximum context length is 4096 tokens; you sent 5000."),
}
_PAGES = {"error_502": (502, "Bad Gateway"), "error_504": (504, "Gateway Time-out"), "html": (200, "Welcome")}


@dataclass(frozen=True)
class Faults:
    """Which requests go wrong, and how. Kinds are the keys of `KINDS`."""

    rates: Mapping[str, float] = field(default_factory=dict)
    """Share of requests by kind; all together at most 1."""
    seed: int = 0
    script: Callable[[dict[str, Any], int], str | None] | None = None
    """Decides instead of `rates`, from the body and the attempt (0 when the server sees a body for the first time)."""
    sticky: frozenset[str] = frozenset()
    """Kinds that are drawn by request alone, so that every attempt meets them. They are drawn first; the rates of
    the others hold among the requests that no sticky kind has hit."""
    retry_after: int = 1
    """Seconds, of the kinds that send Retry-After."""
    hang_seconds: float = 30.0
    slow_factor: float = 10.0
    max_in_flight: int | None = None
    """Above this many requests at a time, each further one is refused with 429 and does not count as an attempt."""

    def __post_init__(self) -> None:
        _check_kinds([*self.rates, *self.sticky])
        if any(not 0 <= rate <= 1 for rate in self.rates.values()) or math.fsum(self.rates.values()) > 1 + 1e-9:
            raise ValueError(f"fault rates lie between 0 and 1 and add up to at most 1, not {dict(self.rates)}")
        if self.script is not None and (self.rates or self.sticky):
            raise ValueError("faults come from `rates` or from `script`, not from both")

    def draw(self, body: dict[str, Any], digest: str, attempt: int) -> str | None:
        """The fault of this attempt, or None.

        Args:
            digest: `body_hash` of `body`.
            attempt: How often the server has seen this hash before.
        """
        if self.script is not None:
            kind = self.script(body, attempt)
            _check_kinds([] if kind is None else [kind])
            return kind
        if not self.rates:
            return None
        stuck = self._pick(_uniform([self.seed, digest]), sticky=True) if self.sticky else None
        return stuck or self._pick(_uniform([self.seed, digest, attempt]), sticky=False)

    def _pick(self, drawn: float, *, sticky: bool) -> str | None:
        for kind in KINDS:  # their order, not that of `rates`: equal rates mean equal faults
            if (kind in self.sticky) is sticky:
                drawn -= self.rates.get(kind, 0.0)
                if drawn < 0:
                    return kind
        return None

    def delay(self, kind: str | None, latency: float) -> float:
        """Seconds until something happens to the request."""
        match kind:
            case "hang":
                return self.hang_seconds
            case "slow":
                return latency * self.slow_factor
            case _ if kind in AT_ONCE:
                return 0.0
        return latency

    def response(self, kind: str) -> Response | None:
        """The response of a kind that needs no answer, None for the others."""
        if kind in _PAGES:
            status, title = _PAGES[kind]
            page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
            return Response(status, page.encode(), "text/html; charset=utf-8")
        if kind == "redirect":
            return Response(307, b"", headers=(("Location", "http://elsewhere.invalid/v1/chat/completions"),))
        if kind == "oversize":
            return Response(200, b'"' + b"x" * 40_000_000 + b'"')
        if kind == "bomb":
            return Response(200, _bomb(), headers=(("Content-Encoding", "gzip"),))
        if kind not in _ERRORS:
            return None
        wait = {
            "throttle": lambda: str(self.retry_after),
            "throttle_date": lambda: formatdate(math.ceil(time.time()) + self.retry_after, usegmt=True),
        }
        headers = (("Retry-After", wait[kind]()),) if kind in wait else ()
        return error_response(*_ERRORS[kind], headers=headers)


def error_response(status: int, kind: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An error as OpenAI-compatible servers word it."""
    body = orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": status}})
    return Response(status, body, headers=headers)


def spoil(kind: str | None, completion: dict[str, Any]) -> Response:
    """A 200 with this completion, spoilt where `kind` says so."""
    match kind:
        case "no_choices":
            completion = {**completion, "choices": []}
        case "empty":
            choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
            completion = {**completion, "choices": [choice]}
        case "wrong_model":
            completion = {**completion, "model": "another-model"}
        case "filtered":
            completion = _saying(completion, "", "content_filter")
        case "truncated":
            text = completion["choices"][0]["message"]["content"] or ""
            completion = _saying(completion, text[: len(text) // 2], "length")
        case "loop":
            completion = _saying(
                completion, "I will think about this once more, step by step, and then say it again. " * 100
            )
        case "garbage":
            text = completion["choices"][0]["message"]["content"] or ""
            completion = _saying(completion, "\ufffd".join(text[i : i + 2] for i in range(0, len(text), 2)))
        case "bad_utf8" | "surrogate":
            completion = _saying(completion, (completion["choices"][0]["message"]["content"] or "") + " \x1a")
    body = _dump(completion)
    bad = {"bad_utf8": b"\xff", "surrogate": b"\\ud83d"}.get(kind or "")
    if bad is not None:
        body = body.replace(b"\\u001a", bad)
    return Response(200, body[: len(body) // 2] if kind == "malformed" else body)


def _saying(completion: dict[str, Any], content: str, finish: str | None = None) -> dict[str, Any]:
    """The completion with another content, and another finish_reason."""
    choice = completion["choices"][0]
    said = {**choice, "message": {**choice["message"], "content": content}}
    return {**completion, "choices": [{**said, "finish_reason": finish or choice["finish_reason"]}]}


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * 64_000_000, 9)


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate, which real servers send as an escape
        return json.dumps(value).encode()


def _uniform(value: Any) -> float:
    return int.from_bytes(sha256(identity.canonical(value)).digest()[:7], "big") / (1 << 56)


def _check_kinds(kinds: Iterable[str]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"no fault is called {kind!r} (there are: {', '.join(KINDS)}).{hint}")
