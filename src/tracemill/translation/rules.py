"""From two language files to the values that gates of text are asked with."""

from __future__ import annotations

from tracemill.languages import Language
from tracemill.recipe import Gates
from tracemill.segments.numbers import NumberFormat
from tracemill.segments.rules import Rules

SIGNS = frozenset({"Hani"})
"""Scripts that other languages write too: a text of the language has some letter that is of none of them."""
ANY_LENGTH = (float("-inf"), float("inf"))


def number_format(language: Language) -> NumberFormat:
    """How a language writes numbers."""
    numbers = language.numbers
    return NumberFormat(numbers.decimal, "".join(numbers.groups), numbers.words, numbers.spelled)


def rules_between(source: Language, target: Language, gates: Gates) -> Rules:
    """What a translation from `source` into `target` must keep to."""
    own = set(target.scripts)
    needs = own - SIGNS or own
    return Rules(
        source=number_format(source),
        target=number_format(target),
        length=target.length if gates.length else lambda characters: ANY_LENGTH,
        scripts=frozenset(own | {"Latn"}) if not gates.script else frozenset(own),
        needs=frozenset(needs) if gates.script and needs != {"Latn"} else frozenset(),
        latin_most=target.foreign if gates.script else 1.0,
        copied_most=gates.copied,
    )
