"""Secrets are named in a recipe, and read from the environment at the moment of asking."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tracemill.errors import RecipeError

if TYPE_CHECKING:
    from tracemill.recipe.teacher import Teacher

ENV_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


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
