"""Arguments against the schema that a tool declares: one validator for each schema, made once.

`jsonschema` interprets a schema; faster validators make Python source of it and run that, which text from a model must
never become. References, patterns and formats are left out of a schema before (`tool_schemas.json_schema`): nothing is
fetched, and no pattern runs for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from tracemill.tool_schemas import json_schema, malformed

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

SCHEMAS = 4096
"""Validators that are kept: the largest set of tools that we read declares some 2,500 schemas."""
LARGEST = 100_000
"""Bytes of a schema, or of arguments."""


def bad_schema(parameters: Any) -> str | None:
    """Why a tool's parameters are no schema of an object, or None. A tool without any takes no arguments."""
    if parameters is None or parameters == {}:
        return None
    if not isinstance(parameters, Mapping):
        return f"its parameters are {type(parameters).__name__}, not a JSON schema"
    try:
        text = orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return "its parameters are no JSON"
    if len(text) > LARGEST:
        return f"its parameters are {len(text):,} bytes (limit {LARGEST:,})"
    return _made(text)[1]


def misfit(arguments: str, parameters: Any, unknown_arguments: bool = False) -> str | None:
    """Why arguments, as JSON text, do not fit a tool's parameters, or None.

    Args:
        unknown_arguments: Let arguments pass that are not declared, where the schema itself does not forbid them.
    """
    if len(arguments) > LARGEST:
        return f"{len(arguments):,} characters of arguments (limit {LARGEST:,})"
    try:
        told = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError as exc:
        return f"the arguments are not JSON: {exc}"
    if not isinstance(told, dict):
        return f"the arguments are {type(told).__name__}, not an object"
    schema = parameters if isinstance(parameters, Mapping) else {}
    validator, problem = _made(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))
    if validator is None:
        return problem
    error = next(
        iter(sorted(validator.iter_errors(told), key=lambda e: (list(map(str, e.absolute_path)), e.message))), None
    )
    if error is not None:
        place = ".".join(map(str, error.absolute_path))
        return f"{place + ': ' if place else ''}{error.message[:200]}"
    declared = schema.get("properties")
    if not unknown_arguments and "additionalProperties" not in schema:
        known = declared if isinstance(declared, Mapping) else {}
        unknown = [name for name in told if name not in known]
        if unknown:
            return f"{unknown[0]!r} is no parameter; there are {', '.join(map(str, known)) or 'none'}"[:300]
    return None


@lru_cache(maxsize=SCHEMAS)
def _made(text: bytes) -> tuple[Validator | None, str | None]:
    """(a validator, None) of a schema's canonical text, or (None, what is wrong with it)."""
    from jsonschema import Draft202012Validator
    from referencing import Registry

    told = orjson.loads(text)
    if why := malformed(told):
        return None, why
    schema = json_schema(told)
    if schema.get("type", "object") != "object":
        return None, f"parameters.type is {told.get('type')!r}; parameters are an object"
    made: Validator = Draft202012Validator(schema, registry=Registry())
    return made, None
