"""Languages by their code, from the files that we ship or from a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from tracemill.errors import RecipeError
from tracemill.languages.language import Language
from tracemill.legible import did_you_mean, quoted
from tracemill.recipe.problems import Places, problems
from tracemill.recipe_file import parse_yaml

SUFFIXES = (".yaml", ".yml")
MOST_BYTES = 100_000


@cache
def codes() -> tuple[str, ...]:
    """The codes of the languages that we ship, sorted."""
    return tuple(sorted(f.name.removesuffix(".yaml") for f in _shelf().iterdir() if f.name.endswith(".yaml")))


def language(code: str, more: Sequence[str | Path] = ()) -> Language:
    """The language with this code; a code that ends in .yaml or .yml is the path of a user's own file.

    Args:
        more: Files that add languages; one of the same code takes the place of ours.
    Raises:
        RecipeError: There is no such language, or a file is wrong; says where, and what is valid.
    """
    if code.endswith(SUFFIXES):
        return read_language(code)
    own = {found.code: found for found in map(read_language, more)}
    if code in own:
        return own[code]
    if code not in codes():
        known = sorted({*codes(), *own})
        raise RecipeError(
            f"there is no language {quoted(code)}; there are {', '.join(known)}.{did_you_mean(code, known)} "
            f"To add one, write a file like {_shelf() / 'fr.yaml'} and give its path instead of the code"
        )
    return _shipped(code)


def read_language(file: str | Path) -> Language:
    """The language that a YAML file describes.

    Raises:
        RecipeError: The file cannot be read, or a key in it is wrong; names the line, the key, and what is valid.
    """
    path = Path(file)
    try:
        with path.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise RecipeError(f"{path}: cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(data) > MOST_BYTES:
        raise RecipeError(f"{path}: a language file larger than {MOST_BYTES:,} bytes is not read")
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise RecipeError(f"{path}: byte {exc.start:,} is not UTF-8; save the file as UTF-8") from exc
    return _parsed(text, str(path))


def _parsed(text: str, name: str) -> Language:
    places = Places(name)
    tree = parse_yaml(text, name, places)
    if not isinstance(tree, dict):
        raise RecipeError(f"{name}: a language is a mapping of keys to values, this is {quoted(tree)}")
    try:
        return Language.model_validate(tree)
    except ValidationError as exc:
        raise RecipeError(problems(exc, tree, places, Language)) from None


@cache
def _shipped(code: str) -> Language:
    return _parsed((_shelf() / f"{code}.yaml").read_text(encoding="utf-8"), f"languages/data/{code}.yaml")


def _shelf() -> Path:
    return Path(str(files("tracemill.languages"))) / "data"
