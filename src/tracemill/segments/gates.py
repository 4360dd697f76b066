"""What text alone can tell of a bad translation of one segment. Each gate is a pure function: a pair and rules in, a
problem or None out.

What text alone cannot tell: whether a fluent line of a fair length in the right language, with the right numbers and
placeholders, says what the source says. A model that answers a question, or obeys an instruction that it should have
translated, is seen here only if that changes length, numbers, letters or placeholders, or copies the source. Language
identification and translating back see more; both stand above this room.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from tracemill.legible import quoted
from tracemill.segments import brackets
from tracemill.segments.copies import copied_share
from tracemill.segments.masks import PLACEHOLDER, Masked, bare
from tracemill.segments.numbers import difference
from tracemill.segments.problem import Problem
from tracemill.segments.rules import Rules
from tracemill.segments.scripts import letters, only_latin


@dataclass(frozen=True, slots=True)
class Pair:
    """A segment and its translation, both masked, and both without placeholders."""

    masked: Masked
    translation: str
    """As it was sent back, out of its brackets, with placeholders."""
    source_bare: str
    target_bare: str


def pair(masked: Masked, translation: str) -> Pair:
    return Pair(masked, translation, bare(masked.text), bare(translation))


Gate = Callable[[Pair, Rules], Problem | None]


def empty(pair: Pair, rules: Rules) -> Problem | None:
    """Nothing came."""
    if pair.translation.strip() or not pair.masked.text.strip():
        return None
    return Problem("empty", "the translation is empty")


def placeholders(pair: Pair, rules: Rules) -> Problem | None:
    """Each placeholder once; an opening tag still before its closing one; and not all of them the other way round.

    Word order differs between languages, so any but a wild order passes: of five and more, more than
    `rules.disorder_most` of all pairs have changed places.
    """
    masked = pair.masked
    if (problem := masked.problem(pair.translation)) is not None:
        return problem
    if len(masked.spans) < 2:
        return None
    order = [int(number) for number in PLACEHOLDER.findall(pair.translation)]
    place = {number: at for at, number in enumerate(order)}
    for opening, closing in _tag_pairs(masked):
        if place[opening] > place[closing]:
            return Problem("placeholders", f"{closing} closes the tag {opening} before it is opened")
    if 5 <= len(order) <= 200:
        swapped = sum(a > b for a, b in combinations(order, 2)) / (len(order) * (len(order) - 1) / 2)
        if swapped > rules.disorder_most:
            return Problem("placeholders", f"the order is {', '.join(map(str, order[:8]))}")
    return None


def _tag_pairs(masked: Masked) -> list[tuple[int, int]]:
    """The numbers of placeholders that are an opening tag or brace and the one that closes it."""
    pairs, opened = [], []
    for number, (span, kind) in enumerate(zip(masked.spans, masked.kinds, strict=True), 1):
        if kind == "prose_latex":
            name, closes = "}", span == "}"
        elif kind == "tag" and (found := re.match(r"<(/?)([A-Za-z][\w:.-]*)", span)) and not span.endswith("/>"):
            name, closes = found[2], bool(found[1])
        else:
            continue
        if not closes:
            opened.append((name, number))
        elif opened and opened[-1][0] == name:
            pairs.append((opened.pop()[1], number))
    return pairs


CHAT = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?think>|\[/?INST\]|</?s>|<unk>|<pad>|�")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def residue(pair: Pair, rules: Rules) -> Problem | None:
    """A bracket, a mark of a chat template, a control character or U+FFFD that the source has not.

    Those of the source are masked, so whatever stands in the translation is new; U+FFFD is not, and is compared.
    """
    text = pair.translation
    if brackets.OPEN in text or brackets.CLOSE in text:
        return Problem("residue", f"a bracket is left in {quoted(text)}")
    if not text.isprintable() and (found := CONTROL.search(text)):
        return Problem("residue", f"a control character U+{ord(found.group()):04X}")
    if ("<" in text or "[" in text or "�" in text) and (found := CHAT.search(text)):
        if found.group() in pair.masked.text:
            return None
        return Problem("residue", f"{quoted(found.group())} is left over")
    return None


def lines(pair: Pair, rules: Rules) -> Problem | None:
    """As many lines as the source."""
    wanted, given = len(pair.masked.text.splitlines()), len(pair.translation.strip().splitlines())
    return None if wanted == given else Problem("lines", f"{wanted} became {given}")


MARKUP = re.compile(r"(#{1,6}|[-*+]|>)[ \t]|```|~~~|\|")


def structure(pair: Pair, rules: Rules) -> Problem | None:
    """It begins as no other kind of line than the source, and holds no fence, pipe or tab of its own."""
    source, target = pair.masked.text, pair.translation
    found = MARKUP.match(target.lstrip())
    if found and not source.startswith(found.group().rstrip()):
        return Problem("structure", f"it begins with {quoted(found.group().strip())}")
    for sign in ("```", "~~~", "|", "\t"):
        if sign in target and target.count(sign) > source.count(sign):
            return Problem("structure", f"{quoted(sign)} is new")
    return None


def numbers(pair: Pair, rules: Rules) -> Problem | None:
    """The same numbers, as often, in any order; each as its language writes it. Signs before a number do not count."""
    lacking, extra = difference(pair.source_bare, pair.target_bare, rules.source, rules.target, rules.spelled_most)
    if not lacking and not extra:
        return None
    return Problem("numbers", "; ".join([*([f"lacks {', '.join(lacking[:5])}"] if lacking else []),
                                         *([f"has {', '.join(extra[:5])}"] if extra else [])]))  # fmt: skip


OPTION = re.compile(r"(?<![\w°])(?<!\d )[(（]([A-Ja-jＡ-Ｊ])[)）]")
HALF = re.compile(r"(?<![\w°])([A-JＡ-Ｊ])[)）]")
LAST = re.compile(r"(?<![A-Za-z])(?<![A-Za-z]\.)([B-DF-HJ])\W{0,4}$")
"""A single letter at the end of a line: the answer is C; but not that of an abbreviation, as in A.D."""


def option_letters(pair: Pair, rules: Rules) -> Problem | None:
    """The same letters of options, (A) or B), and the single letter that ends the source somewhere."""
    source, target = pair.source_bare, pair.target_bare
    wanted, given = _options(source), _options(target)
    if wanted != given:
        return Problem("letters", f"{_listed(wanted)} became {_listed(given)}")
    last = LAST.search(source[-8:])
    if last and not re.search(rf"(?<![A-Za-z]){last[1]}(?![A-Za-z])", _narrow(target)):
        return Problem("letters", f"{last[1]} is gone")
    return None


def _options(text: str) -> Counter[str]:
    if ")" not in text and "）" not in text:
        return Counter()
    found = OPTION.findall(text)
    if not found and "(" not in text and "（" not in text:
        found = HALF.findall(text)
    return Counter(map(_narrow, found))


_NARROW = {ord("Ａ") + at: chr(ord("A") + at) for at in range(26)}


def _narrow(text: str) -> str:
    return text if text.isascii() else text.translate(_NARROW)


def _listed(found: Counter[str]) -> str:
    return ", ".join(sorted(found.elements())[:8]) or "none"


def length(pair: Pair, rules: Rules) -> Problem | None:
    """As many characters as a translation may have, placeholders apart."""
    source, target = len(pair.source_bare.strip()), len(pair.target_bare.strip())
    least, most = rules.length(source)
    if least <= target <= most:
        return None
    return Problem("length", f"{source} characters became {target}, not {max(0, least):.0f} to {most:.0f}")


def copied(pair: Pair, rules: Rules) -> Problem | None:
    """Not the source itself, nor a good part of it; nothing is said of short lines and of names."""
    share = copied_share(pair.source_bare, pair.target_bare)
    if share is None or share <= rules.copied_most:
        return None
    return Problem("copied", f"{share:.0%} of the source's runs of words stand in it")


LOWER = re.compile(r"(?<![A-Za-z])[a-zà-öø-ÿ]{3,}")


def script(pair: Pair, rules: Rules) -> Problem | None:
    """Written in the letters of its language. Those of the source may stay, and so may Greek ones: they are signs."""
    if "Latn" in rules.scripts and not rules.needs and only_latin(pair.target_bare):
        return None
    held = letters(pair.target_bare)
    total = sum(map(len, held.values()))
    there = set(pair.source_bare)
    for name, found in held.items():
        if name in rules.scripts or name == "Grek":
            continue
        if name == "Latn":
            low = sum(map(len, LOWER.findall(pair.target_bare)))
            if low >= 8 and low > rules.latin_most * total:
                return Problem("script", f"{low} of {total} letters stand in Latin words")
            continue
        new = [c for c in found if c not in there]
        if new:
            return Problem("script", f"{name} letters: {''.join(new[:8])}")
    if rules.needs and total >= 15 and not rules.needs & held.keys():
        return Problem("script", f"{total} letters, none of them {' or '.join(sorted(rules.needs))}")
    return None


GATES: tuple[Gate, ...] = (
    empty, placeholders, residue, lines, structure, numbers, option_letters, length, copied, script,
)  # fmt: skip
"""In the order in which they are asked: what is certain before what is likely."""


def check(masked: Masked, translation: str, rules: Rules, gates: Sequence[Gate] = GATES) -> Problem | None:
    """The first problem of a translation that is still masked and out of its brackets; None if no gate finds one."""
    both = pair(masked, translation)
    for gate in gates:
        if (problem := gate(both, rules)) is not None:
            return problem
    return None


def check_all(masked: Masked, translation: str, rules: Rules, gates: Sequence[Gate] = GATES) -> list[Problem]:
    """Every problem, for tables that count how often each gate alone would refuse."""
    both = pair(masked, translation)
    return [problem for gate in gates if (problem := gate(both, rules)) is not None]


def judge(masked: Masked, reply: str, rules: Rules, bracketed: bool = True) -> str | Problem:
    """A reply as the finished translation, unmasked and without brackets; or why it is refused.

    Args:
        bracketed: The reply must hold one pair of 〘〙; without, it is taken as it is, stripped.
    """
    inner = brackets.unwrap(reply) if bracketed else reply.strip()
    if isinstance(inner, Problem):
        return inner
    problem = check(masked, inner, rules)
    return problem if problem is not None else masked.unmask(inner)
