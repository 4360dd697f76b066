r"""The value of an expression made of numbers alone: `\frac{\pi}{2}`, `3\sqrt{2}`, `e^{-1}`, `2.5 * 10^-3`, `ln(2)/3`.

A parser of our own, for floats: nothing is handed to an interpreter, and nothing can grow. It says None for anything that
it does not know, and for a bare "log", whose base differs from book to book.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

LONGEST, DEEPEST = 200, 20
"""Characters, and nested brackets. A longer expression is no answer to a question about a number."""
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<word>\\?[A-Za-z]+|π)|(?P<sign>\*\*|[-+*/^(){}\[\]!_√]))", re.ASCII
)
_TIDY = (
    (re.compile(r"\\left|\\right|\\[,;:! ]|\\displaystyle|\\q?quad"), " "),
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)(?!\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\cdot|\\times|×|·"), "*"),
    (re.compile(r"\\div|÷"), "/"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"π"), r"\\pi "),
)
_CONSTANTS = {"pi": math.pi, "e": math.e}
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "ln": math.log,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
}


class _NoNumber(Exception):
    pass


def value_of(text: str) -> float | None:
    """The finite value of an expression of numbers, to float precision, or None where it is none that we read."""
    if len(text) > LONGEST:
        return None
    for pattern, put in _TIDY:
        text = pattern.sub(put, text)
    try:
        parser = _Parser(text.strip().strip("$").strip())
        found = parser.sum()
        whole = parser.at == len(parser.tokens)
    except (_NoNumber, ArithmeticError, ValueError):
        return None
    return found if whole and math.isfinite(found) else None


class _Parser:
    """Recursive descent: sums of products of powers."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        place = 0
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise _NoNumber
            kind = str(found.lastgroup)
            self.tokens.append((kind, found[kind]))
            place = found.end()
        self.at = 0
        self.deep = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, *signs: str) -> bool:
        if self.peek()[0] == "sign" and self.peek()[1] in signs:
            self.at += 1
            return True
        return False

    def sum(self) -> float:
        self.deep += 1
        if self.deep > DEEPEST:
            raise _NoNumber
        total = self.product()
        while True:
            if self.take("+"):
                total += self.product()
            elif self.take("-"):
                total -= self.product()
            else:
                self.deep -= 1
                return total

    def product(self) -> float:
        total = self.signed()
        while True:
            if self.take("*"):
                total *= self.signed()
            elif self.take("/"):
                total /= self.signed()
            elif self.peek()[0] in ("word", "number") or self.peek()[1] in ("(", "{", "[", "√"):
                if self.peek()[0] == "number" and self.tokens[self.at - 1][0] == "number":
                    raise _NoNumber  # "3 4" is no product
                total *= self.power()
            else:
                return total

    def signed(self) -> float:
        if self.take("-"):
            return -self.signed()
        return self.signed() if self.take("+") else self.power()

    def power(self) -> float:
        base = self.atom()
        while self.take("!"):
            if base != int(base) or not 0 <= base <= 20:
                raise _NoNumber
            base = float(math.factorial(int(base)))
        if self.take("^", "**"):
            return float(math.pow(base, self.signed()))
        return base

    def atom(self) -> float:
        kind, text = self.peek()
        self.at += 1
        if kind == "number":
            return float(text)
        if kind == "sign" and text in "({[":
            return self.closed()
        if text == "√":
            return math.sqrt(self.atom())
        if kind != "word":
            raise _NoNumber
        name = text.removeprefix("\\")
        if name == "frac":
            top, bottom = self.braced(), self.braced()
            return top / bottom
        if name == "sqrt" and self.take("["):
            degree = self.closed()
            return float(math.pow(self.braced(), 1 / degree))
        if name in ("log", "lg") and self.take("_"):
            base = self.atom()
            return math.log(self.power()) / math.log(base)
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](self.power() if name != "sqrt" else self.atom())
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        raise _NoNumber

    def braced(self) -> float:
        if not self.take("{"):
            raise _NoNumber
        return self.closed()

    def closed(self) -> float:
        found = self.sum()
        if not self.take(")", "}", "]"):
            raise _NoNumber
        return found
