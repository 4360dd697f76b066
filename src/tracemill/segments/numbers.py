"""Numbers as a language writes them, so that 1,000 and 1.000 and １０００ can be one number.

How a language writes numbers comes in as plain values; nothing here knows a language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import cache

SPACES = " \u00a0\u2009\u202f"
TOKEN = re.compile(rf"(?:(?<![\w.])\.(?=\d))?\d+(?:[.,'’٫٬·，．](?=\d)\d+|[{SPACES}](?=\d{{3}}(?!\d))\d{{3}})*")
DIGIT = re.compile(r"\d")
GROUPS = re.compile(r"\d{1,3}(?:\D\d{3})+|\d{1,3}(?:\D\d{2})+\D\d{3}")
"""By thousands; or by hundreds above the first thousand, as in India: 12,34,567."""


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How a language writes numbers.

    Args:
        decimal: The decimal mark.
        groups: Every mark that may part groups of digits; a space stands for any kind of space.
        scales: Words behind a number that multiply it: "million", "万". Without them 3 million and 300万 differ.
        words: Numbers as words: "two", "twenty", "third". What one side writes in digits is then found on the other.
    """

    decimal: str = "."
    groups: str = ","
    scales: Mapping[str, int] = field(default_factory=dict, hash=False)
    words: Mapping[str, int] = field(default_factory=dict, hash=False)
    _scale: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _word: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decimal", _ascii(self.decimal))
        object.__setattr__(self, "groups", _ascii(self.groups).replace(" ", SPACES))
        for name in ("scales", "words"):
            object.__setattr__(self, name, {word.casefold(): value for word, value in getattr(self, name).items()})
        object.__setattr__(self, "_scale", _any_of(self.scales, r"[-\s]{0,2}"))
        object.__setattr__(self, "_word", _any_of({**self.scales, **self.words}, "") if self.words else None)

    def values(self, text: str, other: NumberFormat | None = None) -> list[frozenset[str]]:
        """What each number in `text` may mean, in order: the value as written, and as multiplied by what follows.

        Args:
            other: How numbers may be written too: a number that was copied is read as its own language reads it.
        """
        found: list[frozenset[str]] = []
        scale_end, scale, end = -1, 0, 0
        for token in TOKEN.finditer(text):
            told = (self.value(token.group()), other.value(token.group()) if other is not None else "")
            readings = list(dict.fromkeys(value for value in told if value))
            between = text[end : token.start()] if found else ""
            end = token.end()
            if not readings:
                found += [frozenset({_plain(part)}) for part in re.findall(r"\d+", token.group())]
                continue
            follower = self._scale.match(text, token.end()) if self._scale else None
            by = self.scales[follower[1].casefold()] if follower else 1
            if found and scale_end >= 0 and _goes_on(text[scale_end - 1 : token.start()], readings[0], by, scale):
                found.append(frozenset(_sum(value, _times(readings[0], by)) for value in found.pop()))
                scale, scale_end = by, follower.end() if follower else -1
                continue
            if follower:
                scale, scale_end = by, follower.end()
                readings += [_times(value, scale) for value in readings]
                if RANGE.fullmatch(between):
                    found[-1] |= {_times(value, scale) for value in found[-1]}
            found.append(frozenset(readings))
        return found

    def value(self, token: str) -> str:
        """The value of one number in canonical digits ("1234.5"), or "" if this language does not write it so."""
        token = _ascii(token)
        if token[0] == ".":
            return _plain("0", token[1:]) if token[1:].isdigit() else ""
        if token.isdigit():
            return _plain(token)
        whole, mark, fraction = token.rpartition(self.decimal)
        if not mark:
            whole, fraction = token, ""
        elif not fraction.isdigit() or self.decimal in whole:
            if self.decimal not in self.groups:
                return ""
            whole, fraction = token, ""
        marks = {c for c in whole if not c.isdigit()}
        if marks and not (len(marks) == 1 and marks <= set(self.groups) and GROUPS.fullmatch(whole)):
            return ""
        return _plain("".join(c for c in whole if c.isdigit()), fraction)

    def spelled(self, text: str, apart: bool = False) -> Counter[str]:
        """What the number words in `text` may mean: each alone, and those in a row together (twenty-five, ten million).

        Args:
            apart: Only words that blanks part from others: 三 is in 三角, and 両 in 車両, where nobody counts.
        """
        found: Counter[str] = Counter()
        total = run = end = 0
        for match in self._word.finditer(text) if self._word else ():
            word = match[1].casefold()
            if apart and _WIDE.match(word):
                continue
            if not JOINED.fullmatch(text, end, match.start()):
                total = run = 0
            end = match.end()
            if word in self.scales:
                scale = self.scales[word]
                run = max(run, 1) * scale
                if scale >= 1000:
                    found[str(run)] += total > 0  # two million to three million are two numbers
                    total, run = total + run, 0
            else:
                run += self.words[word]
                found[str(self.words[word])] += 1
            if (value := str(total + run)) != str(self.words.get(word)):
                found[value] += 1
            if len(found) > MOST_SPELLED:
                break
        return found


