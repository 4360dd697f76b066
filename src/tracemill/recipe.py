"""The recipe: one YAML file that says what is asked of whom, how it is checked, and how it is published.

These models build recipes in Python, and `recipe_file` reads them from YAML. Unknown keys are errors. Secrets are never
literals: they are written `${env:NAME}` and read from the environment at the moment of asking, so no stored recipe ever
holds one.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from tracemill import identity
from tracemill.errors import RecipeError

ENV_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
SECRET_KEY = re.compile(r"(^|[_-])(api_?key|auth|authorization|bearer|credentials?|passw(or)?d|secret)$", re.IGNORECASE)
SCHEME_ONLY = re.compile(r"[A-Za-z_-]{0,20}[ =:]*")
"""What may stand beside `${env:NAME}` in a header: "Bearer ", "session="."""
LARGEST_NUMBER = 2**63 - 1
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,7}")
"""A language tag as in BCP 47, with few enough parts that a file can be named after it."""
RESERVED_METADATA = ("tools", "tool_call_ids", "metadata_text")
"""Keys of a row's metadata that `schema` keeps for itself."""


def _on_off(value: object) -> object:
    """YAML 1.1 reads a bare on or off as a boolean."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Values that go into a request's body and key must be JSON, and no secret may lie among them."""
    try:
        same = orjson.loads(orjson.dumps(value)) == value
    except (TypeError, RecursionError):
        same = False
    if not same:
        raise ValueError("only JSON can be sent: texts, numbers up to 64 bits, true, false, null, lists and mappings")
    _no_secret_in(value)
    return value


def _no_secret_in(value: object) -> None:
    if isinstance(value, dict):
        for key, held in value.items():
            if SECRET_KEY.search(key):
                raise ValueError(f"{key!r} looks like a secret; secrets go into api_key or headers, as ${{env:NAME}}")
            _no_secret_in(held)
    elif isinstance(value, list):
        for held in value:
            _no_secret_in(held)


def _has_user_info(url: str) -> bool:
    """Whether a user name or password stands in a URL. Judged by hand: the library's errors repeat what they read."""
    return "@" in re.split(r"[/?#]", url.partition("//")[2] or url, maxsplit=1)[0]


Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Category = Literal["chat", "code", "math", "stem", "tool_calling"]
Share = Annotated[float, Field(ge=0, le=1)]
Plain = Annotated[dict[str, Any], AfterValidator(_plain)]


class Model(BaseModel):
    """Base of every part of a recipe: frozen, and no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        for name, value in self:
            if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
                raise ValueError(f"{name} does not fit 64 bits")
        return self


class Fields(Model):
    """Which column of the input holds what. A dotted name reaches into nested objects."""

    prompt: str = "prompt"
    expected: str | None = None
    id: str | None = None
    license: str | None = None
    category: str | None = None
    language: str | None = None
    metadata: tuple[str, ...] = ()
    """Columns that are carried along in `metadata`."""

    @field_validator("metadata")
    @classmethod
    def _metadata(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if kept := [name for name in value if name in RESERVED_METADATA]:
            raise ValueError(
                f"{', '.join(map(repr, kept))} cannot be carried along: the metadata keys "
                f"{', '.join(RESERVED_METADATA)} are kept for the row's own tools, call ids and metadata text; "
                "rename the column in the input"
            )
        return value


class PromptFiles(Model):
    """Prompts read from files: JSONL (plain, .gz, .zst), CSV, Parquet; a file, a directory or a glob."""

    path: str
    name: Slug = "prompts"
    """Name of the corpus, kept in every row as `source`."""
    category: Category = "math"
    language: str = "en"
    license: str = "unknown"
    """Licence of the corpus, kept in every row as `source_license` unless `fields.license` names a column."""
    url: str | None = None
    """Where the corpus comes from, for the card's attribution."""
    citation: str | None = None
    fields: Fields = Fields()
    expected_after: str | None = Field(default=None, min_length=1)
    """If set, the expected answer is what follows the last occurrence of this text (GSM8K: "####")."""

    @field_validator("language")
    @classmethod
    def _language(cls, value: str) -> str:
        if not LANGUAGE.fullmatch(value):
            raise ValueError(f"{value[:64]!r} is not a language code such as 'en', 'de' or 'pt-BR'")
        return value

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and _has_user_info(value):
            raise ValueError("the URL holds a user name or password, and the card would print it")
        return value


class GeneratedPrompts(Model):
    """Prompts made by a built-in procedural generator, with exact answers."""

    generate: Literal["word_problems"]
    name: Slug = "word_problems"
    count: int = Field(gt=0)
    seed: int = 0
    families: tuple[str, ...] | None = None
    difficulties: tuple[Annotated[int, Field(ge=1, le=3)], ...] = (1, 2, 3)
    license: str = "CC0-1.0"


