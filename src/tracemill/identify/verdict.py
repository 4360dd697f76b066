"""The verdict: an engine's candidates, believed or not.

Every threshold here was chosen on one half of the texts of `bench/identify.py`; docs/benchmarks.md has the figures of the
other half. On whole texts and sentences they cost nothing; they are there for headings, names and residues of formulas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tracemill.errors import MissingExtra
from tracemill.identify.engines import Candidate, Engine, fasttext, lingua
from tracemill.identify.prose import prose
from tracemill.languages import Language, codes, language
from tracemill.segments.scripts import LETTERS, SCRIPTS

SHORT = 50
"""Characters of prose under which a second opinion is heard: from there on fastText alone is right."""
LEAST_LETTERS = 12
"""Letters of prose under which nothing is said, one of Chinese, Japanese or Korean counting three. From 8 on 1.5 % of
pairs of words are called wrong, from 12 on 1.0 %, from 20 on none, but then 5 % of short sentences are not told either."""
LEAST_SCORE = 0.5
"""Probability from which fastText is believed about more than `SHORT` characters: 2 in 10,000 lines of FLORES are wrong
above it, and 5 in 10,000 are below it."""
ALONE = 0.9
"""The same for short texts where the second opinion is another, or knows not of that language."""
WITHOUT_SECOND = 0.8
"""The same for short texts where there is no second opinion."""
AGREED = 0.35
"""Probability from which fastText is believed about a short text where the second opinion is the same."""
CERTAIN = 0.95
"""Probability from which a second opinion that is another makes the matter undecided, however sure fastText is; and from
0.9 on, agreeing, it makes up for a fastText that is unsure."""
HAN_ALONE = 12
"""Chinese characters without any kana from which a text is not Japanese."""
LEAST_KANA = 0.05
"""Share of kana from which a text is not plainly Chinese, which has none but in quotations."""
_KANA = re.compile(f"[{SCRIPTS['Hira']}{SCRIPTS['Kana']}]")
_HAN = LETTERS["Hani"]
_WIDE = re.compile(f"[{SCRIPTS['Hira']}{SCRIPTS['Kana']}{SCRIPTS['Hani']}{SCRIPTS['Hang']}]")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which language a text is in."""

    language: str | None
    """Its code, or the engine's label where no language of ours is meant by it; None: no opinion."""
    score: float
    """How probable fastText holds its likeliest language, 0 to 1."""
    abstained: str = ""
    """Why there is no opinion: `short`, `unsure` or `divided`."""
    letters: int = 0
    """Letters of prose that were judged; one of Chinese, Japanese or Korean counts three."""

    def denies(self, code: str) -> bool:
        """Whether the text is in another language than `code`; who has no opinion denies nothing."""
        return self.language is not None and self.language != code


@dataclass(frozen=True)
class Identifier:
    """One way to tell languages: a first engine, and one to ask about short texts."""

    first: Engine
    second: Engine | None = None
    cut: Callable[[str], str] = prose
    """What of a text is judged, on one line."""

    @property
    def name(self) -> str:
        """The engines, for the record of a run: equal names give equal verdicts."""
        return self.first.name + (f"+{self.second.name}" if self.second else "")

    def __call__(self, text: str, among: Sequence[str | Language] | None = None) -> Verdict:
        """The language of the prose in `text`; see `identify`."""
        kept = self.cut(text)
        letters = weight(kept)
        if letters < LEAST_LETTERS:
            return Verdict(None, 0.0, "short", letters)
        meant = _meaning(tuple(each for each in among or () if isinstance(each, Language)))
        found = _by_code(self.first.candidates(kept, None), meant)
        if not found:
            return Verdict(None, 0.0, "unsure", letters)
        best, score = found[0]
        if best in ("ja", "zh") and (contrary := _against_script(best, kept)) is not None:
            return Verdict(contrary or None, score, "" if contrary else "divided", letters)
        if len(kept) >= SHORT:
            believed = score >= LEAST_SCORE
            return Verdict(best if believed else None, score, "" if believed else "unsure", letters)
        asked = [each.code if isinstance(each, Language) else each for each in among or ()]
        labels = [_label(each) for each in among or ()]
        rivals = _by_code(self.second.candidates(kept, labels), meant)[:1] if self.second and len(asked) > 1 else []
        why = _doubt(best, score, rivals, asked)
        return Verdict(None if why else best, score, why, letters)

    def confirms(self, text: str, verdict: Verdict, code: str, among: Sequence[str | Language] = ()) -> bool:
        """Whether the second engine, too, holds a text for the verdict's language rather than for `code`; asked before a
        line is refused. True where there is no second engine, or it knows not both languages.

        Args:
            among: Further languages in question.
        """
        if self.second is None or verdict.language is None:
            return True
        own = {each.code: each for each in among if isinstance(each, Language)}
        theirs, ours = (_label(own.get(each, each)) for each in (verdict.language, code))
        found = dict(self.second.candidates(self.cut(text), [theirs, ours, *map(_label, among)]))
        return theirs not in found or ours not in found or found[theirs] > found[ours]


