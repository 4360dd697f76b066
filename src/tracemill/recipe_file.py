"""Reading a recipe from YAML, with errors that say what, where, what is there instead, and what to do.

recipe = load_recipe("recipes/gsm8k.yaml", ["teachers.main.url=http://localhost:8000/v1"])
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tracemill.errors import RecipeError
from tracemill.legible import did_you_mean, one_line, quoted
from tracemill.recipe import Recipe
from tracemill.recipe.problems import MAY_HOLD_SECRET, Places, problems

MAX_RECIPE_BYTES = 1_000_000
SUFFIXES = (".yaml", ".yml", ".json")
"""Endings of files that may be recipes, for a suggestion."""
UTF16 = (b"\xff\xfe", b"\xfe\xff")
TAB = "a tab, where YAML wants spaces: replace each tab at the beginning of a line"


class _SafeLoader(yaml.SafeLoader):
    """YAML without aliases or tags, and without a key given twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if getattr(self.peek_event(), "tag", None) is not None:  # type: ignore[no-untyped-call]
            raise _at(self.peek_event().start_mark, "tags (!name) are not allowed in a recipe")  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise _at(self.peek_event().start_mark, "aliases (*name) are not allowed in a recipe")  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (RecipeError, RecursionError, yaml.YAMLError):
            raise
        except ValueError as exc:  # a date like 2024-13-45, or a number of thousands of digits
            why = f"a number or date cannot be read ({one_line(exc, 100)}); put it in quotes if it is text"
            raise _at(node.start_mark, why) from exc

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise _at(key_node.start_mark, "a key must be a text, this is a list or mapping")
            if key in seen:
                why = f"key {quoted(key)} is given twice, first in line {seen[key]}; take one of them out"
                raise _at(key_node.start_mark, why)
            seen[key] = line
        return super().construct_mapping(node, deep=deep)


def _at(mark: Any, problem: str) -> RecipeError:
    return RecipeError(f"{mark.name}, line {mark.line + 1}: {problem}")


def parse_yaml(text: str, name: str, places: Places | None = None) -> Any:
    """`text` as plain values. Tags, aliases and repeated keys are refused.

    Args:
        name: For the error.
        places: Filled with the line of each key, if given.
    """
    try:
        loader = _SafeLoader(text)
    except yaml.reader.ReaderError as exc:
        where = f"{name}, line {text.count(chr(10), 0, exc.position) + 1}"
        raise RecipeError(f"{where}: the character U+{exc.character:04X} is not allowed in YAML; take it out") from exc
    loader.name = name
    try:
        node = loader.get_single_node()
        if places is not None and node is not None:
            _note_lines(node, (), places.lines)
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as exc:
        raise RecipeError(_yaml_problem(exc, text, name)) from exc
    except RecursionError:
        raise RecipeError(f"{name}: this is nested too deeply") from None
    finally:
        loader.dispose()


