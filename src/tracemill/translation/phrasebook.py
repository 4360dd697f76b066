"""A memory whose sentences have slots: what the built-in generator and teacher say, in further languages.

`phrases/en.txt` holds their sentences with the kind of each slot. `phrases/fr.txt` says the same, by family and number, with the
slots where that language has them; `phrases/fr.yaml` tells what its words and numbers look like. A further language is two
more files:

    en  {who:name} buys {count:int} {item:items} for {price:money} each.
    fr  {who} achète {count} {item} à {price} chacun{item?|e}.

`{item}` is written as in the source, one or many; `{item:one}` asks for a form; `{item?|e}` chooses by gender.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from tracemill import identity
from tracemill.recipe_file import parse_yaml
from tracemill.word_problems.sentences import KINDS
from tracemill.word_problems.words import PLURAL, PRONOUN

SOURCE = "en"
SLOT = re.compile(r"\{(\w+):(\w+)\}")
FILLED = re.compile(r"\{(\w+)(?::(\w+)|\?([^{}]*))?\}")
"""A slot of a translation: plain, with a form, or with words to choose from."""
CUT = re.compile(r"(?<=[.?:]) (?=[A-Z])")
"""Between two sentences of ours; what introduces one, as in "Next: ", is a sentence too."""
OWN_KINDS = {
    "sum": r"(?:[-\d(]|\\frac\{\d+\}\{\d+\})(?:[\d+×÷=()., -]|\\frac\{\d+\}\{\d+\})*(?<=[\d)}])",
    "boxed": r"\\boxed\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}",
}
"""Kinds of slots that only answers have: a run of formula, such as 4 × 1.25 = 5; a box, which stays as it is."""
PRONOUNS = ("he", "He", "his", "him")
GENDERS = {"he": "m", "his": "m", "him": "m", "she": "f", "her": "f"}
_BELOW = {"items": "many", "item": "one", "an_item": "one"}
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)")
_DECIMAL = re.compile(r"(?<=\d)\.(?=\d)")


class Found(NamedTuple):
    """A sentence of ours, read."""

    key: tuple[str, int]
    """Family, and number of the sentence there."""
    values: Mapping[str, tuple[str, str]]
    """By slot: the kind that it was read as, and what stood there; of a thing its singular."""


@dataclass(frozen=True)
class Sentence:
    """One sentence of the source."""

    key: tuple[str, int]
    template: str

    @cached_property
    def slots(self) -> dict[str, str]:
        """The kind of each slot; of one that is told in several ways, the one that says most."""
        kinds: dict[str, str] = {}
        for slot, kind in SLOT.findall(self.template):
            if slot not in kinds or kinds[slot] in PRONOUNS:
                kinds[slot] = kind
        return kinds

    @cached_property
    def anchor(self) -> str:
        """The longest piece between slots."""
        return max(SLOT.split(self.template)[::3], key=len)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Reads it whole; a slot that comes twice is read where its kind says most."""
        pieces = SLOT.split(self.template)
        out, read = [], set()
        for literal, slot, kind in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=False):
            named = slot not in read and kind == self.slots[slot]
            read |= {slot} if named else set()
            body = OWN_KINDS.get(kind) or KINDS[kind].pattern
            out += [re.escape(literal), f"(?P<{slot}>" if named else "(?:", body, ")"]
        return re.compile("".join([*out, re.escape(pieces[-1])]))

    def read(self, text: str) -> Found | None:
        """What fills its slots in `text`; None if `text` is another sentence."""
        match = self.pattern.fullmatch(text) if self.anchor in text else None
        if match is None:
            return None
        values = {}
        for slot, kind in self.slots.items():
            told = match[slot]
            if kind in _BELOW:
                read = KINDS[kind].read
                told = str(read(told)) if read is not None else told
            if kind == "name" and told not in PRONOUN:
                return None
            values[slot] = (kind, told)
        return Found(self.key, values)