RANGE = re.compile(r"\s?[-–—〜~～]\s?|\s[^\W\d]{1,3}\s")
"""Between two numbers that share the word behind the second: 4.2-3.9 million, 3 to 4 million."""
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_POWERS = str.maketrans("²³", "23")
JOINED = re.compile(r"[\s-]{1,3}(?:[^\W\d]{1,3}[\s-])?")
"""Between words of one number; "and", "et" or "y" may stand there."""
MOST_SPELLED = 500


def _goes_on(between: str, number: str, scale: int, before: int) -> bool:
    """Whether a number adds to the one before it, as in 3万2000 and 7만 7천.

    Args:
        between: From the last letter of the scale word before it.
        scale: What its own scale word multiplies by.
        before: What the one before did.
    """
    if len(number) > 40 or "." in number or int(number) * scale >= before:
        return False
    return len(between) == 1 or (between[1:] == " " and not between[0].isascii() and (scale > 1 or len(number) > 2))


def _any_of(words: Mapping[str, int], before: str) -> re.Pattern[str] | None:
    if not words:
        return None
    ordered = sorted(words, key=lambda word: (-len(word), word))
    parts = [re.escape(w) + (r"(?!\w)" if w[-1].isascii() and w[-1] != " " else "") for w in ordered]
    start = "" if before else r"(?<![A-Za-z])"
    return re.compile(rf"{before}{start}({'|'.join(parts)})", re.IGNORECASE)


_MARKS = {"٫": ".", "٬": ",", "，": ",", "．": "."}
"""The Arabic marks, and the wide ones."""


def _ascii(token: str) -> str:
    if token.isascii():
        return token
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else _MARKS.get(c, c) for c in token)


def _plain(whole: str, fraction: str = "") -> str:
    whole, fraction = _ascii(whole).lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _times(value: str, scale: int) -> str:
    zeros = len(str(scale)) - 1
    if 10**zeros != scale:
        whole, _, fraction = value.partition(".")
        product = str(int(whole + fraction) * scale) if len(value) < 40 else value
        cut = len(product) - len(fraction)
        return _plain(product[:cut], product[cut:])
    whole, _, fraction = value.partition(".")
    fraction = fraction.ljust(zeros, "0")
    return _plain(whole + fraction[:zeros], fraction[zeros:])


def _sum(left: str, right: str) -> str:
    if "." in left or "." in right or len(left) > 40 or len(right) > 40:
        return left
    return str(int(left) + int(right))


