"""Sentences with slots, read both ways: filled in they are a problem, and a problem gives back what fills them.

A slot is written `{slot:kind}`. One telling, and what it tells:

    "{who:name} buys {count:int} {item:items} for {price:money} each."   "How many dollars does {who:he} spend?"
    {"who": "Emma", "count": 4, "item": "pencil", "price": 125}
    "Emma buys 4 pencils for $1.25 each. How many dollars does she spend?"

Each sentence is a string of its own, so that one may stand beside its translation with the same slots.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, TypeVar

from tracemill.word_problems.words import PLURAL, PRONOUN, SINGULAR, with_article

T = TypeVar("T")

Params = Mapping[str, Any]
"""What fills the slots, by slot: numbers as int (money in cents, clock times in minutes after midnight), fractions as
text such as "3/4", names, titles, ids and decimals as themselves, things by their singular."""

_SLOT = re.compile(r"\{(\w+):(\w+)\}")


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of slot is written and read."""

    pattern: str
    show: Callable[[Any], str]
    read: Callable[[str], int | str | None] | None
    """Text to value, None where the text means nothing. Absent for forms that do not give their value away ("she")."""


def _read_number(text: str) -> int:
    return int(text.replace(",", ""))


def _show_number(value: int) -> str:
    return f"{value:,}" if value >= 10_000 else str(value)


def _show_money(cents: int) -> str:
    return f"${cents // 100}" if cents % 100 == 0 else f"${cents // 100}.{cents % 100:02}"


def _read_money(text: str) -> int | None:
    whole, _, rest = text.removeprefix("$").partition(".")
    return int(whole) * 100 + int(rest or "0") or None


def _show_clock(minutes: int) -> str:
    hour, minute = divmod(minutes, 60)
    return f"{(hour - 1) % 12 + 1}:{minute:02} {'am' if hour < 12 else 'pm'}"


def _read_clock(text: str) -> int | None:
    clock, _, half = text.partition(" ")
    hour, minute = (int(part) for part in clock.split(":"))
    return hour % 12 * 60 + minute + (720 if half == "pm" else 0) if 1 <= hour <= 12 and minute < 60 else None


def _read_fraction(text: str) -> str | None:
    top, bottom = (int(part) for part in text.split("/"))
    return text if top < bottom else None


def _show_ordinal(value: int) -> str:
    ending = "th" if value // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def _any(words: Mapping[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words.values(), key=lambda word: (-len(word), word)))


_ARTICLED = {noun: with_article(noun) for noun in PLURAL}
_THINGS = {text: noun for noun, text in _ARTICLED.items()}
_HIS = {"he": "his", "she": "her"}
_HIM = {"he": "him", "she": "her"}

KINDS: Mapping[str, Kind] = {
    "int": Kind(r"[1-9]\d{0,3}(?![\d,]\d)|[1-9]\d{0,2}(?:,\d{3})+", _show_number, _read_number),
    "money": Kind(r"\$\d+(?:\.\d\d)?", _show_money, _read_money),
    "percent": Kind(r"[1-9]\d?%", lambda value: f"{value}%", lambda text: int(text[:-1])),
    "clock": Kind(r"\d{1,2}:\d\d [ap]m", _show_clock, _read_clock),
    "fraction": Kind(r"[1-9]\d*/[1-9]\d*", str, _read_fraction),
    "ordinal": Kind(r"[1-9]\d*(?:st|nd|rd|th)", _show_ordinal, lambda text: int(text[:-2])),
    "name": Kind(r"[A-Z][a-z]+", str, lambda text: text if text in PRONOUN else None),
    "he": Kind(r"s?he", lambda name: PRONOUN[name], None),
    "He": Kind(r"S?[Hh]e", lambda name: PRONOUN[name].capitalize(), None),
    "his": Kind(r"his|her", lambda name: _HIS[PRONOUN[name]], None),
    "him": Kind(r"him|her", lambda name: _HIM[PRONOUN[name]], None),
    "item": Kind(_any({noun: noun for noun in PLURAL}), str, str),
    "items": Kind(_any(PLURAL), lambda noun: PLURAL[noun], lambda text: SINGULAR[text]),
    "an_item": Kind(_any(_ARTICLED), lambda noun: _ARTICLED[noun], lambda text: _THINGS[text]),
    "id": Kind(r"[A-Z]\d{1,2}", str, str),
    "title": Kind(r"[A-Z][a-z]*(?: [A-Za-z][a-z]*){0,5}", str, str),
    "decimal": Kind(r"[1-9]\d*\.\d+", str, str),
}
"""What may stand after the colon of a slot."""


