r"""Steps that check multiple choice: the letter against the known one, or by the vote of samples of one prompt.

What they read: a sample whose `check["choices"]` is {"A": "amnion", "B": "chorion", ...}, and whose last message says the
letter, or the text of the option, in one of many forms: `\boxed{A}`, "The answer is (A)", "**Antwort:** A) amnion".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from tracemill.record import Sample
from tracemill.step import Drop
from tracemill.verify.answers import normal_text
from tracemill.verify.stated import TAIL, stated, visible
from tracemill.verify.votes import DROPS, check_threshold, counted, passed, short

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FRAME = re.compile(
    r"\\(?:text|textbf|mathrm|mathbf|mathsf|boldsymbol|bf|rm)\s*\{([^{}]*)\}|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}"
)
_LEAD = re.compile(
    r"^\s*(?:(?:the|la|le|die|der|il|lo)\s+)?(?:(?:correct|right|richtige)\s+)?"
    r"(?:(?<=[a-z]\s)(?=[A-Z](?!\w))|option|choice|letter|answer|antwort|réponse|respuesta|risposta|opción|opzione|lettre|letra|lettera"
    r"|buchstabe|選択肢|选项|보기)\s*(?:is\s+)?[:：]?\s*",
    re.IGNORECASE,
)
_LETTER = re.compile(r"^[(\[{]?\s*([A-Za-z])(?P<closed>\s*[)\]}])?(?P<after>.*)$", re.DOTALL)
_BETWEEN = re.compile(r"^\s*(?:$|[.)\]:;,、。!?–—-]|\\\)|\$)")
_GOES_ON = re.compile(
    r"^\s+(?:because|since|as|which|with|for|from|that|and so|\(|denn|weil|da|car|parce|puisque|porque|ya que|perché|in quanto"
    r"|is|are|ist|est|es|è)(?!\w)|^\s*(?:です|が|は|입니다|이)",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"^\s*[)\]]?\s*(?:,|/|&|\band\b|\bor\b|\bund\b|\boder\b|\bet\b|\bou\b|\by\b|\bo\b|\be\b|と|か)\s*[(\[]?([A-Z])(?![\w'’])"
)
_DRESSED = r"[(*]{0,3}([A-Z])[)*]{0,3}"
_SENTENCES = (
    re.compile(
        r"(?:^|[\s*(])(?:option|choice|opción|opzione|antwort|réponse|respuesta|risposta|選択肢)?\s*"
        + _DRESSED
        + r"\s+(?:is|would be|ist|est|es|è)\s+(?:the\s+|die\s+|la\s+)?(?:only\s+)?"
        r"(?:correct|right|best|richtig\w*|korrekt\w*|bonne|correcte|correcta|corretta|giusta)"
    ),
    re.compile(
        r"(?:choose|select|pick|go with|wähle|choisis|choisissons|elijo|scelgo)\s+(?:option\s+|answer\s+)?"
        + _DRESSED
        + r"(?![\w'’])"
    ),
)
_NEGATED = re.compile(r"^\s*(?:not|nicht|pas|non|no)(?![\w-])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ChoiceAnswer:
    """Keep a sample whose answer names the expected letter."""

    name: ClassVar[str] = "verify_choices"
    drops: ClassVar[frozenset[str]] = frozenset({"no_choice", "wrong_choice"})

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        choices = choices_of(sample)
        found = chosen(visible(sample), choices)
        if found is None:
            return _no_choice(sample)
        expected = letter_of(sample.expected or "", choices)
        if found == expected:
            return passed(sample, self.name, f"{found}: {short(choices[found])}")
        wanted = f"{expected}: {short(choices[expected])}" if expected else short(repr(sample.expected))
        return Drop("wrong_choice", f"expected {wanted}, found {found}: {short(choices[found])}")


@dataclass(frozen=True, slots=True)
class ChoiceMajority:
    """Keep the samples of one prompt that choose as most of the others do, where nobody knows the answer.

    Args:
        threshold: The least share of the samples asked for that must agree, over 0 and at most 1; a tie is dropped.
            (The published filter of OpenScience resolves ties by the alphabet, which keeps wrong answers.)

    Raises:
        RecipeError: The threshold is out of range.
    """

    threshold: float
    name: ClassVar[str] = "verify_choices"
    drops: ClassVar[frozenset[str]] = DROPS | {"no_choice"}

    def __post_init__(self) -> None:
        check_threshold(self.name, self.threshold)

    async def __call__(self, samples: Sequence[Sample], asked: int, /) -> Sequence[Sample | Drop]:
        """One result per sample, in order."""
        found = [chosen(visible(sample), choices_of(sample)) or _no_choice(sample) for sample in samples]
        letters = {letter: letter for letter in found if isinstance(letter, str)}
        return counted(self.name, samples, found, letters, asked, self.threshold)


def choices_of(sample: Sample) -> Mapping[str, str]:
    """The options of a sample by letter; none where it has none."""
    told = sample.check.get("choices")
    return {str(k): str(v) for k, v in told.items()} if isinstance(told, Mapping) else {}


def chosen(content: str, choices: Mapping[str, str]) -> str | None:
    """The letter that a visible answer settles on, or None where it names none, or more than one.

    The last box counts before the last "the answer is", that before "B is correct", that before a last line that holds
    a letter or an option's text and nothing else.
    """
    said = stated(content)
    if said is not None and said.how != "line":
        found = letter_of(said.text, choices)
        if found or said.how == "box":
            return found
    tail = unicodedata.normalize("NFKC", content[-TAIL:])
    named = [(m.start(1), m[1]) for pattern in _SENTENCES for m in pattern.finditer(tail) if m[1] in choices]
    if named:
        return max(named)[1]
    last = content.rstrip().rpartition("\n")[2]
    return _by_text(last, choices) or (letter_of(said.text, choices) if said is not None else None)


def letter_of(text: str, choices: Mapping[str, str]) -> str | None:
    r"""The letter that a short text stands for: a letter in any dress ("(b)", "B.", "\text{B}", "Option B") or an
    option's text, with or without its letter before it. None where it is neither, or names two.
    """
    if whole := _by_text(text, choices):
        return whole
    flat = unicodedata.normalize("NFKC", text).strip()
    for _ in range(3):
        flat = _FRAME.sub(lambda m: m[1] or "", flat).strip().strip('$「」『』“”"').strip()
    by_text = _by_text(flat, choices)
    if by_text:
        return by_text
    short_text = _LEAD.sub("", flat, count=1)
    if _NEGATED.match(short_text):
        return None
    found = _LETTER.match(short_text)
    if found is None or found[1].upper() not in choices:
        return None
    letter, after, closed = found[1], found["after"], bool(found["closed"]) or short_text[:1] in "(["
    if (another := _SEVERAL.match(after)) and another[1] in choices and another[1] != letter:
        return None
    if not closed and not _BETWEEN.match(after) and not (letter.isupper() and _GOES_ON.match(after)):
        return None
    rest = re.sub(r"^[\s.):,;]*(?:[-–—]\s+)?", "", after).strip()
    said = _by_text(rest, choices) if rest else None
    return letter.upper() if said in (None, letter.upper()) else None


def _by_text(text: str, choices: Mapping[str, str]) -> str | None:
    """The one option whose text this is."""
    if not text:
        return None
    for spelt in (str.strip, normal_text, lambda told: normal_text(told).casefold()):
        same = [letter for letter, option in choices.items() if spelt(option) == spelt(text) != ""]
        if same:
            return same[0] if len(same) == 1 else None
    return None


def _no_choice(sample: Sample) -> Drop:
    said = stated(visible(sample))
    there = f"it says {short(said.text)!r}" if said else "it states no answer"
    return Drop("no_choice", f"none of {', '.join(choices_of(sample))}: {there}")
