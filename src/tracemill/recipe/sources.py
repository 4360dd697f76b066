"""Where prompts come from."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from tracemill.recipe.parts import Category, Model, Slug, at_key, has_user_info

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,7}")
"""A language tag as in BCP 47, with few enough parts that a file can be named after it."""
SECRET_PARAMETER = re.compile(r"key|token|secret|passw|auth|signature|^sig$|credential", re.IGNORECASE)
"""Names that hold secrets in the URLs of clouds and hubs."""
RESERVED_METADATA = ("tools", "tool_call_ids", "metadata_text")
"""Keys of a row's metadata that `schema` keeps for itself."""


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
        if value is not None and has_user_info(value):
            raise ValueError("the URL holds a user name or password, and the card would print it")
        for name, _ in parse_qsl((value or "").partition("?")[2], keep_blank_values=True):
            if SECRET_PARAMETER.search(name):
                raise ValueError(f"{name!r} in the URL looks like a secret, and the card would print it")
        return value

    @model_validator(mode="after")
    def _mark_has_a_column(self) -> Self:
        if self.expected_after is not None and self.fields.expected is None:
            raise at_key("expected_after", "it says nothing without `fields.expected`; name the column of the answers")
        return self


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
