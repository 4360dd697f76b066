"""Who answers, and how they are reached."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, field_validator

from tracemill import identity
from tracemill.recipe.dialects import (
    TEMPLATE_FIELD,
    Asked,
    Dialects,
    Family,
    Impossible,
    LimitField,
    Name,
    Server,
    asked,
    merged,
    shipped,
)
from tracemill.recipe.parts import Category, Model, Plain, Share, has_user_info
from tracemill.recipe.secrets import ENV_REFERENCE, SECRET_HEADER, looks_secret
from tracemill.record import Reasoning

SCHEME_ONLY = re.compile(r"[A-Za-z_-]{0,20}[ =:]*")
"""What may stand beside `${env:NAME}` in a header: "Bearer ", "session="."""

OWN_FIELDS = {
    "model": "write the teacher's `model`",
    "messages": "the prompts are the messages; write respond.system for a system's message",
    "tools": "the tools of a prompt come with the prompt, from the sources that have them",
    "n": "write respond.samples",
    "stream": "replies are read whole; leave it out",
    "stream_options": "replies are read whole; leave it out",
    "seed": "write the recipe's `seed`, and the teacher's `send_seed`",
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens"), "write sampling.max_tokens, and `limit_field` for its name"
    ),
    **{name: f"write sampling.{name}" for name in ("temperature", "top_p", "top_k", "min_p")},
}
"""Fields of the body that have a key of their own, and what to write instead of `extra_body`."""
USUAL_TRACE_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Where servers put the trace: vLLM before 0.12, SGLang, llama.cpp, NIM; vLLM since, OpenRouter, Ollama; some proxies;
OpenRouter, in parts. They are looked at in any case."""
MODES: tuple[Reasoning, ...] = ("on", "off")
TRANSPORT = frozenset(
    {
        *("url", "replicas", "api_key", "headers", "concurrency", "timeout", "slowest", "attempts", "slips"),
        *("accept_models", "price"),
        *("send_seed", "limit_field", "family", "server", "effort"),
    }
)
"""Keys of a teacher that cannot change a row by themselves; what a dialect makes us send is told apart from its name."""


def base_url(value: str) -> str:
    """A base URL without its last slash. Raises ValueError, without repeating a password, for anything else."""
    if has_user_info(value):
        raise ValueError("the URL holds a user name or password; write api_key: ${env:NAME} instead")
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("this is neither 'builtin' nor an http(s) URL such as http://localhost:8000/v1")
    if parts.query or parts.fragment:
        raise ValueError(
            "the URL goes on after its path with ? or #; a base URL such as http://localhost:8000/v1 is wanted"
        )
    return value.rstrip("/")


BUILT_IN = "builtin"
APERTIUM = "apertium"
"""What stands for a URL where there is none: the built-in teacher; the translation program of this machine."""


class Sampling(Model):
    """How a teacher samples. What is None is left to the server."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1)
    min_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, gt=0)

    def over(self, base: Sampling) -> Sampling:
        """These settings, and where they are None those of `base`."""
        mine = {k: v for k, v in self.model_dump().items() if v is not None}
        return base.model_copy(update=mine)


DEFAULT_SAMPLING = Sampling(temperature=0.6, top_p=0.95, max_tokens=16_384)
"""Temperature and top-p of NVIDIA's published R1 recipe for code and math; 16,384 tokens as in OpenMathReasoning."""


class Slips(Model):
    """How often the built-in teacher slips, so that a demo shows real drops. Shares of the replies, or of the prompts
    for `empty` and `forgotten_carry`.
    """

    wrong: Share = 0.0
    truncated: Share = 0.0
    trace_missing: Share = 0.0
    trace_leaked: Share = 0.0
    empty: Share = 0.0
    forgotten_carry: Share = 0.0


class Price(Model):
    """What tokens cost, for each million of them, in whatever currency the budget is in."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1_000_000


class Replica(Model):
    """One more endpoint that serves the same model, asked with the teacher's key and headers."""

    url: Annotated[str, AfterValidator(base_url)]
    """Base URL, ending in /v1."""
    concurrency: int | None = Field(default=None, gt=0)
    """Most requests in flight at once to this endpoint, over all workers. Left out: the teacher's."""


