"""Where prompts come from."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from tracemill.code_task import Kind, Language
from tracemill.recipe.parts import Category, Model, Plain, Slug, at_key, has_user_info
from tracemill.recipe.presets import over_preset
from tracemill.tool_schemas import malformed, tools_in

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,7}")
"""A language tag as in BCP 47, with few enough parts that a file can be named after it."""
SECRET_PARAMETER = re.compile(r"key|token|secret|passw|auth|signature|^sig$|credential", re.IGNORECASE)
"""Names that hold secrets in the URLs of clouds and hubs."""
RESERVED_METADATA = ("tools", "tool_call_ids", "metadata_text")
"""Keys of a row's metadata that `schema` keeps for itself."""


def no_secret_in(url: str | None) -> str | None:
    """An address for the card. Raises ValueError if it holds what nobody should read there."""
    if url is not None and has_user_info(url):
        raise ValueError("the URL holds a user name or password, and the card would print it")
    for name, _ in parse_qsl((url or "").partition("?")[2], keep_blank_values=True):
        if SECRET_PARAMETER.search(name):
            raise ValueError(f"{name!r} in the URL looks like a secret, and the card would print it")
    return url


class Fields(Model):
    """Which column of the input holds what. A dotted name reaches into nested objects, and by number into lists."""

    prompt: str = "prompt"
    before: tuple[str, ...] = ()
    """Columns whose texts come before the question, in order."""
    opening: bool = False
    """Take of a recorded conversation only what comes up to its first user turn."""
    each: tuple[str, ...] = ()
    """Columns that hold lists of one length: each of their items is a row of its own."""
    expected: str | None = None
    id: str | None = None
    license: str | None = None
    category: str | None = None
    language: str | None = None
    languages: dict[str, str] = {}
    """Codes of languages by what the column says, where it says no codes."""
    choices: str | None = None
    """Options to choose from: a list of texts, or a mapping of letters to texts. They are put below the question, and
    `expected` may be a letter, a number from 0, or an option's text."""
    tools: str | None = None
    """Tools that the teacher may call: functions with JSON schemas, in several dialects, or an OpenAPI document."""
    calls: str | None = None
    """The calls that are wanted."""
    no_call: dict[str, tuple[str, ...]] = {}
    """Rows where no tool fits, by column and values: there none must be called."""
    acts: tuple[str, ...] = ()
    """Names of the tools that `calls` is about; others may be called freely."""
    world: str | None = None
    """The world that tools act on: {"name": "library", "seed": 3}, and where they are known the "calls" that lead to the
    wanted state, as [tool, JSON text of its arguments]. Its tools are declared unless `tools` names others."""
    turns: str | None = None
    """What the user says later: a list of texts, each said when the teacher has answered the one before."""
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


class CodeFields(Model):
    """Which columns say how an answer in code is checked. The answer's program is run with the tests in a sandbox."""

    language: Language = "python"
    kind: Kind = "solve"
    """solve: a program; explain: words, perhaps with code; optimise: a program that takes fewer steps than `baseline`."""
    tests: str | None = None
    """Code that calls the answer's functions and raises where one is wrong, as a text or a list of them."""
    setup: str | None = None
    """Code that stands before `tests`."""
    entry: str | None = None
    """The name of the function that is tested."""
    context: str | None = None
    """Code that the prompt begins with, and that the answer may leave out."""
    cases: str | None = None
    """A list of {stdin, stdout}, or of {input, output}, for programs."""
    solution: str | None = None
    """A right answer. With it the tests are tested: it must pass, and broken versions of it must not."""
    baseline: str | None = None
    """Of optimise: the program to be faster than."""


