"""Reading a recipe from YAML, with errors that say what, where, what is there instead, and what to do.

recipe = load_recipe("recipes/gsm8k.yaml", ["teachers.main.url=http://localhost:8000/v1"])
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from tracemill.errors import RecipeError
from tracemill.recipe import GeneratedPrompts, PromptFiles, Recipe

MAY_HOLD_SECRET = re.compile(
    r"key|header|url|token|extra|auth|bearer|credential|passw|secret|cookie|^teachers\.[^.]*$", re.IGNORECASE
)
"""Keys whose values no error message repeats."""
MAX_RECIPE_BYTES = 1_000_000


class _SafeLoader(yaml.SafeLoader):
    """YAML without aliases or tags, and without a key given twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if getattr(self.peek_event(), "tag", None) is not None:  # type: ignore[no-untyped-call]
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise RecipeError(f"{mark.name}, line {mark.line + 1}: tags (!name) are not allowed in a recipe")
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise RecipeError(f"{mark.name}, line {mark.line + 1}: aliases (*name) are not allowed in a recipe")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            mark = key_node.start_mark
            if not isinstance(key, Hashable):
                raise RecipeError(f"{mark.name}, line {mark.line + 1}: a key must be a text, this is a list or mapping")
            if key in seen:
                raise RecipeError(f"{mark.name}, line {mark.line + 1}: key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def parse_yaml(text: str, name: str) -> Any:
    """`text` as plain values. Tags, aliases and repeated keys are refused; `name` is for the error."""
    try:
        loader = _SafeLoader(text)
    except yaml.reader.ReaderError as exc:
        where = f"{name}, line {text.count(chr(10), 0, exc.position) + 1}"
        raise RecipeError(f"{where}: the character U+{exc.character:04X} is not allowed in YAML") from exc
    loader.name = name
    try:
        return loader.get_single_data()
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise RecipeError(f"{where}: this is not YAML that we read: {getattr(exc, 'problem', exc)}") from exc
    except RecipeError:
        raise
    except ValueError as exc:  # a date like 2024-13-45, or a number of thousands of digits
        raise RecipeError(f"{name}: a number or date cannot be read ({exc}); put it in quotes if it is text") from exc
    except RecursionError:
        raise RecipeError(f"{name}: this is nested too deeply") from None
    finally:
        loader.dispose()


def set_value(tree: dict[str, Any], assignment: str) -> None:
    """Change `tree` by one `a.b=value`; the value is read as YAML. List items are named by number.

    No error repeats the value: it may be a secret that was meant for another place.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path:
        shown = "" if MAY_HOLD_SECRET.search(assignment) else f" {assignment!r}"
        raise RecipeError(f"--set{shown}: write it as key.key=value")
    node: Any = tree
    *way, last = path.split(".")
    for depth, key in enumerate(way):
        if isinstance(node, list):
            number = _item(node, key, path)
            node[number] = node = {} if node[number] is None else node[number]
        elif isinstance(node, dict):
            if node.get(key) is None:
                node[key] = {}
            node = node[key]
        if not isinstance(node, dict | list):
            raise RecipeError(
                f"--set {path}: {'.'.join(way[: depth + 1])!r} is one value, neither a mapping nor a list"
            )
    value = parse_yaml(text, f"--set {path}") if text else ""
    if isinstance(node, list):
        node[_item(node, last, path)] = value
    else:
        node[last] = value


def _item(node: list[Any], key: str, path: str) -> int:
    if not key.isdecimal() or int(key) >= len(node):
        there = f"the items are 0 to {len(node) - 1}" if node else "the list is empty"
        raise RecipeError(f"--set {path}: there is no item {key!r}; {there}")
    return int(key)


def recipe_from(tree: object, name: str) -> Recipe:
    """A recipe from plain values; `name` says in errors where they stand."""
    if not isinstance(tree, dict):
        there = "nothing" if tree is None else type(tree).__name__
        raise RecipeError(f"{name}: a recipe is a mapping of keys to values, this is {there}")
    try:
        return Recipe.model_validate(tree)
    except ValidationError as exc:
        lines = []
        for error in exc.errors():
            where = ".".join(str(p) for p in error["loc"] if p not in ("files", "generated"))
            if error["type"] == "extra_forbidden":
                problem = f"there is no such key. {_nearest(error['loc'])}"
            else:
                given = "" if MAY_HOLD_SECRET.search(where) else _shown(error["input"])
                problem = error["msg"].removeprefix("Value error, ") + given
            lines.append(f"{name}: {where or 'recipe'}: {problem}")
        raise RecipeError("\n".join(dict.fromkeys(lines))) from None


def _shown(value: object) -> str:
    return f" (it is {value!r})" if isinstance(value, str | int | float | bool) else ""


def _nearest(loc: Sequence[str | int]) -> str:
    """The key that was probably meant, and all that are valid there."""
    valid = _valid_keys(loc[:-1])
    near = get_close_matches(str(loc[-1]), valid, n=1)
    return (f"Did you mean {near[0]!r}? " if near else "") + f"Valid keys: {', '.join(valid)}"


def _valid_keys(way: Sequence[str | int]) -> list[str]:
    """The keys of the part of a recipe that `way` leads to."""
    part: type[BaseModel] = Recipe
    free = False  # the next step is a key of the user's own, such as a teacher's name
    for step in way:
        if step in ("files", "generated") and not free:
            part = PromptFiles if step == "files" else GeneratedPrompts
        elif isinstance(step, str) and not free and step in part.model_fields:
            kind = part.model_fields[step].annotation
            part = next(iter(_parts_in(kind)), part)
            free = get_origin(kind) is dict
        elif isinstance(step, str):
            free = False
    return [*part.model_fields, *(["generate"] if part is PromptFiles else [])]


def _parts_in(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [found for inner in get_args(kind) for found in _parts_in(inner)]


def load_recipe(path: str | Path, assignments: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Read a recipe file and apply `--set` assignments to it.

    Raises:
        RecipeError: the file cannot be read, is not a recipe, or holds a literal secret.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_RECIPE_BYTES + 1)
        text = data.decode()
    except FileNotFoundError:
        raise RecipeError(f"{file}: there is no such file") from None
    except (OSError, ValueError) as exc:
        raise RecipeError(f"{file}: cannot be read as text: {exc}") from exc
    if len(data) > MAX_RECIPE_BYTES:
        raise RecipeError(f"{file}: a recipe larger than {MAX_RECIPE_BYTES:,} bytes is not read")
    tree = parse_yaml(text, str(file))
    if not isinstance(tree, dict):
        return recipe_from(tree, str(file))
    for assignment in assignments:
        set_value(tree, assignment)
    return recipe_from(tree, str(file))
