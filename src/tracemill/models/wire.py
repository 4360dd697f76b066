"""A request and its reply, before and after the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from tracemill import identity
from tracemill.record import Reasoning, ToolCall, Usage


@dataclass(frozen=True)
class Request:
    """One question to one teacher for one sample."""

    teacher: str
    """Name in the recipe: says whom to ask. Not part of the key."""
    model: str
    messages: tuple[Mapping[str, Any], ...]
    """OpenAI messages, ready for the wire."""
    reasoning: Reasoning
    seed: int
    max_tokens: int
    """Not part of the key: a stored reply serves if it ended by itself or was cut at or above this limit."""
    home: str
    """Hex hash of the prompt: names the journal that keeps the reply. Not part of the key."""
    index: int = 0
    retry: int = 0
    """Counts how often the same sample was asked anew after an empty or broken reply."""
    step: int = 0
    """Counts the requests of one sample that takes several, as an episode with tools does; 0 is the first."""
    revision: str | None = None
    sampling: Mapping[str, float | int] = field(default_factory=dict)
    """temperature, top_p, top_k, min_p: what is set."""
    tools: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the body, among them the switch that turns reasoning on or off."""
    send_seed: bool = True
    """False for servers that refuse `seed`. The seed stays in the key."""
    limit_field: str = "max_tokens"
    """What the server calls the limit on tokens. Not part of the key."""
    trace_field: str | None = None
    """The field of the message in which the trace is looked for first. Not part of the key."""
    shared: bool = False
    """Whether other rows may send the same request, in this process or another. Not part of the key."""

    @cached_property
    def key(self) -> str:
        """Hex sha256 of the canonical request: equal keys may share one reply."""
        return identity.digest(
            {
                "model": self.model,
                "revision": self.revision,
                "messages": list(self.messages),
                "tools": list(self.tools),
                "sampling": dict(self.sampling),
                "seed": self.seed,
                "extra": dict(self.extra),
                "reasoning": self.reasoning,
                "index": [self.index, self.retry, *([self.step] if self.step else [])],
            }
        )

    def body(self) -> dict[str, Any]:
        """The JSON body of `POST /chat/completions`."""
        body: dict[str, Any] = {"model": self.model, "messages": list(self.messages), **self.sampling}
        body[self.limit_field] = self.max_tokens
        if self.send_seed:
            body["seed"] = self.seed
        if self.tools:
            body["tools"] = list(self.tools)
        return {**body, **self.extra}

    def again(self, retry: int, seed: int) -> Request:
        """The same sample asked anew: another key and another seed, so that another answer can come."""
        return replace(self, retry=retry, seed=seed)


@dataclass(frozen=True, slots=True)
class Raw:
    """What came over the wire, unparsed."""

    status: int
    body: bytes
    latency: float
    """Seconds from sending to the last byte."""
    endpoint: str
    location: str | None = None
    """Where a redirect points."""
    retry_after: float | None = None
    """Seconds to wait, from the Retry-After header."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, parsed. The trace is apart from the content wherever the server put it."""

    key: str
    content: str
    reasoning: str | None
    finish_reason: str | None
    model: str | None = None
    """The model string that the server returned."""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that got no usable answer."""

    key: str
    kind: str
    """A word: throttled, transient, connection, timeout, refused, malformed."""
    attempts: int
    detail: str = ""


class Sender(Protocol):
    """Whatever can carry a request to a model: an endpoint, or the built-in teacher."""

    async def send(self, request: Request) -> Raw:
        """Send once. Raises TransportError when no whole reply came."""
        ...

    async def close(self) -> None: ...


class Nobody:
    """A sender for runs that only replay: it is never asked."""

    async def send(self, request: Request) -> Raw:
        raise AssertionError(f"request {request.key} was to be sent in a replay")

    async def close(self) -> None:
        pass


class TransportError(Exception):
    """No whole reply came. `kind` is "unreachable" (no connection), "connection" (it broke before the first byte of the
    reply), "partial" (after it), "timeout" or "oversize".
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


class Ask(Protocol):
    """The one door to a model: journals, retries and paces."""

    async def __call__(self, request: Request) -> Reply | Failure: ...
