"""Prompt templates: one text file per category, with the one placeholder {problem}.

The built-in files hold the prompts that NVIDIA recommends for its Post-Training Dataset v1. A problem is put in as it
is: whatever stands in it is text, never a template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tracemill.errors import RecipeError
from tracemill.recipe import Recipe
from tracemill.record import CATEGORIES, Message

PLACEHOLDER = "{problem}"


@dataclass(frozen=True, slots=True)
class Template:
    """How a prompt of one category is put to a teacher."""

    before: str
    after: str
    system: str = ""

    def apply(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The turns as they are sent: the last user turn framed, a system turn first unless there is one."""
        *earlier, last = messages
        framed = Message("user", f"{self.before}{last.content}{self.after}")
        system = [Message("system", self.system)] if self.system and messages[0].role != "system" else []
        return (*system, *earlier, framed)


def load_templates(recipe: Recipe) -> Mapping[str, Template]:
    """The template of every category.

    Raises:
        RecipeError: a template file is missing, or does not hold the placeholder exactly once.
    """
    own = {str(k): v for k, v in recipe.respond.templates.items()}
    systems = {str(k): v for k, v in recipe.respond.system.items()}
    out = {}
    for category in CATEGORIES:
        where = own.get(category)
        text = _read(Path(where), category) if where else _built_in(f"{category}.txt")
        if text.count(PLACEHOLDER) != 1:
            raise RecipeError(
                f"respond.templates.{category}: {where} must hold {PLACEHOLDER} once, it holds it {text.count(PLACEHOLDER)} times"
            )
        before, _, after = text.removesuffix("\n").partition(PLACEHOLDER)
        out[category] = Template(before, after, systems.get(category, _built_in(f"{category}.system.txt").strip()))
    return out


def _built_in(name: str) -> str:
    file = files("tracemill.respond") / "prompts" / name
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _read(path: Path, category: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise RecipeError(f"respond.templates.{category}: {path} cannot be read as text: {exc}") from exc
