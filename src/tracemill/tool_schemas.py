r"""Declared tools, whatever dialect they are written in, as OpenAI's tools with plain JSON schemas.

BFCL      {"name": "math.hypot", "parameters": {"type": "dict", "properties": {"x": {"type": "float"}}}}
OpenAPI   {"paths": {"/random": {"get": {"operationId": "getRandom", "parameters": [...]}}}}
ours      {"type": "function", "function": {"name": "math_hypot", "description": "", "parameters": {"type": "object", ...}}}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

DEEPEST = 24
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What OpenAI's API takes for a tool's name."""
_SPOKEN = {
    **dict.fromkeys(("dict", "hashmap", "map", "object"), "object"),
    **dict.fromkeys(("list", "tuple", "array", "arraylist", "set"), "array"),
    **dict.fromkeys(("str", "string", "char"), "string"),
    **dict.fromkeys(("int", "integer", "long", "short"), "integer"),
    **dict.fromkeys(("float", "double", "number"), "number"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("null", "none"), "null"),
}
"""JSON's types by the names that tool data calls them, in small letters. "any" and what else there is are no limit."""
_KEPT = frozenset(
    "description enum const default title minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength "
    "minItems maxItems uniqueItems minProperties maxProperties examples".split()
)

_FORMS: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("properties", (Mapping,), "an object"),
    ("enum", (list,), "a list"),
    ("type", (str, list), "a name or a list of names"),
    ("items", (Mapping, list), "a schema"),
    *((name, (list,), "a list of schemas") for name in ("anyOf", "oneOf", "allOf")),
    *(
        (name, (int, float), "a number")
        for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    ),
    *(
        (name, (int,), "a number")
        for name in ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
    ),
)
"""Keywords whose value must have a form."""


def json_schema(told: Any, deep: int = 0) -> dict[str, Any]:
    """A schema in any of the dialects as JSON schema. What cannot be read limits nothing.

    Not taken over: references, formats and patterns, which a hostile schema could make a validator fetch, or run for ever.
    """
    if not isinstance(told, Mapping) or deep > DEEPEST:
        return {}
    out: dict[str, Any] = {key: told[key] for key in _KEPT if key in told}
    for keyword, forms, _ in _FORMS:
        if keyword in out and (not isinstance(out[keyword], forms) or isinstance(out[keyword], bool)):
            del out[keyword]
    if out.get("enum") == []:
        del out["enum"]
    kinds = told.get("type")
    named = [_SPOKEN.get(str(kind).casefold()) for kind in (kinds if isinstance(kinds, list) else [kinds])]
    if kinds is not None and None not in named:
        out["type"] = named[0] if len(named) == 1 else named
    if isinstance(told.get("properties"), Mapping):
        out["properties"] = {str(name): json_schema(held, deep + 1) for name, held in told["properties"].items()}
        out.setdefault("type", "object")
    if isinstance(told.get("items"), Mapping):
        out["items"] = json_schema(told["items"], deep + 1)
    if out.get("type") == "array" and "enum" in out and not any(isinstance(each, list) for each in out["enum"]):
        out["items"] = {**out.get("items", {}), "enum": out.pop("enum")}  # the values of the items, as BFCL means it
    required = told.get("required")
    if isinstance(required, list) and all(isinstance(name, str) for name in required):
        out["required"] = list(dict.fromkeys(required))
    extra = told.get("additionalProperties")
    if isinstance(extra, bool):
        out["additionalProperties"] = extra
    elif isinstance(extra, Mapping):
        out["additionalProperties"] = json_schema(extra, deep + 1)
    for several in ("anyOf", "oneOf", "allOf"):
        if isinstance(told.get(several), list):
            out[several] = [json_schema(each, deep + 1) for each in told[several]] or [{}]
    if told.get("nullable") is True and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
    return out


