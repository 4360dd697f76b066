"""What every part of a recipe is made of: the frozen base model, and the types that several parts use."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, get_args

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from tracemill.recipe.secrets import looks_secret

SECRET_KEY = re.compile(r"(^|[_-])(api_?key|auth|authorization|bearer|credentials?|passw(or)?d|secret)$", re.IGNORECASE)
LARGEST_NUMBER = 2**63 - 1
AT_KEY = "at_key"
"""Type of an error that a whole part raises about one of its keys, which `ctx["key"]` names."""


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
    elif isinstance(value, str) and looks_secret(value):
        raise ValueError("a value looks like a secret; secrets go into api_key or headers, as ${env:NAME}")


def has_user_info(url: str) -> bool:
    """Whether a user name or password stands in a URL. Judged by hand: the library's errors repeat what they read."""
    return "@" in re.split(r"[/?#]", url.partition("//")[2] or url, maxsplit=1)[0]


Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Category = Literal["chat", "code", "math", "stem", "tool_calling"]
Share = Annotated[float, Field(ge=0, le=1)]
Plain = Annotated[dict[str, Any], AfterValidator(_plain)]


class Model(BaseModel):
    """Base of every part of a recipe: frozen, and no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, told: Any) -> Any:
        """YAML reads yes and on as true, which pydantic would take for 1."""
        for name, value in told.items() if isinstance(told, dict) else ():
            known = cls.model_fields.get(name) if isinstance(value, bool) else None
            if known is not None and {int, float} & {known.annotation, *get_args(known.annotation)}:
                raise at_key(name, f"it must be a number (it is {str(value).lower()})")
        return told

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        for name, value in self:
            if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
                raise at_key(name, f"it does not fit 64 bits; at most {LARGEST_NUMBER:,} is possible")
        return self


def at_key(key: str, problem: str) -> PydanticCustomError:
    """An error about one key of a part, raised where only the whole part can judge."""
    return PydanticCustomError(AT_KEY, "{problem}", {"key": key, "problem": problem})
