"""Who answers, and how they are reached."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from tracemill import identity
from tracemill.recipe.parts import Category, Model, Plain, Share, has_user_info
from tracemill.recipe.secrets import ENV_REFERENCE

SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
SCHEME_ONLY = re.compile(r"[A-Za-z_-]{0,20}[ =:]*")
"""What may stand beside `${env:NAME}` in a header: "Bearer ", "session="."""


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


class Teacher(Model):
    """A model that answers, and how to reach it."""

    model: str
    url: str
    """Base URL of an OpenAI-compatible endpoint, ending in /v1; or "builtin" for the teacher that needs no network."""
    revision: str | None = None
    api_key: str | None = None
    headers: dict[str, str] = {}
    extra_body: Plain = {}
    """Further fields of each request's body. They are part of the request's identity."""
    reasoning_on: Plain = {"chat_template_kwargs": {"enable_thinking": True}}
    reasoning_off: Plain = {"chat_template_kwargs": {"enable_thinking": False}}
    """What is added to the body to turn reasoning on or off."""
    weight: float = Field(default=1.0, gt=0)
    sampling: Sampling = Sampling()
    category_sampling: dict[Category, Sampling] = {}
    send_seed: bool = True
    """False for servers that refuse `seed`."""
    concurrency: int = Field(default=256, gt=0)
    """Most requests in flight at once, over all workers."""
    timeout: float = Field(default=1800.0, gt=0)
    """Seconds that one request may take in all. Waiting for a free slot does not count."""
    attempts: int = Field(default=6, gt=0)
    """How often one request is sent when no reply comes. Being throttled (429, 503) is no attempt."""
    slips: Slips = Slips()
    """Only for the built-in teacher."""

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value == "builtin":
            return value
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
            if SECRET_HEADER.search(name) and (left == text or not SCHEME_ONLY.fullmatch(left)):
                raise ValueError(f"header {name!r} looks like a secret; write ${{env:NAME}} and set NAME instead")
        return value

    def transport(self) -> str:
        """The way to this teacher: another one may get an answer where this one was refused. Holds no secret."""
        told = [self.headers, self.api_key, self.send_seed]
        return f"{self.url}#{identity.digest(told)[:8]}"

    def sampling_for(self, category: str) -> Sampling:
        """What is asked for one category: its own settings over the teacher's, over the defaults."""
        own = {str(k): v for k, v in self.category_sampling.items()}.get(category, Sampling())
        return own.over(self.sampling.over(DEFAULT_SAMPLING))
