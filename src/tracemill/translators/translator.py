"""What a translator is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tracemill.errors import TracemillError


class TranslatorError(TracemillError, OSError):
    """A translator cannot be started, or does not know these languages: no line can be translated."""

    exit_code = 5
    retry = True

    def __str__(self) -> str:
        return str(self.args[0])


Reason = Literal["died", "misaligned", "not_one_line", "not_text", "timeout", "too_long"]
REASONS: dict[Reason, str] = {
    "died": "the program ended, or was ended, before it had answered",
    "misaligned": "as many lines as went in did not come out, each in its place",
    "not_one_line": "the text holds a line break, and a translator gets lines",
    "not_text": "what came out is not UTF-8",
    "timeout": "no answer in time",
    "too_long": "the line that came out is longer than any translation is",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A line that has no translation, and why."""

    reason: Reason
    """One of `REASONS`."""
    detail: str = ""


class Translator(Protocol):
    """Turns lines of one language into lines of another."""

    @property
    def name(self) -> str:
        """What it is, with its version where that changes what it says; part of a memory's key."""
        ...

    async def translate(self, lines: Sequence[str], source: str, target: str) -> list[str | Failure]:
        """One result for each line, in order. It may be called again before it has returned.

        Args:
            source: Code of the language of `lines`, such as "en".
            target: Code of the language that is wanted.
        Raises:
            TranslatorError: No line can be translated: the program is not there, or does not know the languages.
        """
        ...

    async def close(self) -> None:
        """End what was started; it may be called twice."""
        ...