def _label(one: str | Language) -> str:
    """What an engine calls a language."""
    return one.identified_as[0] if isinstance(one, Language) else one


def _against_script(best: str, kept: str) -> str | None:
    """What kana say against Japanese or Chinese: the other one, "" where that is only likely, None for nothing."""
    kana, han = len(_KANA.findall(kept)), len(_HAN.findall(kept))
    if best == "ja" and not kana:
        return "zh" if han >= HAN_ALONE else ""
    return "" if best == "zh" and kana > LEAST_KANA * (kana + han) else None


def _doubt(best: str, score: float, rivals: list[Candidate], asked: Sequence[str]) -> str:
    """Why fastText is not believed about a short text; "" where it is."""
    if not rivals:
        return "" if score >= WITHOUT_SECOND else "unsure"
    rival, certainty = rivals[0]
    if rival == best:
        return "" if score >= AGREED or certainty >= ALONE else "unsure"
    if score < ALONE:
        return "divided"
    return "divided" if best in asked and certainty >= CERTAIN else ""


def weight(text: str) -> int:
    """Letters in `text`; one of Chinese, Japanese or Korean stands for three, for it says about as much."""
    return len(_LETTER.findall(text)) + 2 * len(_WIDE.findall(text))


def _by_code(candidates: Sequence[Candidate], meant: Mapping[str, str]) -> list[Candidate]:
    """Candidates by our codes, likeliest first: labels that mean one language are added up."""
    sums: dict[str, float] = {}
    for label, probability in candidates:
        code = meant.get(label, label)
        sums[code] = sums.get(code, 0.0) + probability
    return sorted((Candidate(code, min(1.0, p)) for code, p in sums.items()), key=lambda each: -each.probability)


@cache
def _shipped_meaning() -> dict[str, str]:
    return {label: code for code in codes() for label in language(code).identified_as}


def _meaning(own: tuple[Language, ...]) -> Mapping[str, str]:
    """The code that each label means; a user's own languages come before ours."""
    if not own:
        return _shipped_meaning()
    return _shipped_meaning() | {label: each.code for each in own for label in each.identified_as}


def identify(text: str, among: Sequence[str | Language] | None = None) -> Verdict:
    """Tell the language of a text by its prose.

    Args:
        text: As it stands: formulas, code and addresses are set aside here. About the first 1,000 characters of prose
            are judged.
        among: Codes or languages that are likely: those of the run, its source among them. They help with texts under
            50 characters; any other language is still found. A user's own `Language` brings its labels along.
    Returns:
        A verdict without a language where too little prose is left, or the engines are not sure or not of one mind.
    Raises:
        MissingExtra: The model is not installed.
    """
    return identifier()(text, among)


@cache
def identifier() -> Identifier:
    """The usual one: fastText's lid.176.ftz, and lingua for short texts where it is installed.

    Which of the two it is stands in its name: a run that notes the name can be repeated elsewhere.
    """
    try:
        second: Engine | None = lingua()
    except MissingExtra:
        second = None
    return Identifier(fasttext(), second)
