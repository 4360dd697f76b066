"""Exercises of science and the humanities: choices by letter, in an order that is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import NamedTuple

from tracemill.exercises.form import Drawn, Form, Params, Worked, plain
from tracemill.record import Message
from tracemill.word_problems.sentences import Telling, tellings


class Fact(NamedTuple):
    """A question with one right option."""

    subject: str
    question: str
    right: str
    wrong: tuple[str, str, str]


FACTS: tuple[Fact, ...] = (
    Fact("physics", "Which of these is a vector quantity?", "velocity", ("mass", "temperature", "energy")),
    Fact(
        "physics", "Which particle carries a negative elementary charge?", "electron", ("proton", "neutron", "photon")
    ),
    Fact("chemistry", "Which gas makes up most of dry air?", "nitrogen", ("oxygen", "argon", "carbon dioxide")),
    Fact("chemistry", "Which element has the symbol Fe?", "iron", ("fluorine", "lead", "francium")),
    Fact(
        "biology",
        "Where in a plant cell does photosynthesis take place?",
        "chloroplast",
        ("nucleus", "ribosome", "vacuole"),
    ),
    Fact("biology", "Which of these animals is a mammal?", "whale", ("shark", "penguin", "crocodile")),
    Fact(
        "geography",
        "Which line runs halfway between the poles?",
        "equator",
        ("tropic of Cancer", "prime meridian", "Arctic Circle"),
    ),
    Fact("geography", "Which of these rivers flows through Budapest?", "Danube", ("Rhine", "Seine", "Volga")),
    Fact(
        "history",
        "In which century was the movable type press of Gutenberg built?",
        "fifteenth",
        ("twelfth", "eighteenth", "tenth"),
    ),
    Fact(
        "history",
        "Which wall was opened in November 1989?",
        "Berlin Wall",
        ("Hadrian's Wall", "Great Wall", "Western Wall"),
    ),
    Fact(
        "literature", "Who wrote the play Hamlet?", "William Shakespeare", ("Molière", "Henrik Ibsen", "Anton Chekhov")
    ),
    Fact("music", "How many strings does a violin have?", "four", ("five", "six", "eight")),
    Fact(
        "economics",
        "What usually happens to a price when supply falls and demand stays?",
        "it rises",
        ("it falls", "it stays", "it becomes negative"),
    ),
    Fact("law", "What is a treaty between two states called?", "bilateral", ("unilateral", "trilateral", "municipal")),
)
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