@dataclass(frozen=True)
class Telling:
    """One way to tell a problem."""

    sentences: tuple[str, ...]

    @cached_property
    def _template(self) -> str:
        return " ".join(self.sentences)

    @cached_property
    def slots(self) -> Mapping[str, str]:
        """The kind of each slot, where its value can be read; in order of appearance."""
        kinds: dict[str, str] = {}
        for slot, kind in _SLOT.findall(self._template):
            if KINDS[kind].read is not None:
                kinds.setdefault(slot, kind)
        return kinds

    @cached_property
    def anchor(self) -> str:
        """The longest piece between slots. A text without it does not tell this problem, which is quickly seen."""
        return max(_SLOT.sub("\0", self._template).split("\0"), key=len)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        read: set[str] = set()
        parts = [r"(?<!\w)"]
        pieces = _SLOT.split(self._template)
        for literal, slot, kind in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=False):
            named = KINDS[kind].read is not None and slot not in read
            if named:
                read.add(slot)
            parts += [re.escape(literal), f"(?P<{slot}>" if named else "(?:", KINDS[kind].pattern, ")"]
        return re.compile("".join([*parts, re.escape(pieces[-1])]))

    def render(self, params: Params) -> str:
        """The problem as text."""
        return _SLOT.sub(lambda slot: KINDS[slot[2]].show(params[slot[1]]), self._template)

    def found_in(self, text: str) -> Iterator[tuple[int, int, Params]]:
        """Start, end and params of each place where `text` tells this problem.

        A place counts only if rendering its params gives back what is written there: names and things that are told
        twice agree, pronouns fit, and numbers are written as we write them.
        """
        if self.anchor not in text:
            return
        for match in self._pattern.finditer(text):
            params = {slot: self._read(kind, match[slot]) for slot, kind in self.slots.items()}
            if None not in params.values() and self.render(params) == match[0]:
                yield match.start(), match.end(), params

    @staticmethod
    def _read(kind: str, text: str) -> int | str | None:
        read = KINDS[kind].read
        assert read is not None
        return read(text)


def tellings(*places: str | tuple[str, ...]) -> tuple[Telling, ...]:
    """Every telling that takes, for each place in turn, its sentence or one of its sentences."""
    return tuple(Telling(chosen) for chosen in product(*((p,) if isinstance(p, str) else p for p in places)))


def by_anchor(told: Iterable[tuple[T, Telling]]) -> Mapping[str, list[tuple[T, Telling]]]:
    """What is told how, so that `last_told` finds it quickly."""
    anchored: dict[str, list[tuple[T, Telling]]] = {}
    for what, telling in told:
        anchored.setdefault(telling.anchor, []).append((what, telling))
    return anchored


def last_told(text: str, anchored: Mapping[str, list[tuple[T, Telling]]]) -> tuple[T, Params] | None:
    """What is told last in `text`, alone or with other text around it, and what fills its slots. White space does not
    matter.
    """
    plain = " ".join(text.split())
    best, found = (0, 0), None
    told = (one for anchor, ones in anchored.items() if anchor in plain for one in ones)
    for what, telling in told:
        for start, end, params in telling.found_in(plain):
            if (end, end - start) > best:
                best, found = (end, end - start), (what, params)
    return found
