"""What an exercise is: how it is told, how its numbers are drawn, what a right answer says, and how one goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tracemill.record import Message
from tracemill.word_problems.family import people
from tracemill.word_problems.sentences import Params, Telling

__all__ = ["Call", "Drawn", "Form", "Params", "Worked", "people", "plain"]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that is to be called."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Worked:
    """A worked answer, right or wrong."""

    steps: tuple[str, ...]
    """How one comes to it, in sentences."""
    ending: str
    """What the answer ends with, and what is checked of it."""
    facts: tuple[str, ...] = ()
    """What was given."""
    check: str = ""
    """A sentence that looks back on the answer; a wrong one has none."""
    calls: tuple[Call, ...] = ()
    """Tools that are called now; the ending comes when their results are there."""
    holds: tuple[str, ...] = ()
    """Of chat and of explained code: texts that every good answer holds, and no wrong one."""
    others: tuple[str, ...] = ()
    """Other endings that are as right."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """An exercise as a prompt."""

    messages: tuple[Message, ...]
    expected: str | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    check: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Form:
    """Exercises that are alike."""

    name: str
    category: str
    tellings: tuple[Telling, ...]
    """All have the same slots. What the user says in a conversation is told as one text."""
    draw: Callable[[Random], Params]
    """What fills the slots. Keys with a leading underscore fill none, and are for `drawn` alone."""
    drawn: Callable[[Params, Telling], Drawn]
    """The prompt."""
    work: Callable[[Params, str, tuple[str, ...]], Worked]
    """The answer, from what fills the slots, the text that the exercise was found in, and the results of the tools that
    were called so far."""
    slip: Callable[[Worked, Params, int], Worked]
    """The same gone wrong, in one of several ways that a number decides."""
    opening: Callable[[Params, int, tuple[str, ...]], Worked] | None = None
    """Where the user comes to the point only after some turns: the answer to the first, second ... of them, from what fills
    the slots so far, and the results of tools."""


def plain(worked: Worked, ending: str, **other: Any) -> Worked:
    """A wrong answer: it ends otherwise, and nobody looks back on it."""
    return replace(worked, ending=ending, check="", **other)
