"""How a text is put to a translator: template files, filled in once, and what a language adds to them.

Whatever stands in a text is text: nothing that is filled in is read as a template again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tracemill import identity
from tracemill.errors import RecipeError
from tracemill.languages import Language
from tracemill.legible import did_you_mean, quoted

SLOT = re.compile(r"\{(source|target|rules|before|text|lines)\}")
BEFORE = "before"
NUMBERED = "numbered"
"""The prompt of several lines at once."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The texts that a translator is asked with."""

    name: str
    system: str
    user: str
    before: str

    def messages(
        self, text: str, source: Language, target: Language, rules: Sequence[str] = (), before: Sequence[str] = ()
    ) -> tuple[dict[str, str], ...]:
        """OpenAI messages that ask for the translation of `text`.

        Args:
            rules: Sentences that are added, such as the words of a glossary.
            before: Lines that stand before the text, for context.
        """
        given = {
            "source": source.name,
            "target": target.name,
            "rules": "".join(f"- {rule}\n" for rule in rules),
            "before": fill(self.before, {"lines": "\n".join(before)}) if before else "",
            "text": text,
        }
        user = {"role": "user", "content": fill(self.user, given)}
        return ({"role": "system", "content": fill(self.system, given)}, user) if self.system else (user,)

    @property
    def hash(self) -> str:
        """Hex; equal for equal texts."""
        return identity.digest([self.system, self.user, self.before])


def fill(template: str, given: dict[str, str]) -> str:
    """`template` with what is given in its slots; slots that nothing is given for stay as they are."""
    return SLOT.sub(lambda slot: given.get(slot[1], slot[0]), template)


def load_prompt(name: str) -> Prompt:
    """A built-in prompt by its name, or the template file of that path; a file NAME.system.txt beside it is its system
    message.

    Raises:
        RecipeError: There is no such prompt, or it does not hold {text} exactly once.
    """
    shelf = files("tracemill.translation") / "prompts"
    user, system = shelf / f"{name}.txt", shelf / f"{name}.system.txt"
    if is_built_in(name):
        text = user.read_text(encoding="utf-8")
        above = system.read_text(encoding="utf-8").strip() if system.is_file() else ""
    else:
        text, above = _own(Path(name), sorted(_built_in()))
    if text.count("{text}") != 1:
        raise RecipeError(f"translate.prompt: {name} must hold {{text}} once, it holds it {text.count('{text}')} times")
    before = (shelf / f"{BEFORE}.txt").read_text(encoding="utf-8")
    return Prompt(name, above, text.rstrip("\n"), before)


def is_built_in(name: str) -> bool:
    """Whether `name` is a prompt of ours."""
    return name in _built_in()


def _built_in() -> list[str]:
    names = [f.name.removesuffix(".txt") for f in (files("tracemill.translation") / "prompts").iterdir()]
    return [name for name in names if not name.endswith(".system") and name != BEFORE]


def _own(path: Path, known: list[str]) -> tuple[str, str]:
    try:
        above = path.with_suffix(".system.txt")
        return path.read_text(encoding="utf-8"), above.read_text(encoding="utf-8").strip() if above.is_file() else ""
    except (OSError, UnicodeDecodeError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise RecipeError(
            f"translate.prompt: {quoted(str(path))} is neither a prompt of ours ({', '.join(known)}) nor a file that can "
            f"be read: {why}.{did_you_mean(str(path), known)}"
        ) from exc