def malformed(told: Any, path: str = "parameters", deep: int = 0) -> str | None:
    """What makes a schema none, in any of the dialects, or None. Unknown names of types limit nothing, and are no fault."""
    if not isinstance(told, Mapping):
        return f"{path} is {type(told).__name__}, not an object"
    if deep > DEEPEST:
        return f"nested more than {DEEPEST} deep"
    for keyword, kinds, what in _FORMS:
        if keyword in told and (not isinstance(told[keyword], kinds) or isinstance(told[keyword], bool)):
            return f"{path}.{keyword} is {told[keyword]!r:.60}, not {what}"
    required = told.get("required", [])
    if not isinstance(required, list | bool):  # a bool, at a property, is how an old draft says it
        return f"{path}.required is {required!r:.60}, not a list"
    if isinstance(required, list) and not all(isinstance(name, str) for name in required):
        return f"{path}.required holds more than names"
    properties = told.get("properties", {})
    absent = [name for name in required if name not in properties] if isinstance(required, list) and properties else []
    if absent:
        return f"{path}.required names {absent[0]!r}, which is no property"
    below = [(f"{path}.{name}", held) for name, held in properties.items()]
    below += [(f"{path}.items", told["items"])] if isinstance(told.get("items"), Mapping) else []
    below += [(f"{path}.{w}", each) for w in ("anyOf", "oneOf", "allOf") for each in told.get(w, [])]
    return next((why for where, held in below if (why := malformed(held, where, deep + 1))), None)


def tools_in(told: Any) -> list[dict[str, Any]] | None:
    """Tools in OpenAI's form from a list of functions or tools, an OpenAPI document, or the JSON text of either; None
    where it is none of these.
    """
    if isinstance(told, str):
        try:
            told = orjson.loads(told)
        except orjson.JSONDecodeError:
            return None
    if isinstance(told, Mapping):
        told = list(_operations(told)) if isinstance(told.get("paths"), Mapping) else [told]
    if not isinstance(told, list):
        return None
    tools = [_tool(each) for each in told]
    return None if None in tools else [tool for tool in tools if tool is not None]


def tool_name(name: str) -> str:
    """A name that the API takes: dots and the like become underscores, as in `math.hypot`."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64]


def _tool(told: Any) -> dict[str, Any] | None:
    function = told.get("function", told) if isinstance(told, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        return None
    parameters = json_schema(_whole(function.get("parameters") or {}))
    return {
        "type": "function",
        "function": {
            "name": tool_name(function["name"]),
            "description": str(function.get("description") or ""),
            "parameters": {"type": "object", "properties": {}, **parameters},
        },
    }


def _whole(parameters: Any) -> Any:
    """Parameters that are nothing but properties, as xLAM has them ({"x": {"type": "float, optional"}}), as a schema."""
    if not isinstance(parameters, Mapping) or "properties" in parameters or not parameters:
        return parameters
    if not all(isinstance(held, Mapping) for held in parameters.values()):
        return parameters
    properties, required = {}, []
    for name, held in parameters.items():
        kind, _, rest = str(held.get("type", "")).partition(",")
        plain = re.sub(r"^(?:Optional|Union)\[|[\[\]].*$", "", kind.strip())
        properties[name] = {**held, "type": plain} if plain else dict(held)
        if "optional" not in f"{kind}{rest}".casefold() and "default" not in held:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The operations of an OpenAPI document as functions: parameters and the fields of a JSON body side by side."""
    for path, methods in document["paths"].items():
        for method, told in methods.items() if isinstance(methods, Mapping) else ():
            if not isinstance(told, Mapping) or method not in ("get", "post", "put", "patch", "delete"):
                continue
            properties: dict[str, Any] = {}
            required: list[str] = []
            for parameter in told.get("parameters") or []:
                if isinstance(parameter, Mapping) and isinstance(parameter.get("name"), str):
                    described = {"description": str(parameter.get("description") or "")}
                    properties[parameter["name"]] = {**described, **_at(parameter, "schema")}
                    if parameter.get("required") is True:
                        required.append(parameter["name"])
            body = _resolved(document, _at(told, "requestBody", "content", "application/json", "schema"))
            properties |= _at(body, "properties")
            required += [name for name in body.get("required") or [] if isinstance(name, str)]
            place = re.sub(r"[{}]", "", str(path)).strip("/").replace("/", "_")
            yield {
                "name": told.get("operationId") or f"{place}_{method}",
                "description": told.get("description") or told.get("summary") or "",
                "parameters": {"type": "object", "properties": properties, "required": required},
            }


def _at(told: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """What lies below some names, if it is a mapping, else an empty one."""
    value: Any = told
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return dict(value) if isinstance(value, Mapping) else {}


def _resolved(document: Mapping[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose one reference into the same document is followed."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        return _at(document, *reference[2:].split("/"))
    return schema