class PromptFiles(Model):
    """Prompts read from files: JSONL (plain, .gz, .zst), CSV, Parquet; a file, a directory or a glob."""

    path: str
    preset: str | None = None
    """A known corpus, whose keys are taken over where they are not given: see [presets](#presets)."""
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
    code: CodeFields | None = None
    """For prompts that ask for code, in place of `fields.expected`."""
    expected_after: str | None = Field(default=None, min_length=1)
    """If set, the expected answer is what follows the last occurrence of this text (GSM8K: "####")."""
    tools: tuple[Plain, ...] = ()
    """Functions with JSON schemas that every prompt may call, where the rows declare none in `fields.tools`."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, told: Any) -> Any:
        return over_preset(told)

    @field_validator("language")
    @classmethod
    def _language(cls, value: str) -> str:
        if not LANGUAGE.fullmatch(value):
            raise ValueError(f"{value[:64]!r} is not a language code such as 'en', 'de' or 'pt-BR'")
        return value

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        return no_secret_in(value)

    @field_validator("tools")
    @classmethod
    def _tools(cls, value: tuple[Plain, ...]) -> tuple[Plain, ...]:
        for told in value:
            tools = tools_in([told])
            if not tools:
                raise ValueError(
                    f"{str(told)[:80]!r} is no function: it needs a `name`, and `parameters` as a JSON schema"
                )
            if why := malformed(tools[0]["function"]["parameters"]):
                raise ValueError(f"{tools[0]['function']['name']}: {why}")
        return tuple(tools_in(list(value)) or ())

    @model_validator(mode="after")
    def _mark_has_a_column(self) -> Self:
        if self.expected_after is not None and self.fields.expected is None:
            raise at_key("expected_after", "it says nothing without `fields.expected`; name the column of the answers")
        if self.code is not None and self.fields.expected is not None:
            raise at_key("code", "an expected answer is named already, in `fields.expected`; keep one of the two")
        return self


class GeneratedPrompts(Model):
    """Prompts made by a built-in procedural generator, with exact answers."""

    generate: Literal["word_problems", "exercises"]
    """word_problems: math alone. exercises: all five categories, in turn."""
    name: Slug = "word_problems"
    count: int = Field(gt=0)
    seed: int = 0
    categories: tuple[Category, ...] | None = None
    """Of exercises: only these."""
    families: tuple[str, ...] | None = None
    difficulties: tuple[Annotated[int, Field(ge=1, le=3)], ...] = (1, 2, 3)
    license: str = "CC0-1.0"

    @model_validator(mode="before")
    @classmethod
    def _named_for_what_it_makes(cls, told: Any) -> Any:
        return (
            {"name": told["generate"], **told}
            if isinstance(told, dict) and told.get("generate") == "exercises"
            else told
        )

    @model_validator(mode="after")
    def _categories_of_exercises(self) -> Self:
        if self.categories is not None and self.generate != "exercises":
            raise at_key("categories", f"{self.generate} are math alone; for others write `generate: exercises`")
        if self.categories == ():
            raise at_key("categories", "an empty list leaves nothing to make; leave the key out for all five")
        return self


class Rows(Model):
    """Finished rows of a dataset, ours or another's, that nobody has to answer: they are worked on as they are."""

    rows: str
    """A directory, a Parquet, JSONL or Arrow file, a glob, or a Hub id; all that `tracemill.open` reads."""
    name: Slug = "rows"
    """Name of the dataset, kept in every row as `source` that does not name its own."""
    split: tuple[str, ...] = ()
    """Only these splits. Left out: all."""
    license: str = "unknown"
    """Licence of the rows that name none."""
    url: str | None = None
    """Where the dataset comes from, for the card's attribution."""
    citation: str | None = None
    """BibTeX of the dataset, for the card."""

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        return no_secret_in(value)


def _kind_of_source(value: object) -> str:
    for key, kind, model in (("generate", "generated", GeneratedPrompts), ("rows", "rows", Rows)):
        if key in value if isinstance(value, dict) else isinstance(value, model):
            return kind
    return "files"


PromptSource = Annotated[
    Annotated[PromptFiles, Tag("files")] | Annotated[GeneratedPrompts, Tag("generated")] | Annotated[Rows, Tag("rows")],
    Discriminator(_kind_of_source),
]
