"""What is wrong with a recipe, said to a person: where it stands, what is there, what is valid, what is near."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tracemill.legible import did_you_mean, one_line, quoted
from tracemill.recipe.parts import AT_KEY
from tracemill.recipe.sources import GeneratedPrompts, PromptFiles, Rows
from tracemill.recipe.whole import Recipe

MAY_HOLD_SECRET = re.compile(
    r"key|header|url|(?<!max_)token|extra|auth|bearer|credential|passw|secret|cookie|^teachers\.[^.]*$", re.IGNORECASE
)
"""Keys whose values no error message repeats."""
HARMLESS_URL = re.compile(r"https?://[\w.-]{1,60}(:\d{0,9})?(/v\d+)?/?")
"""An address that can hold no secret: scheme, host and port, and a version as its only path."""
WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "list_type": "a list",
    "tuple_type": "a list",
}
"""What is wanted, by the type of pydantic's error."""

SOURCES: dict[str | int, type[BaseModel]] = {"files": PromptFiles, "generated": GeneratedPrompts, "rows": Rows}
"""What kinds of sources there are, as pydantic names them in its errors."""

Path = tuple[str | int, ...]


@dataclass
class Places:
    """Where the keys of a recipe were written: in a line of a file, or in a `--set`."""

    name: str
    """The file."""
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    """Line of each key and list item, from 1; a list's item is named by its number."""
    assigned: list[Path] = field(default_factory=list)
    """Keys given by `--set`, which hide those of the file."""
    made: dict[Path, str] = field(default_factory=dict)
    """Mappings that a `--set` made on its way, each with what may have been meant instead."""

    def of(self, path: Path) -> str:
        """`r.yaml, line 7`, or `--set` where the value comes from there; the nearest key around it that is known."""
        texts = [tuple(map(str, way)) for way in self.assigned]
        mine = tuple(map(str, path))
        if any(mine[: len(way)] == way or way[: len(mine)] == mine for way in texts if path):
            return "--set"
        if any(path[: len(way)] == way for way in self.made):
            return "--set"
        for end in range(len(path), 0, -1):
            if mine[:end] in self.lines:
                return f"{self.name}, line {self.lines[mine[:end]]}"
        return self.name

    def told(self, path: Path, problem: str) -> str:
        """One problem, with the place and the key in front."""
        key = ".".join(str(step) for step in path) or "recipe"
        place = self.of(path)
        return f"{place}{' ' if place == '--set' else ': '}{one_line(key, 120)}: {problem}"


def problems(exc: ValidationError, tree: Any, places: Places, root: type[BaseModel] = Recipe) -> str:
    """All that is wrong with `tree`, one line for each problem, in the order of the keys of `root`."""
    found = [(error, _path(error, tree)) for error in exc.errors(include_url=False)]
    lines = []
    for error, path in found:
        if error["type"] == "too_short" and any(path == other[: len(path)] for _, other in found if other != path):
            continue  # it is only too short without the items that are wrong
        lines.append(places.told(path, _problem(error, path, places, root)))
    return "\n".join(dict.fromkeys(lines))


def _path(error: Any, tree: Any) -> Path:
    """The keys as they stand in the recipe: pydantic also names the kind of a source, and numbers a lone one."""
    loc, missing = error["loc"], error["type"] == "missing"
    path: list[str | int] = []
    node = tree
    for place, step in enumerate(loc):
        known = range(len(node)) if isinstance(node, list | tuple) else node if isinstance(node, dict) else ()
        if step in known:
            node = node[step]
        elif not (missing and place == len(loc) - 1):
            continue
        path.append(step)
    return (*path, *error["ctx"]["key"].split(".")) if error["type"] == AT_KEY else tuple(path)


def _problem(error: Any, path: Path, places: Places, root: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    found = _found(error["input"], path)
    if kind == "missing":
        meant = next((near for way, near in places.made.items() if path[: len(way)] == way), "")
        return f"this key is missing, and has no default; add it.{meant}".removesuffix(".")
    if kind == "extra_forbidden":
        return f"there is no such key.{_valid_keys(error['loc'], root)}"
    if kind == "invalid_key":
        return "a key must be a text; put it in quotes"
    if kind in ("literal_error", "enum"):
        valid = re.findall(r"'((?:[^'\\]|\\.)*)'", context["expected"])
        return f"it must be one of {context['expected']}{found}.{did_you_mean(error['input'], valid)}"
    if kind in WANTED:
        return f"it must be {WANTED[kind]}{found}{_hint(kind, error['input']) if found else ''}"
    if kind == "string_unicode":
        return "this is no text: it holds half of a surrogate pair"
    if kind == "string_pattern_mismatch":
        return f"lower-case letters, digits, - and _ are wanted, at most 40{found}"
    if kind == "too_short":
        return f"at least {context['min_length']} item is wanted"
    if kind == AT_KEY:
        return str(error["msg"])
    text = str(context["error"]) if kind == "value_error" else error["msg"]
    return f"{text.replace('Input should', 'it must')}{found}"


def _found(value: object, path: Path) -> str:
    """What is there instead, unless it may be a secret."""
    key = ".".join(map(str, path))
    harmless = (
        value is None
        or isinstance(value, dict | list)
        or (key.endswith(".url") and isinstance(value, str) and HARMLESS_URL.fullmatch(value))
    )
    return f" (it is {quoted(value)})" if harmless or not MAY_HOLD_SECRET.search(key) else ""


def _hint(kind: str, value: object) -> str:
    """What usually went wrong where YAML reads something else than was meant."""
    if value is None:
        return ": nothing follows the colon"
    if kind != "string_type":
        return ""
    if isinstance(value, bool):
        return ": YAML reads a bare yes, no, on or off as true or false; put it in quotes"
    if isinstance(value, int | float):
        return f": put it in quotes, '{value}'"
    return "" if isinstance(value, dict | list) else ": put it in quotes"


def _valid_keys(loc: Sequence[str | int], root: type[BaseModel]) -> str:
    """The key that was probably meant, and all that are valid there."""
    valid = _keys_of(loc[:-1], root)
    return f"{did_you_mean(loc[-1], valid)} Valid keys: {', '.join(valid)}"


def _keys_of(way: Sequence[str | int], root: type[BaseModel]) -> list[str]:
    """The keys of the part of `root`, usually the recipe, that `way` leads to."""
    part = root
    free = False  # the next step is a key of the user's own, such as a teacher's name
    for step in way:
        if step in SOURCES and not free:
            part = SOURCES[step]
        elif isinstance(step, str) and not free and step in part.model_fields:
            kind = part.model_fields[step].annotation
            part = next(iter(_parts_in(kind)), part)
            free = get_origin(kind) is dict
        elif isinstance(step, str):
            free = False
    return [*part.model_fields, *(["generate", "rows"] if part is PromptFiles else [])]


def _parts_in(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [found for inner in get_args(kind) for found in _parts_in(inner)]