def difference(
    source: str, translation: str, sources: NumberFormat, targets: NumberFormat, spelled_most: int = 12
) -> tuple[list[str], list[str]]:
    """The numbers that `translation` lacks, and those it has beyond the source's, as multisets.

    A number of the translation may be written as its language does, or as the source does: a copy is not a change. What
    one side writes in digits the other may write as a word, which is looked up where words are known. Where they are
    not, a small number may be missing, or may be new; but if some are missing and others are new, numbers were changed.

    Args:
        spelled_most: Up to this a number counts as small.
    """
    if not DIGIT.search(source) and not DIGIT.search(translation):
        return [], []
    needed = sources.values(source)
    given = targets.values(translation, sources)
    if needed == given or sources.values(translation) == needed:
        return [], []
    lacking, extra = _unmatched(needed, given)
    changed = bool(lacking and extra)
    if lacking or extra:
        here = sources.spelled(source) + _romans(source) + Counter(c.translate(_POWERS) for c in source if c in "²³")
        there = targets.spelled(translation) + _romans(translation)
        apart = targets.spelled(translation, apart=True) + _romans(translation)
        lacking, extra = _unexplained(lacking, there - here), _unexplained(extra, here - apart)
    if lacking and extra:
        lacking, extra = _otherwise(source, lacking, extra)
    if lacking and extra and {"0"} >= frozenset().union(*lacking) and {"1"} >= frozenset().union(*extra):
        return [], []
    small = ALWAYS if changed else _up_to(spelled_most)
    if not lacking:
        extra = _beyond(extra, ALWAYS if sources.words else small)
    elif not extra:
        lacking = _beyond(lacking, ALWAYS if targets.words else small)
    return [_shown(v) for v in lacking], [_shown(v) for v in extra]


ALWAYS = frozenset({"0", "1"})
"""11:00 may become 11 o'clock, and "a day" 1 day."""


@cache
def _up_to(most: int) -> frozenset[str]:
    return frozenset(map(str, range(most + 1)))


AFTERNOON = re.compile(r"\d\s?p\.?\s?m\b", re.IGNORECASE)


def _otherwise(
    source: str, lacking: list[frozenset[str]], extra: list[frozenset[str]]
) -> tuple[list[frozenset[str]], list[frozenset[str]]]:
    """Without hours of the afternoon that are told by the other clock, and without decades: 4 p.m. and 16, 1970s and 70."""
    afternoon = AFTERNOON.search(source) is not None
    left = list(extra)
    missing = []
    for values in lacking:
        number = int(min(values)) if all(v.isdigit() and len(v) <= 4 for v in values) else 0
        other = (
            number + 12 if afternoon and 1 <= number <= 11 else number % 100 if number > 1000 and not number % 10 else 0
        )
        same = next((v for v in left if str(other) in v), None) if other else None
        if same is None:
            missing.append(values)
        else:
            left.remove(same)
    return missing, left


def _unexplained(numbers: list[frozenset[str]], words: Counter[str]) -> list[frozenset[str]]:
    """Without those that the other side says in words; each word stands for one number."""
    left = []
    for values in numbers:
        known = next((value for value in sorted(values) if words[value] > 0), None)
        if known is None:
            left.append(values)
        else:
            words[known] -= 1
    return left


def _beyond(numbers: list[frozenset[str]], known: Set[str]) -> list[frozenset[str]]:
    return [values for values in numbers if not values & known]


ROMAN = re.compile(r"(?<![A-Za-z])(?=[IVXL])(X{0,3}L?X{0,3})(I{0,3}[VX]?I{0,3})(?=(?:e|er|ème|th)?(?![A-Za-z]))")
"""Up to 89: centuries and kings, XVIIIe siècle."""
WORTH = {"I": 1, "V": 5, "X": 10, "L": 50}


def _romans(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for match in ROMAN.finditer(text):
        signs = [WORTH[sign] for sign in match[1] + match[2]]
        if signs:
            pairs = zip(signs, [*signs[1:], 0], strict=True)
            found[str(sum(-one if one < after else one for one, after in pairs))] += 1
    return found


def _unmatched(
    needed: list[frozenset[str]], given: list[frozenset[str]]
) -> tuple[list[frozenset[str]], list[frozenset[str]]]:
    """What is left on both sides when equal values are paired, those with the fewest readings first."""
    waiting: dict[str, list[int]] = {}
    for place in sorted(range(len(needed)), key=lambda at: -len(needed[at])):  # 48 is not taken by a 4 dozen
        for value in needed[place]:
            waiting.setdefault(value, []).append(place)
    open_ = set(range(len(needed)))
    extra = []
    for values in sorted(given, key=len):
        for value in sorted(values):
            places = waiting.get(value, [])
            while places and places[-1] not in open_:
                places.pop()
            if places:
                open_.remove(places.pop())
                break
        else:
            extra.append(values)
    return [needed[place] for place in sorted(open_)], extra


def _shown(values: frozenset[str]) -> str:
    return min(values, key=lambda value: (len(value), value))[:40]
