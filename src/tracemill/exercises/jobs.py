"""What the exercises in Python ask for: functions that are alike but for one number, each with bodies that are right, wrong
and slow.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple


class Job(NamedTuple):
    """Functions that are alike but for one number, N."""

    entry: str
    argument: str
    told: tuple[str, ...]
    numbers: tuple[int, int]
    """N from the first up to, and without, the second."""
    right: Callable[[Any, int], Any]
    """What the function returns for an argument and N."""
    draw: Callable[[Random, int], Any]
    """An argument."""
    idea: str
    solution: str
    """The body, with N for the number."""
    broken: str
    """A body that is wrong for nearly every argument."""
    slow: str
    """A body that is right, and takes more steps than `solution` and `other`."""
    other: str
    """Another body that is right."""

    def code(self, body: str, n: int) -> str:
        """The whole function."""
        lines = "\n".join(f"    {line}" for line in body.replace("N", str(n)).splitlines())
        return f"def {self.entry}({self.argument}):\n{lines}\n"


def _numbers(rng: Random, n: int) -> list[int]:
    return [rng.choice((n, rng.randrange(1, 40))) for _ in range(rng.randrange(4, 9))]


def _items(rng: Random, n: int) -> list[int]:
    return rng.sample(range(1, 60), n + rng.randrange(1, 7))


def _few_items(rng: Random, n: int) -> list[int]:
    """One list in three has N items at most."""
    return rng.sample(range(1, 60), rng.randrange(n + 1, n + 7) if rng.randrange(3) else rng.randrange(2, n + 1))


def _word(rng: Random, n: int) -> str:
    return "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randrange(n + 2, n + 12)))


def _in_base(number: int, n: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, n)
        digits = str(digit) + digits
    return digits


def _shifted(text: str, n: int) -> str:
    alphabet = string.ascii_lowercase
    return text.translate(str.maketrans(alphabet, alphabet[n:] + alphabet[:n]))


JOBS: tuple[Job, ...] = (
    Job(
        "count_multiples",
        "numbers",
        (
            "returns how many integers of a list are divisible by {n:int}.",
            "counts the integers in a list that {n:int} divides without remainder.",
        ),
        (2, 8),
        lambda numbers, n: len([x for x in numbers if x % n == 0]),
        _numbers,
        "A number is divisible if the remainder is zero, so those are counted.",
        "return sum(1 for number in numbers if number % N == 0)",
        "return sum(1 for number in numbers if number % N == 1)",
        "count = 0\n"
        "for number in numbers:\n"
        "    rest = number\n"
        "    while rest >= N:\n"
        "        rest -= N\n"
        "    if rest == 0:\n"
        "        count += 1\n"
        "return count",
        "count = 0\nfor number in numbers:\n    if number % N == 0:\n        count += 1\nreturn count",
    ),
    Job(
        "sum_above",
        "numbers",
        (
            "returns the sum of all integers of a list that are greater than {n:int}.",
            "adds up those integers of a list that exceed {n:int}.",
        ),
        (5, 20),
        lambda numbers, n: sum(x for x in numbers if x > n),
        lambda rng, n: [n, n + 2, *_numbers(rng, n)],
        "Only numbers above the limit are added; the limit itself does not count.",
        "total = 0\nfor number in numbers:\n    if number > N:\n        total += number\nreturn total",
        "total = 0\nfor number in numbers:\n    if number >= N:\n        total += number\nreturn total",
        "total = 0\n"
        "for number in numbers:\n"
        "    if number > N:\n"
        "        for _ in range(number):\n"
        "            total += 1\n"
        "return total",
        "return sum([number for number in numbers if number > N])",
    ),
    Job(
        "rotate",
        "items",
        (
            "returns a list rotated by {n:int} places to the left; an empty list stays empty.",
            "moves the first item of a list to its end, {n:int} times in a row, and returns the new list; an empty list "
            "stays empty.",
        ),
        (2, 6),
        lambda items, n: [items[(place + n) % len(items)] for place in range(len(items))],
        _few_items,
        "The list is cut once, and the two parts change places.",
        "if not items:\n    return []\nplace = N % len(items)\nreturn items[place:] + items[:place]",
        "if not items:\n    return []\nplace = N % len(items)\nreturn items[-place:] + items[:-place]",
        "turned = list(items)\n"
        "for _ in range(N):\n"
        "    moved = []\n"
        "    for item in turned[1:]:\n"
        "        moved.append(item)\n"
        "    for item in turned[:1]:\n"
        "        moved.append(item)\n"
        "    turned = moved\n"
        "return turned",
        "place = N % max(1, len(items))\nreturn items[place:] + items[:place]",
    ),
    Job(
        "every_nth",
        "text",
        (
            "returns every {n:ordinal} character of a text, beginning with the first.",
            "takes a text and keeps its first character and from there every {n:ordinal} one.",
        ),
        (2, 5),
        lambda text, n: text[::n],
        _word,
        "A slice with a step does this: it begins at the first character.",
        "return text[::N]",
        "return text[1::N]",
        "kept = ''\nfor place in range(len(text)):\n    if place % N == 0:\n        kept += text[place]\nreturn kept",
        "return ''.join(text[place] for place in range(0, len(text), N))",
    ),
    Job(
        "chunks",
        "items",
        (
            "splits a list into lists of {n:int} items each, in order; the last one may be shorter.",
            "cuts a list into consecutive pieces of {n:int} items, where the last piece may have fewer.",
        ),
        (2, 6),
        lambda items, n: [items[i : i + n] for i in range(0, len(items), n)],
        _items,
        "Each piece begins a fixed number of places behind the one before.",
        "pieces = []\nfor start in range(0, len(items), N):\n    pieces.append(items[start:start + N])\nreturn pieces",
        "pieces = []\n"
        "for start in range(0, len(items) - N, N):\n"
        "    pieces.append(items[start:start + N])\n"
        "return pieces",
        "pieces = []\n"
        "for place in range(len(items)):\n"
        "    if place % N == 0:\n"
        "        pieces.append([])\n"
        "    pieces[-1].append(items[place])\n"
        "return pieces",
        "return [items[start:start + N] for start in range(0, len(items), N)]",
    ),
    Job(
        "power_sum",
        "limit",
        (
            "returns the sum of the {n:ordinal} powers of the integers from 1 to a limit, the limit included.",
            "raises each integer from 1 up to and including a limit to the {n:ordinal} power and returns the sum.",
        ),
        (2, 6),
        lambda limit, n: sum(x**n for x in range(1, limit + 1)),
        lambda rng, n: rng.randrange(2, 14),
        "The range has to end one above the limit, for its end is not included.",
        "return sum(number ** N for number in range(1, limit + 1))",
        "return sum(number ** N for number in range(1, limit))",
        "total = 0\n"
        "for number in range(1, limit + 1):\n"
        "    power = 1\n"
        "    for _ in range(N):\n"
        "        power *= number\n"
        "    total += power\n"
        "return total",
        "total = 0\nfor number in range(1, limit + 1):\n    total += number ** N\nreturn total",
    ),
    Job(
        "shift",
        "text",
        (
            "shifts each lowercase English letter of a text by {n:int} places in the alphabet, from z on to a, and "
            "leaves other characters as they are.",
            "encodes a text by replacing each letter from a to z by the one {n:int} places further, starting over "
            "after z; everything else stays.",
        ),
        (2, 12),
        _shifted,
        lambda rng, n: f"{_word(rng, n)} z{rng.randrange(9)}",
        "Letters are numbered from 0, moved, and brought back into the alphabet by the remainder.",
        "out = []\n"
        "for letter in text:\n"
        "    if 'a' <= letter <= 'z':\n"
        "        letter = chr((ord(letter) - 97 + N) % 26 + 97)\n"
        "    out.append(letter)\n"
        "return ''.join(out)",
        "out = []\n"
        "for letter in text:\n"
        "    if 'a' <= letter <= 'z':\n"
        "        letter = chr(ord(letter) + N)\n"
        "    out.append(letter)\n"
        "return ''.join(out)",
        "alphabet = 'abcdefghijklmnopqrstuvwxyz'\n"
        "out = ''\n"
        "for letter in text:\n"
        "    for place in range(26):\n"
        "        if alphabet[place] == letter:\n"
        "            letter = alphabet[(place + N) % 26]\n"
        "            break\n"
        "    out += letter\n"
        "return out",
        "alphabet = 'abcdefghijklmnopqrstuvwxyz'\n"
        "moved = dict(zip(alphabet, alphabet[N:] + alphabet[:N]))\n"
        "return ''.join([moved.get(letter, letter) for letter in text])",
    ),
    Job(
        "in_base",
        "number",
        (
            "writes a positive integer in base {n:int} and returns the digits as a text.",
            "returns the digits of a positive integer in base {n:int}, as a text.",
        ),
        (2, 10),
        _in_base,
        lambda rng, n: rng.randrange(n * n, 999) * n + 1,
        "Dividing again and again gives the digits as remainders, the last one first.",
        "digits = ''\n"
        "while number > 0:\n"
        "    number, digit = divmod(number, N)\n"
        "    digits = str(digit) + digits\n"
        "return digits",
        "digits = ''\n"
        "while number > N:\n"
        "    number, digit = divmod(number, N)\n"
        "    digits = str(digit) + digits\n"
        "return digits",
        "digits = ''\n"
        "while number > 0:\n"
        "    tens = 0\n"
        "    while number >= N:\n"
        "        number -= N\n"
        "        tens += 1\n"
        "    digits = str(number) + digits\n"
        "    number = tens\n"
        "return digits",
        "digits = []\n"
        "while number:\n"
        "    digits.append(str(number % N))\n"
        "    number //= N\n"
        "return ''.join(reversed(digits))",
    ),
)
