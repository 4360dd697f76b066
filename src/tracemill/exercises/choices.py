"""Exercises of science and the humanities: choices by letter, in an order that is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from random import Random
from typing import NamedTuple

import yaml

from tracemill.exercises.form import Drawn, Form, Params, Worked, plain
from tracemill.record import Message
from tracemill.word_problems.sentences import Telling, tellings


class Fact(NamedTuple):
    """A question with one right option."""

    subject: str
    question: str
    right: str
    wrong: tuple[str, ...]


def _facts() -> tuple[Fact, ...]:
    text = files("tracemill.exercises").joinpath("facts.yaml").read_text(encoding="utf-8")
    told = yaml.safe_load(text)
    return tuple(Fact(each["subject"], each["question"], each["right"], tuple(each["wrong"])) for each in told)


FACTS = _facts()
LETTERS = "ABCD"


def _options(fact: Fact, order: int) -> dict[str, str]:
    """The options by letter, in one of 24 orders."""
    rest = [fact.right, *fact.wrong]
    out = {}
    for place, letter in enumerate(LETTERS):
        order, at = divmod(order, len(rest)) if place < 3 else (0, 0)
        out[letter] = rest.pop(at)
    return out


def _read_options(text: str) -> dict[str, str]:
    """The options that stand in a text, "A) iron" on a line each."""
    lines = (line.strip() for line in text.splitlines())
    return {line[0]: line[3:] for line in lines if line[:1] in LETTERS and line[1:3] == ") "}


def _of_fact(number: int, fact: Fact) -> Form:
    def drawn(params: Params, telling: Telling) -> Drawn:
        options = _options(fact, params["_order"])
        listed = "\n".join(f"{letter}) {text}" for letter, text in options.items())
        right = next(letter for letter, text in options.items() if text == fact.right)
        text = f"{telling.render(params)}\n\n{listed}"
        return Drawn((Message("user", text),), right, check={"choices": options}, metadata={"subject": fact.subject})

    def work(params: Params, text: str, results: tuple[str, ...]) -> Worked:
        options = _read_options(text)
        right = next((letter for letter, option in options.items() if option == fact.right), "A")
        steps = tuple(
            f"Option {letter}, {option}, {'fits' if letter == right else 'does not fit'}."
            for letter, option in options.items()
        )
        return Worked(steps, f"The answer is \\boxed{{{right}}}.", check=f"Only {fact.right} answers the question.")

    def slip(worked: Worked, params: Params, drawn: int) -> Worked:
        right = worked.ending.partition("{")[2][:1]
        others = LETTERS.replace(right, "")
        wrong = plain(worked, f"The answer is \\boxed{{{others[drawn % len(others)]}}}.")
        return replace(wrong, steps=worked.steps[:1])

    draw: Callable[[Random], Params] = lambda rng: {"_order": rng.randrange(24)}  # noqa: E731
    return Form(f"stem_choice_{number}", "stem", tellings(fact.question), draw, drawn, work, slip)


FORMS: tuple[Form, ...] = tuple(_of_fact(number, fact) for number, fact in enumerate(FACTS, 1))
