"""Rubrics: what a judge judges by, and answers with a known verdict; both are files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from tracemill.errors import RecipeError
from tracemill.recipe import Recipe

FEWEST_GOLD = 2
"""Questions with a good and a bad answer that a rubric must bring: a judge that cannot be measured is not asked."""


@dataclass(frozen=True, slots=True)
class Gold:
    """A question with an answer that must pass and one that must not."""

    question: str
    good: str
    bad: str
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Rubric:
    """What answers of one category are judged by."""

    text: str
    gold: tuple[Gold, ...]

    def to_yaml(self) -> str:
        """A file that is read back as this rubric."""
        return yaml.safe_dump({"rubric": self.text, "gold": [asdict(g) for g in self.gold]}, allow_unicode=True)


def load_rubrics(recipe: Recipe) -> Mapping[str, Rubric]:
    """The rubric of every category that the recipe has judged; none without a judge.

    Raises:
        RecipeError: a file is missing, or no rubric.
    """
    if recipe.judge is None:
        return {}
    own = {str(category): path for category, path in recipe.judge.rubrics.items()}
    return {category: _rubric(category, own.get(category)) for category in map(str, recipe.judge.categories)}


@cache
def frame() -> str:
    """The text around a rubric and what is judged, with {rubric}, {data} and {nonce}."""
    return _shelf().joinpath("frame.txt").read_text(encoding="utf-8")


def _rubric(category: str, told: str | None) -> Rubric:
    where = f"judge.rubrics.{category}"
    built_in = _shelf() / f"{told or category}.yaml"
    named = told is None or (told.isalnum() and built_in.is_file())
    file: Path | Traversable = built_in if named else Path(told or "")
    if told is None and not file.is_file():
        raise RecipeError(f"{where}: there is no built-in rubric for {category}; name a file", ("judge", "rubrics"))
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise RecipeError(f"{where}: {file} cannot be read: {exc}", ("judge", "rubrics")) from exc
    try:
        return Rubric(_text(told, "rubric"), tuple(map(_gold, _listed(told))))
    except ValueError as exc:
        raise RecipeError(f"{where}: {file}: {exc}", ("judge", "rubrics")) from exc


def _listed(told: Any) -> list[Any]:
    gold = told.get("gold")
    if not isinstance(gold, list) or len(gold) < FEWEST_GOLD:
        raise ValueError(f"`gold` must list at least {FEWEST_GOLD} questions, each with a `good` and a `bad` answer")
    return gold


def _gold(told: Any) -> Gold:
    reference = told.get("reference", "") if isinstance(told, dict) else ""
    return Gold(_text(told, "question"), _text(told, "good"), _text(told, "bad"), str(reference).strip())


def _text(told: Any, key: str) -> str:
    value = told.get(key) if isinstance(told, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"`{key}` must be a text (there is {value!r:.60})")
    return value.strip()


def _shelf() -> Traversable:
    return files("tracemill.verify") / "rubrics"