def _kind_of_source(value: object) -> str:
    made = "generate" in value if isinstance(value, dict) else isinstance(value, GeneratedPrompts)
    return "generated" if made else "files"


PromptSource = Annotated[
    Annotated[PromptFiles, Tag("files")] | Annotated[GeneratedPrompts, Tag("generated")], Discriminator(_kind_of_source)
]


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
        if _has_user_info(value):
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


class Respond(Model):
    """How prompts are answered."""

    reasoning: Annotated[Literal["on", "off", "both"], BeforeValidator(_on_off)] = "on"
    samples: int = Field(default=1, gt=0, le=1024)
    """Samples of each prompt and reasoning mode, from each teacher that answers it."""
    assign: Literal["weighted", "every"] = "weighted"
    """weighted: one teacher answers a prompt, drawn by weight. every: every teacher answers every prompt."""
    ask_anew: int = Field(default=2, ge=0, le=10)
    """How often a sample is asked anew after an empty or broken reply."""
    templates: dict[Category, str] = {}
    """Template files by category, with the one placeholder {problem}; the built-in ones are the articles'."""
    system: dict[Category, str] = {}
    """System prompts by category. Chat has the article's unless it is set here; "" means none."""


class MathCheck(Model):
    """How answers to math prompts are checked."""

    majority: float = Field(default=0.5, gt=0, le=1)
    """Without an expected answer: the share of the asked samples that must agree. Ties are dropped."""
    wall_clock: float = Field(default=5.0, gt=0)
    """Seconds that one symbolic comparison may take before its process is killed."""


class Verify(Model):
    """How samples are checked."""

    math: MathCheck = MathCheck()
    duplicates: bool = True
    """Drop rows that say exactly what an earlier row says."""


class Publish(Model):
    """How the dataset is written."""

    layout: Literal["full", "v1", "v2", "v3"] = "full"
    """full: v1's columns with ours appended; v1, v2, v3: exactly theirs."""
    row_group_rows: int = Field(default=2000, ge=1000, le=4000)
    shard_bytes: int = Field(default=500_000_000, ge=1_000_000)
    """Uncompressed size at which a split goes on in its next file."""


class Recipe(Model):
    """A whole run as one value."""

    name: Slug
    version: str = "0.1"
    license: str
    """Licence of the rows as released; an SPDX id where there is one."""
    description: str = ""
    contact: str | None = None
    """Where people can ask for a row to be taken out. The card prints it, or says that none is given."""
    citation: str | None = None
    """BibTeX for the card; made from name and version if it is not given."""
    seed: int = Field(default=0, ge=0)
    prompts: Annotated[tuple[PromptSource, ...], BeforeValidator(_as_list)] = Field(min_length=1)
    teachers: dict[Slug, Teacher] = Field(min_length=1)
    respond: Respond = Respond()
    verify: Verify = Verify()
    publish: Publish = Publish()

    @model_validator(mode="after")
    def _names_differ(self) -> Recipe:
        names = [p.name for p in self.prompts]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"two prompt sources are named {twice[0]!r}; give each its own `name`")
        return self

    def rows_identity(self) -> dict[str, Any]:
        """Whatever of the recipe can change a row. Endpoints, pace, contact and citation cannot."""
        whole = self.model_dump(mode="json", exclude={"description", "contact", "citation", "publish"})
        for teacher in whole["teachers"].values():
            for transport in ("url", "api_key", "headers", "concurrency", "timeout", "attempts", "send_seed", "slips"):
                del teacher[transport]
        for source in whole["prompts"]:
            for about in ("path", "url", "citation"):
                source.pop(about, None)
        return whole

    def digest(self) -> str:
        """Hex hash of the recipe as stored."""
        return identity.digest(self.model_dump(mode="json"))


def secret_texts(teacher: Teacher, where: str) -> set[str]:
    """The values of all environment variables that a teacher's key and headers name.

    Raises:
        RecipeError: one of them is not set.
    """
    named = [
        (f"{where}.api_key", teacher.api_key or ""),
        *((f"{where}.headers.{k}", v) for k, v in teacher.headers.items()),
    ]
    return {resolve_secret(match[0], at) for at, text in named for match in ENV_REFERENCE.finditer(text)}


def resolve_secret(text: str, where: str) -> str:
    """`text` with each `${env:NAME}` replaced from the environment.

    Raises:
        RecipeError: a variable is not set; `where` says which key asks for it.
    """

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise RecipeError(f"{where}: the environment variable {match[1]} is not set; export it and run again")
        return found

    return ENV_REFERENCE.sub(value, text)