@dataclass(frozen=True)
class Wording:
    """How one language says the sentences, from its file."""

    sentences: Mapping[tuple[str, int], str]
    decimal: str = "."
    group: str = ","
    money: str = "${}"
    percent: str = "{}%"
    clock: Mapping[int, str] = field(default_factory=dict)
    """From this hour of the day on: how a time is written, with {h} as the source counts hours, and {m}."""
    genders: tuple[str, ...] = ()
    forms: tuple[str, ...] = ("one", "many")
    nouns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """Names that are spelled otherwise; all others stay."""
    joiner: str = " "
    small_after_colon: bool = False
    """Whether what follows a colon begins with a small letter, unless what fills a slot begins it."""
    rewrites: tuple[tuple[re.Pattern[str], str], ...] = ()
    """Elisions and contractions: what is written otherwise where two words meet."""

    def say(self, found: Found) -> str | None:
        """A sentence in this language; None if its file has none for it."""
        template = self.sentences.get(found.key)
        if template is None:
            return None
        text = FILLED.sub(lambda slot: self._filled(slot, found), template)
        for pattern, instead in self.rewrites:
            text = pattern.sub(instead, text)
        return text

    def _filled(self, slot: re.Match[str], found: Found) -> str:
        kind, told = found.values[slot[1]]
        if slot[3] is not None:
            return slot[3].split("|")[self.genders.index(self._gender(kind, told))]
        if kind in _BELOW:
            form = slot[2] or _BELOW[kind]
            return self.nouns[told][self.forms.index(form if form in self.forms else "many")]
        if kind == "name":
            return self.names.get(told, told)
        return self._written(kind, told)

    def _gender(self, kind: str, told: str) -> str:
        if kind in _BELOW:
            return self.nouns[told][self.forms.index("gender")]
        return GENDERS[PRONOUN.get(told, told).lower()]

    def _written(self, kind: str, told: str) -> str:
        if kind == "money":
            return self.money.format(self._number(told.removeprefix("$")))
        if kind == "percent":
            return self.percent.format(told.removesuffix("%"))
        if kind == "ordinal":
            return told.rstrip("stndrh")
        if kind == "clock" and self.clock:
            hour, minute = told[: told.index(":")], told[told.index(":") + 1 :][:2]
            of_day = int(hour) % 12 + 12 * told.endswith("pm")
            return self.clock[max(h for h in self.clock if h <= of_day)].format(h=hour, m=minute)
        return told if kind in ("boxed", "fraction") else self._number(told)

    def _number(self, told: str) -> str:
        grouped = _GROUPED.sub(lambda number: number[0].replace(",", "\0"), told)
        return _DECIMAL.sub(self.decimal, grouped).replace("\0", self.group)


@dataclass(frozen=True)
class Phrasebook:
    """All sentences, and how some languages say them."""

    sentences: tuple[Sentence, ...]
    wordings: Mapping[str, Wording]
    identity: str
    """Hex; equal for equal files."""

    def __hash__(self) -> int:
        return hash(self.identity)

    def find(self, text: str, source: str, target: str) -> str | None:
        """A line of ours in another language, sentence by sentence; None unless each of them is known."""
        wording = self.wordings.get(target)
        if source != SOURCE or wording is None:
            return None
        out: list[str] = []
        for part in CUT.split(text):
            found = _read(self, part)
            said = wording.say(found) if found is not None else None
            if found is None or said is None:
                return None
            slot = FILLED.match(wording.sentences[found.key])
            if wording.small_after_colon and out and out[-1].endswith(":") and (slot is None or slot[3] is not None):
                said = said[0].lower() + said[1:]
            out.append(said)
        return wording.joiner.join(out)


@lru_cache(maxsize=20_000)
def _read(book: Phrasebook, text: str) -> Found | None:
    """What a sentence says; the same one comes once for each language, and in several rows."""
    return next((found for sentence in book.sentences if (found := sentence.read(text)) is not None), None)


@cache
def built_in() -> Phrasebook:
    """The sentences of the word problems and of their worked answers, in every language that has files."""
    shelf = Path(str(files("tracemill.translation"))) / "phrases"
    texts = {file.name: file.read_text(encoding="utf-8") for file in sorted(shelf.iterdir())}
    known = {key: Sentence(key, text) for key, text in _numbered(texts[f"{SOURCE}.txt"]).items()}
    codes = [name.removesuffix(".yaml") for name in texts if name.endswith(".yaml")]
    wordings = {code: _wording(code, texts[f"{code}.yaml"], texts[f"{code}.txt"], known) for code in codes}
    return Phrasebook(tuple(known.values()), wordings, identity.digest(texts))


def _numbered(text: str) -> dict[tuple[str, int], str]:
    """The lines of a file of sentences, by the family in brackets above them and their number."""
    out: dict[tuple[str, int], str] = {}
    family = ""
    for line in text.splitlines():
        if line.startswith("["):
            family = line[1:-1]
        elif line and not line.startswith("#"):
            number, _, sentence = line.partition(" ")
            assert (family, int(number)) not in out, f"{family} {number} comes twice"
            out[family, int(number)] = sentence
    return out


def _wording(code: str, words: str, lines: str, known: Mapping[tuple[str, int], Sentence]) -> Wording:
    """One language. A slot that its source has not, or a thing without its forms, is our mistake."""
    sentences = _numbered(lines)
    for key, text in sentences.items():
        assert {slot[1] for slot in FILLED.finditer(text)} <= known[key].slots.keys(), f"{code}: slots of {key}"
    tree = parse_yaml(words, f"translation/phrases/{code}.yaml")
    tree["nouns"] = {noun: tuple(text.split(" / ")) for noun, text in tree["nouns"].items()}
    assert all(len(tree["nouns"][noun]) == len(tree["forms"]) for noun in PLURAL), f"{code}: a thing lacks a form"
    tree["rewrites"] = tuple((re.compile(pattern), instead) for pattern, instead in tree.get("rewrites", ()))
    told: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in tree.items()}
    return Wording(sentences, **told)