class Teacher(Model):
    """A model that answers, and how to reach it."""

    model: str
    url: str
    """Base URL of an OpenAI-compatible endpoint, ending in /v1; or "builtin" for the teacher that needs no network; or
    "apertium", to translate by the rules of that program, which must be installed."""
    replicas: tuple[Replica, ...] = ()
    """Further endpoints that serve the same model. Requests go where there is most room, the samples of one prompt to
    the same one."""
    revision: str | None = None
    api_key: str | None = None
    headers: dict[str, str] = {}
    extra_body: Plain = {}
    """Further fields of each request's body. They are part of the request's identity. None that has a key of its own, such
    as `messages`, `n` or `temperature`."""
    family: Name | None = None
    """The model's family, as in [dialects](dialects.md): how it is told to think or not."""
    server: Name | None = None
    """What serves it, as in [dialects](dialects.md): how that is said, and which fields are taken."""
    effort: Name | None = None
    """How hard it shall think: a level of the family, such as low, medium or high."""
    reasoning_on: Plain | None = None
    """What is added to the body to turn reasoning on. Left out: what family and server say; without them,
    `{"chat_template_kwargs": {"enable_thinking": true}}`."""
    reasoning_off: Plain | None = None
    """The same for off; without family and server, `{"chat_template_kwargs": {"enable_thinking": false}}`."""
    weight: float = Field(default=1.0, gt=0)
    sampling: Sampling = Sampling()
    category_sampling: dict[Category, Sampling] = {}
    send_seed: bool | None = None
    """False for servers that refuse `seed`. Left out: what the server's dialect says, else true."""
    limit_field: LimitField | None = None
    """What the endpoint calls the limit on tokens. Left out: what the dialect says, else `max_tokens`."""
    concurrency: int = Field(default=256, gt=0)
    """Most requests in flight at once, over all workers."""
    timeout: float = Field(default=1800.0, gt=0)
    """Seconds that one request may take in all. Waiting for a free slot does not count."""
    slowest: float | None = Field(default=None, gt=0)
    """Tokens a second below which a reply is given up: the time for `max_tokens` at this rate is added to `timeout`."""
    attempts: int = Field(default=6, gt=0)
    """How often one request is sent when no reply comes. Being throttled (429, 503) is no attempt."""
    accept_models: tuple[str, ...] = ()
    """Other names under which the model may answer. A reply by a model of any other name stops the run."""
    price: Price | None = None
    """What tokens cost, for budgets and for the cost of each row."""
    slips: Slips = Slips()
    """Only for the built-in teacher."""
    _table: Dialects | None = PrivateAttr(default=None)

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return value if value in (BUILT_IN, APERTIUM) else base_url(value)

    @field_validator("api_key")
    @classmethod
    def _key(cls, value: str | None) -> str | None:
        if value is not None and not ENV_REFERENCE.fullmatch(value):
            raise ValueError("a secret may not stand in a recipe; write ${env:NAME} and set NAME in the environment")
        return value

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            left = ENV_REFERENCE.sub("", text)
            named = SECRET_HEADER.search(name) and (left == text or not SCHEME_ONLY.fullmatch(left))
            if named or looks_secret(text, header=True):
                raise ValueError(f"header {name!r} looks like a secret; write ${{env:NAME}} and set NAME instead")
        return value

    @field_validator("extra_body")
    @classmethod
    def _extra(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if name in OWN_FIELDS:
                raise ValueError(f"{name!r} would overwrite the request itself; {OWN_FIELDS[name]}")
        return value

    @property
    def reads_lines(self) -> bool:
        """Whether it is no chat model: it gets lines, and gives their translations back."""
        return self.url == APERTIUM

    def in_table(self, table: Dialects | None) -> Teacher:
        """The same teacher, whose family and server are looked up in `table`; None: in the built-in one."""
        if self._table is table:
            return self
        same = self.model_copy()
        same._table = table
        return same

    def asked(self, mode: Reasoning) -> Asked:
        """What is sent beside the messages to ask for a mode, and what the system's message must begin with.

        What the recipe writes itself wins: `reasoning_on` and `reasoning_off` over the dialect, `extra_body` over both
        of a dialect's switches, and, as ever, `reasoning_on` and `reasoning_off` over `extra_body`.

        Raises:
            Impossible: the dialect cannot ask for it.
        """
        if self._by_dialect(mode):
            said = asked(self.dialects(), self.family, self.server, mode, self.effort)
            return Asked(merged(said.body, self.extra_body), said.system)
        own = self._own_switch(mode)
        return Asked({**self.extra_body, **(usual_switch(mode) if own is None else own)})

    def check(self, modes: Iterable[Reasoning]) -> None:
        """Whether family, server and effort are known, and can ask for these modes.

        Raises:
            Impossible: says which key would have to change.
        """
        self._family()
        self._server()
        for mode in modes:
            self.asked(mode)

    def sends_seed(self) -> bool:
        """Whether `seed` is sent."""
        server = self._server()
        return self.send_seed if self.send_seed is not None else server is None or server.seed

    def limited_by(self) -> LimitField:
        """The name of the field that limits the tokens."""
        family, server = self._family(), self._server()
        by_family = family.limit_field if family is not None and server is None else None
        return self.limit_field or by_family or (server or Server()).limit_field

    def trace_field(self) -> str | None:
        """The field that its server puts the trace into, as far as that is known."""
        server = self._server()
        return None if server is None else server.trace

    def dialects(self) -> Dialects:
        """The table in which its family and server stand."""
        return self._table or shipped()

    def _family(self) -> Family | None:
        return None if self.family is None else self.dialects().family(self.family)

    def _server(self) -> Server | None:
        return None if self.server is None else self.dialects().server(self.server)

    def _refused(self) -> set[str]:
        """Sampling settings that the dialect does not take."""
        return {name for told in (self._family(), self._server()) if told is not None for name in told.refuses}

    def urls(self) -> dict[str, int]:
        """Every endpoint's base URL, and how many requests it may have in flight."""
        return {self.url: self.concurrency, **{r.url: r.concurrency or self.concurrency for r in self.replicas}}

    def transport(self, url: str | None = None) -> str:
        """The way to this teacher by one of its URLs: another one may get an answer where this one was refused. Holds no
        secret.
        """
        told: list[Any] = [self.headers, self.api_key, self.sends_seed()]
        if self.limited_by() != "max_tokens":
            told.append(self.limited_by())
        return f"{url or self.url}#{identity.digest(told)[:8]}"

    def sampling_for(self, category: str) -> Sampling:
        """What is asked for one category: its own settings over the teacher's, over the defaults that it takes."""
        own = {str(k): v for k, v in self.category_sampling.items()}.get(category, Sampling())
        refused = self._refused()
        taken = DEFAULT_SAMPLING.model_copy(update=dict.fromkeys(refused)) if refused else DEFAULT_SAMPLING
        return own.over(self.sampling.over(taken))

    def rows_identity(self) -> dict[str, Any]:
        """Whatever of this teacher can change a row: not the name of a dialect, but what it makes us send."""
        told = self.model_dump(mode="json", exclude=set(TRANSPORT))
        for mode in MODES:
            own = self._own_switch(mode)
            told[f"reasoning_{mode}"] = usual_switch(mode) if own is None else own
            if self._by_dialect(mode):
                said = self._asked_if_possible(mode)
                told[f"reasoning_{mode}"] = dict(said.body)
                if said.system is not None:
                    told[f"system_{mode}"] = said.system
        if unsent := [n for n in self._refused() if getattr(DEFAULT_SAMPLING, n) is not None]:
            told["unsent"] = sorted(unsent)
        if self.trace_field() not in (None, *USUAL_TRACE_FIELDS):
            told["trace_field"] = self.trace_field()
        return told

    def _asked_if_possible(self, mode: Reasoning) -> Asked:
        try:
            return self.asked(mode)
        except Impossible:
            return Asked()

    def _own_switch(self, mode: Reasoning) -> dict[str, Any] | None:
        return self.reasoning_on if mode == "on" else self.reasoning_off

    def _by_dialect(self, mode: Reasoning) -> bool:
        named = (self.family, self.server, self.effort)
        return self._own_switch(mode) is None and any(name is not None for name in named)


def usual_switch(mode: Reasoning) -> dict[str, Any]:
    """What is sent where neither the recipe nor a dialect says how a mode is asked for."""
    return {TEMPLATE_FIELD: {"enable_thinking": mode == "on"}}
