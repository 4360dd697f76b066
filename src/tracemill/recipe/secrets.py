"""Secrets are named in a recipe, and read from the environment at the moment of asking."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tracemill.errors import RecipeError

if TYPE_CHECKING:
    from tracemill.recipe.teacher import Teacher

ENV_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
SHORTEST_SECRET = 8
"""Characters. A shorter value stands in ordinary text by chance: it could not be masked without harm to the data."""
SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
"""Names of headers whose values are secrets. Others may be short: a team, a project."""
SECRET_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|gsk|hf|nvapi|xai|pplx|tgp|csk|fw|r8|key|ghp|gho|ghs|github_pat|glpat|xox[abprs])[-_]"
    r"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{12,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{20,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+)"
)
"""What the keys of the usual services look like, and tokens that are signed JSON (RFC 7519)."""
SECRET_VALUE = re.compile(
    r"\b(?:bearer|basic|token|digest|apikey)[ =:]+(?!\$\{)[^\s]{8,}"
    r"|(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9+/]{32,}",
    re.IGNORECASE,
)
"""In a header besides: a scheme of RFC 7235 with what follows it, and 32 letters and digits at a stretch, which no name of
a team or project has; a UUID has hyphens."""
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2."""
_resolved: set[str] = set()


def looks_secret(text: str, header: bool = False) -> bool:
    """Whether a literal secret stands in a text of a recipe, by what it looks like.

    Args:
        header: Whether it is a header's value, where more can be told.
    """
    left = ENV_REFERENCE.sub("${}", text)
    return bool(SECRET_TOKEN.search(left) or (header and SECRET_VALUE.search(left)))


def secret_texts(teacher: Teacher, where: str) -> set[str]:
    """The values of all environment variables that a teacher's key and headers name.

    Raises:
        RecipeError: one of them is not set, or can be no secret.
    """
    for name in teacher.headers:
        if not HEADER_NAME.fullmatch(name):
            raise RecipeError(
                f"{where}.headers: {name!r} cannot be the name of a header", (*where.split("."), "headers")
            )
    named = [
        (f"{where}.api_key", teacher.api_key or ""),
        *((f"{where}.headers.{k}", v) for k, v in teacher.headers.items()),
    ]
    return {resolve_secret(match[0], at) for at, text in named for match in ENV_REFERENCE.finditer(text)}


def resolve_secret(text: str, where: str) -> str:
    """`text` with each `${env:NAME}` replaced from the environment.

    Raises:
        RecipeError: a variable is not set, is empty, is too short to be kept secret, or is more than one line;
            `where` says which key asks for it.
    """

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        problem = "is not set; export it and run again" if found is None else _problem(found, where)
        if found is None or problem:
            raise RecipeError(f"{where}: the environment variable {match[1]} {problem}", tuple(where.split(".")))
        _resolved.add(found)
        return found

    if not text.isascii() or not text.isprintable():
        raise RecipeError(f"{where}: a header holds printable ASCII alone; this does not", tuple(where.split(".")))
    return ENV_REFERENCE.sub(value, text)


def resolved_secrets() -> frozenset[str]:
    """All values that this process has read: whatever it prints must hold none of them."""
    return frozenset(_resolved)


def _problem(value: str, where: str) -> str:
    *_, part, key = ["", *where.split(".")]
    if not value.strip():
        return "is set but empty; if the server wants no key, leave this out of the recipe"
    if not value.isascii() or not value.isprintable():
        return "holds a line end, a control character or a letter beyond ASCII, which no header can carry; set it anew"
    secret = key == "api_key" or (part == "headers" and SECRET_HEADER.search(key))
    if secret and len(value) < SHORTEST_SECRET:
        return (
            f"holds {len(value)} characters; a secret of fewer than {SHORTEST_SECRET} cannot be kept out of the data. "
            "Use a longer one; if the server wants none, leave this out of the recipe"
        )
    return ""
