r"""Eight kinds of servers and the models on them, as a table: which switches they obey, where they put the trace, which
fields they refuse, and in which words.

    with emulated_server("ollama", {"qwen3:8b": Emulated("qwen3")}) as server:
        ...  # ask server.url; `reasoning_effort: none` switches thinking off, `chat_template_kwargs` does nothing

What is here was written from the servers' own sources and documentation, not from the table of dialects, so that each
can be held against the other. Nothing is generated: a model says its `trace` and `answer`, or the answer alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from tracemill.testing.answers import Answer, Body, completion, text_of
from tracemill.testing.connection import Response
from tracemill.testing.events import body_hash
from tracemill.testing.server import ScriptedServer

Form = Literal["parsed", "raw", "parts", "details", "blank", "swapped"]
"""Where a thought goes: where the server's parser puts it; nowhere, the text stays as the model wrote it; into parts of
the content; into `reasoning_details`; raw, beside a blank field; and the answer in its place, with no content."""


class Refused(Exception):
    """The server answers with this status and body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status, body)
        self.response = Response(status, orjson.dumps(body))


def _openai_error(message: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def _old_vllm_error(message: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": "BadRequestError", "param": param, "code": 400}


def _vllm_error(message: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "BadRequestError", "param": param, "code": 400}}


def _llama_error(message: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"code": 400, "message": message, "type": "invalid_request_error"}}


def _ollama_error(message: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "api_error", "param": None, "code": None}}


def _router_error(message: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "code": 400}}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of server."""

    trace: str | None
    """The field of the message for the trace that its parser finds; None: traces are never shown."""
    error: Callable[[str, str | None, str | None], dict[str, Any]]
    """Its error body, from message, parameter and code."""
    owned_by: str
    template: bool = True
    """Whether `chat_template_kwargs` reach the model's template. If not, they are ignored."""
    effort: tuple[str, ...] = ("reasoning_effort",)
    """The way to the effort in the body."""
    none_is_off: bool = False
    """Whether the effort "none" keeps any model from thinking."""
    knows: frozenset[str] | None = None
    """The only fields that it takes; None: whatever it does not know is ignored."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of its replies."""


_OPENAI_KNOWS = frozenset(
    """model messages max_tokens max_completion_tokens seed temperature top_p tools reasoning_effort stop n stream
    response_format user""".split()
)
KINDS: dict[str, Kind] = {
    "vllm-old": Kind("reasoning_content", _old_vllm_error, "vllm"),
    "vllm": Kind("reasoning", _vllm_error, "vllm"),
    "sglang": Kind("reasoning_content", _old_vllm_error, "sglang"),
    "llama.cpp": Kind("reasoning_content", _llama_error, "llamacpp", none_is_off=True),
    "ollama": Kind(
        "reasoning",
        _ollama_error,
        "library",
        template=False,
        none_is_off=True,
        extras={"system_fingerprint": "fp_ollama"},
    ),
    "openrouter": Kind(
        "reasoning", _router_error, "", template=False, effort=("reasoning", "effort"), none_is_off=True
    ),
    "nim": Kind("reasoning_content", _vllm_error, "nvidia"),
    "openai": Kind(None, _openai_error, "system", template=False, knows=_OPENAI_KNOWS),
}


@dataclass(frozen=True, slots=True)
class Nature:
    """What a family of models does."""

    default: bool
    """Whether it thinks if nobody says anything."""
    variable: str | None = None
    """The variable of its template that switches it."""
    on: str | None = None
    """The line of the system's message that switches it on."""
    off: str | None = None
    levels: frozenset[str] = frozenset()
    """Efforts that it knows."""
    raw: str = "<think>\n{trace}\n</think>\n\n{answer}"
    """What it writes when it thinks."""
    hidden: bool = False
    """Whether its maker shows nothing of what it thinks, and refuses some usual fields."""


_CLOSE = "{trace}\n</think>\n\n{answer}"
_HARMONY = "<|channel|>analysis<|message|>{trace}<|end|><|start|>assistant<|channel|>final<|message|>{answer}"
_LEVELS = frozenset({"low", "medium", "high"})
NATURES: dict[str, Nature] = {
    "deepseek-r1": Nature(True, raw="{trace}\n</think>{answer}"),
    "deepseek-r1-0528": Nature(True),
    "deepseek-v3": Nature(False, "thinking"),
    "qwen3": Nature(True, "enable_thinking"),
    "qwen3-thinking": Nature(True, raw=_CLOSE),
    "qwen3-instruct": Nature(False),
    "qwq": Nature(True, raw=_CLOSE),
    "gpt-oss": Nature(True, levels=_LEVELS, raw=_HARMONY),
    "gpt-oss-unmarked": Nature(True, levels=_LEVELS, raw="analysis{trace}assistantfinal{answer}"),
    "nemotron-v1": Nature(False, on="detailed thinking on", off="detailed thinking off"),
    "nemotron-v1.5": Nature(True, on="/think", off="/no_think"),
    "nemotron-nano-v2": Nature(True, on="/think", off="/no_think", raw=_CLOSE),
    "nemotron-3": Nature(True, "enable_thinking", raw=_CLOSE),
    "glm-4.5": Nature(True, "enable_thinking"),
    "granite-3": Nature(False, "thinking", raw="Here is my thought process: {trace}\n\nHere is my response: {answer}"),
    "magistral": Nature(True, raw="[THINK]{trace}[/THINK]{answer}"),
    "kimi-k2-thinking": Nature(True, raw="◁think▷{trace}◁/think▷{answer}"),
    "openai-o": Nature(True, levels=_LEVELS, hidden=True),
    "gpt-5.1": Nature(False, levels=_LEVELS | {"none"}, hidden=True),
    "plain": Nature(False),
}