def _note_lines(node: Any, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                lines[*path, key.value] = key.start_mark.line + 1
                _note_lines(value, (*path, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines[*path, str(number)] = value.start_mark.line + 1
            _note_lines(value, (*path, str(number)), lines)


def _yaml_problem(exc: yaml.YAMLError, text: str, name: str) -> str:
    """What the parser stumbled over, and where that began where it is known."""
    mark, began = getattr(exc, "problem_mark", None), getattr(exc, "context_mark", None)
    where = f"{name}, line {mark.line + 1}" if mark else name
    if mark and text[mark.index : mark.index + 1] == "\t":
        return f"{where}: {TAB}"
    problem = one_line(getattr(exc, "problem", None) or exc, 200)
    since = f", in what begins in line {began.line + 1}" if began and mark and began.line != mark.line else ""
    return f"{where}: this is not YAML that we read: {problem}{since}. Check colons, quotes, brackets and indentation"


def set_value(tree: dict[str, Any], assignment: str, places: Places | None = None) -> None:
    """Change `tree` by one `a.b=value`; the value is read as YAML. List items are named by number.

    No error repeats the value: it may be a secret that was meant for another place.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path or not all(path.split(".")):
        shown = "" if MAY_HOLD_SECRET.search(assignment) or equals else f" {quoted(assignment)}"
        raise RecipeError(f"--set{shown}: write it as key.key=value")
    value = parse_yaml(text, f"--set {path}") if text else ""
    node: Any = tree
    way: list[str | int] = []
    for key in path.split(".")[:-1]:
        step = _item(node, key, path) if isinstance(node, list) else key
        if isinstance(node, dict) and key not in node and places is not None:
            places.made[(*way, key)] = did_you_mean(key, map(str, node))
        if isinstance(node, list) or node.get(key) is not None:
            node[step] = node = {} if node[step] is None else node[step]
        else:
            node[step] = node = {}
        way.append(step)
        if not isinstance(node, dict | list):
            raise RecipeError(f"--set {path}: {'.'.join(map(str, way))!r} is one value, neither a mapping nor a list")
    last = path.split(".")[-1]
    step = _item(node, last, path) if isinstance(node, list) else last
    node[step] = value
    if places is not None:
        places.assigned.append((*way, step))


def _item(node: list[Any], key: str, path: str) -> int:
    if not (key.isascii() and key.isdecimal()) or int(key[:9]) >= len(node):
        there = f"the items are 0 to {len(node) - 1}" if node else "the list is empty"
        raise RecipeError(f"--set {path}: there is no item {key!r}; {there}")
    return int(key)


def recipe_from(tree: object, name: str | Places) -> Recipe:
    """A recipe from plain values; `name` says in errors where they stand."""
    places = name if isinstance(name, Places) else Places(name)
    if not isinstance(tree, dict):
        there = "nothing" if tree is None else f"a {type(tree).__name__}"
        raise RecipeError(f"{places.name}: a recipe is a mapping of keys to values, this is {there}")
    try:
        return Recipe.model_validate(tree)
    except ValidationError as exc:
        raise RecipeError(problems(exc, tree, places)) from None


def load_recipe(path: str | Path, assignments: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Read a recipe file and apply `--set` assignments to it.

    Raises:
        RecipeError: the file cannot be read, is not a recipe, or holds a literal secret.
    """
    return read_recipe(path, assignments)[0]


def read_recipe(path: str | Path, assignments: list[str] | tuple[str, ...] = ()) -> tuple[Recipe, Places]:
    """A recipe as `load_recipe` reads it, and where its keys stand, for errors that only show later."""
    name = str(path)
    places = Places(name)
    tree = parse_yaml(_text_of(Path(path)), name, places)
    if isinstance(tree, dict):
        for assignment in assignments:
            set_value(tree, assignment, places)
    return recipe_from(tree, places), places


def _text_of(file: Path) -> str:
    try:
        if file.is_dir():
            inside = sorted(p.name for p in file.iterdir() if p.suffix in SUFFIXES)
            there = f"it holds {', '.join(inside[:5])}" if inside else "it holds none"
            raise RecipeError(f"{file}: this is a directory; name a recipe file ({there})")
        with file.open("rb") as opened:
            data = opened.read(MAX_RECIPE_BYTES + 1)
    except FileNotFoundError:
        raise RecipeError(f"{file}: there is no such file.{_near_file(file)}") from None
    except (OSError, ValueError) as exc:
        raise RecipeError(f"{file}: cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(data) > MAX_RECIPE_BYTES:
        raise RecipeError(f"{file}: a recipe larger than {MAX_RECIPE_BYTES:,} bytes is not read")
    if data.startswith(UTF16):
        raise RecipeError(f"{file}: cannot be read as text: this is UTF-16; save it as UTF-8")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        why = f"byte 0x{data[exc.start]:02X} is not utf-8"
        raise RecipeError(f"{file}, line {line}: cannot be read as text: {why}; save the recipe as UTF-8") from exc


def _near_file(file: Path) -> str:
    """The recipe beside it that was probably meant."""
    try:
        beside = [p.name for p in file.parent.iterdir() if p.suffix in SUFFIXES]
    except OSError:
        return f" Nor is there a directory {file.parent}"
    near = did_you_mean(file.name, beside)
    return near or (f" Recipes beside it: {', '.join(sorted(beside)[:5])}" if beside else "")
