"""What a family of problems is: how to tell one, how to draw its numbers, how to solve it exactly."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from tracemill.word_problems.sentences import KINDS, Params, Telling
from tracemill.word_problems.words import NAMES

DIFFICULTIES = (1, 2, 3)

Add = Callable[[int, int], int]
"""How two whole numbers are added. A pupil who forgets to carry has another one than we."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A worked solution."""

    steps: tuple[str, ...]
    """Sentences. The last number of the last one is the answer. Money is in dollars, without its sign."""
    answer: str
    """An integer, a decimal such as 12.50, or a fraction such as \\frac{3}{4}; always exact."""
    check: str
    """A sentence that comes back from the answer to the question's numbers, or counts in another way."""


@dataclass(frozen=True, eq=False)
class Family:
    """Problems that are solved alike."""

    name: str
    tellings: Mapping[int, tuple[Telling, ...]]
    """By difficulty, 1 to 3. All tellings of one difficulty have the same slots and ask for the same thing."""
    draw: Callable[[Random, int], Params]
    """Params for a difficulty."""
    work: Callable[[Params, Add], Solution]
    """Which slots are filled tells the difficulties apart, where they are solved differently."""

    def solve(self, params: Params, add: Add = operator.add) -> Solution:
        """The worked solution, exact for any params that a telling can be filled with.

        Its sums are made with `add`, so that a mistake in one goes through all later steps.
        """
        return self.work(params, add)

    def facts(self, params: Params) -> tuple[str, ...]:
        """The numbers of the problem, each with the name of its slot: "price: $1.25"."""
        telling = next(t for level in self.tellings.values() for t in level if t.slots.keys() == params.keys())
        return tuple(
            f"{slot.replace('_', ' ')}: {KINDS[kind].show(params[slot])}"
            for slot, kind in telling.slots.items()
            if kind not in {"name", "item", "items", "an_item"}
        )


def show(value: int | Fraction) -> str:
    """A number exactly: 12, 7.5 where the decimals end, else a fraction."""
    exact = Fraction(value)
    if exact.denominator == 1:
        return str(exact.numerator)
    twos, rest = 0, exact.denominator
    while rest % 2 == 0:
        twos, rest = twos + 1, rest // 2
    fives = 0
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    if rest != 1:
        return fraction(exact)
    places = max(twos, fives)
    digits = str(abs(exact.numerator) * 10**places // exact.denominator).rjust(places + 1, "0")
    return f"{'-' if exact < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def fraction(value: int | Fraction) -> str:
    r"""A number in lowest terms: \frac{3}{4}, or 2 where it is whole."""
    exact = Fraction(value)
    if exact.denominator == 1:
        return str(exact.numerator)
    return f"{'-' if exact < 0 else ''}\\frac{{{abs(exact.numerator)}}}{{{exact.denominator}}}"


def dollars(cents: int | Fraction) -> str:
    """Money as a plain number of dollars: 12, 12.50; more decimals only where there are parts of a cent."""
    exact = Fraction(cents)
    if exact.denominator != 1 or exact % 100 == 0:
        return show(exact / 100)
    sign, whole = ("-" if exact < 0 else ""), abs(exact.numerator)
    return f"{sign}{whole // 100}.{whole % 100:02}"


def people(rng: Random, count: int) -> list[str]:
    """Different names."""
    return rng.sample(NAMES, count)