@dataclass(frozen=True, slots=True)
class Emulated:
    """One model on an emulated server."""

    family: str
    """A key of `NATURES`."""
    form: Form = "parsed"
    obeys: bool = True
    """False: it does the opposite of what it is told."""
    trace: str = "Two and two make four."
    answer: str = "It is \\boxed{4}."


@dataclass(frozen=True, slots=True)
class Truth:
    """What a model did with its latest request."""

    thought: bool
    shown: bool
    """Whether the trace is anywhere in what was sent."""


class EmulatedAnswers:
    """Answers as a kind of server with certain models would; for `ScriptedServer`."""

    def __init__(self, kind: str, models: Mapping[str, Emulated], refuses: tuple[str, ...] = ()) -> None:
        """Args:
        kind: A key of `KINDS`.
        models: By the name that requests give.
        refuses: Further fields that are refused with 400, as gateways do.
        """
        self.kind, self.models, self.refuses = KINDS[kind], dict(models), refuses
        self.truths: dict[str, Truth] = {}

    def __call__(self, body: Body) -> Response:
        """The response to a request."""
        try:
            return self._said(body)
        except Refused as refused:
            return refused.response

    def _said(self, body: Body) -> Response:
        model = self.models.get(str(body.get("model")))
        if model is None:
            raise Refused(404, self.kind.error(f"The model `{body.get('model')}` does not exist.", "model", None))
        nature = NATURES[model.family]
        self._check(body, nature)
        thought = self._thinks(body, nature) is model.obeys
        shown = thought and not nature.hidden and (self.kind.trace is not None or model.form != "parsed")
        self.truths[str(body["model"])] = Truth(thought, shown)
        said = completion(body, Answer(model.answer), body_hash(body), truncates=False)
        if thought and nature.hidden:
            said["usage"]["completion_tokens_details"] = {"reasoning_tokens": len(model.trace.split())}
        said["choices"][0]["message"] |= self._message(model, nature, thought, shown)
        return Response(200, orjson.dumps({**said, **self.kind.extras}))

    def _message(self, model: Emulated, nature: Nature, thought: bool, shown: bool) -> dict[str, Any]:
        own = self.kind.trace or "reasoning"
        if model.form == "swapped" and not thought:
            return {"content": None, own: model.answer}
        if not thought or not shown:
            return {"content": model.answer}
        raw = nature.raw.format(trace=model.trace, answer=model.answer)
        match model.form:
            case "raw":
                return {"content": raw}
            case "blank":
                return {"content": raw, own: " "}
            case "parts":
                thinking = {"type": "thinking", "thinking": [{"type": "text", "text": model.trace}]}
                return {"content": [thinking, {"type": "text", "text": model.answer}]}
            case "details":
                return {"content": model.answer, "reasoning_details": [{"type": "reasoning.text", "text": model.trace}]}
        return {"content": model.answer, own: model.trace}

    def _thinks(self, body: Body, nature: Nature) -> bool:
        effort = self._effort(body)
        if effort == "none" and ("none" in nature.levels or (self.kind.none_is_off and nature.variable is not None)):
            return False
        if effort in nature.levels:
            return True
        if nature.variable is not None:
            return self._variable(body, nature.variable, nature.default)
        if nature.on is None:
            return nature.default
        system = next((text_of(m) for m in body["messages"] if m.get("role") == "system"), "")
        head = system.partition("\n")[0].strip()
        return head == nature.on if head in (nature.on, nature.off) else nature.default

    def _variable(self, body: Body, name: str, default: bool) -> bool:
        if self.kind.template:
            return bool((body.get("chat_template_kwargs") or {}).get(name, default))
        routed = body.get("reasoning") if self.kind.effort[0] == "reasoning" else None
        if isinstance(routed, dict) and "enabled" in routed:
            return bool(routed["enabled"])
        return True  # such servers let every model think that can, unless told otherwise

    def _effort(self, body: Body) -> str | None:
        held: Any = body
        for step in self.kind.effort:
            held = held.get(step) if isinstance(held, dict) else None
        return held if isinstance(held, str) else None

    def _check(self, body: Body, nature: Nature) -> None:
        """Refuse what this server, or this model on it, does not take."""
        for name in body:
            if self.kind.knows is not None and name not in self.kind.knows:
                text = f"Unrecognized request argument supplied: {name}"
                raise Refused(400, self.kind.error(text, None, None))
            if name in self.refuses:
                text = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
                raise Refused(400, self.kind.error(text, name, None))
        if nature.hidden and "max_tokens" in body and self.kind.knows is not None:
            text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            raise Refused(400, self.kind.error(text, "max_tokens", "unsupported_parameter"))
        if nature.hidden and "temperature" in body:
            text = "Unsupported value: 'temperature' does not support this value with this model."
            raise Refused(400, self.kind.error(text, "temperature", "unsupported_value"))
        effort = self._effort(body)
        if effort not in (None, "none") and not nature.levels and self.kind is KINDS["ollama"]:
            raise Refused(400, self.kind.error(f'think value "{effort}" is not supported for this model', None, None))


def emulated_server(kind: str, models: Mapping[str, Emulated], refuses: tuple[str, ...] = ()) -> ScriptedServer:
    """A server of one kind with these models; see `EmulatedAnswers`."""
    answers = EmulatedAnswers(kind, models, refuses)
    return ScriptedServer(answers, models=tuple(models), owned_by=answers.kind.owned_by)
