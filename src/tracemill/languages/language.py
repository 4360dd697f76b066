"""What is known of one language. Each figure in the files names where it was measured."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tracemill.recipe.parts import Model, Share, at_key
from tracemill.segments.scripts import SCRIPTS, letters

Code = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Sign = Annotated[str, Field(min_length=1, max_length=3)]
Bleu = Literal["13a", "intl", "zh", "char", "ja-mecab", "ko-mecab", "none"]
SLACK = 10
"""Characters of English that bounds are wider at either end, so that a word of two letters has any."""


def _script(name: str) -> str:
    if name not in SCRIPTS:
        raise ValueError(f"it must be a script that we know: {', '.join(SCRIPTS)}")
    return name


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"it must be a regular expression ({exc})") from None
    return text


Script = Annotated[str, AfterValidator(_script)]
Pattern = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_pattern)]


class Numbers(Model):
    """How numbers are written."""

    decimal: Sign
    """What stands before the decimals: "," in 3,5."""
    groups: tuple[Sign, ...] = ()
    """What may stand between groups of digits; the first is the usual one."""
    digits: tuple[Sign, ...] = ()
    """The zero of every other set of ten digits in use, such as "０" or "٠"; the nine that follow are implied."""
    words: dict[str, int] = {}
    """Words and signs that multiply the number before them: 万 is 10000."""
    spelled: dict[str, int] = {}
    """Words that stand for a number: a translation may write them in digits. Larger ones are put together of these and
    of `words`, as in twenty-five million; names of months count, since some languages number them."""


class Quotes(Model):
    """Quotation marks, in pairs."""

    outer: tuple[Sign, Sign]
    inner: tuple[Sign, Sign] | None = None
    others: tuple[tuple[Sign, Sign], ...] = ()
    """Further pairs that are met and right."""


class LengthBound(Model):
    """How long a translation from English is, in characters for each character of the English text."""

    above: Annotated[int, Field(ge=0)]
    """It holds for English texts of at least so many characters, up to the next bound."""
    least: Annotated[float, Field(gt=0)]
    most: Annotated[float, Field(gt=0)]


class RegisterMark(Model):
    """Words by which a register shows itself."""

    pattern: Pattern
    """A regular expression over the text, case kept."""
    note: str = ""


class Register(Model):
    """How a reader is addressed, and how that is seen."""

    wanted: Annotated[str, Field(min_length=1)]
    """What it is called, such as "vous"."""
    rule: Annotated[str, Field(min_length=1)]
    """The sentence for the translator."""
    wrong: tuple[RegisterMark, ...] = ()
    """What gives the other register away. None: it cannot be checked."""

    def breaches(self, text: str) -> list[str]:
        """What in `text` is in another register, as it stands there; empty if nothing is, or nothing can be seen."""
        return [found.group() for mark in self.wrong for found in re.finditer(mark.pattern, text)]


Unit = tuple[str, str, str, str]
"""A measure as English says it, one and many, and the metric one that stands in for it: mile, miles, kilometer, kilometers."""


class Currency(Model):
    """Money, as English writes it: a text is adapted before it is translated."""

    sign: Sign
    one: Annotated[str, Field(min_length=1)]
    many: Annotated[str, Field(min_length=1)]
    cents: bool = True
    """Whether it has hundredths; where it has none, amounts with cents stay as they are."""


class Culture(Model):
    """What stories for readers of this language are made of, as English writes it; see `translate.localise`."""

    she: tuple[str, ...] = ()
    """Given names of women, and of men: what is looked for in the source's file, what is put instead in the target's.
    Names that are words too, such as Mark or Grace, towns, or names of women and men alike, are left out."""
    he: tuple[str, ...] = ()
    currency: Currency | None = None
    metric: bool = False
    """Whether customary measures become metric ones."""
    units: dict[str, tuple[Unit, ...]] = {}
    """Of the source: its measures, by what they measure."""


class Language(Model):
    """One language. `tracemill.languages.data` holds those that we ship."""

    code: Code
    """ISO 639-1 where there is one, else 639-3; a region may follow."""
    name: Annotated[str, Field(min_length=1)]
    """In English, for prompts and tables."""
    own_name: Annotated[str, Field(min_length=1)]
    """As its speakers call it."""
    scripts: Annotated[tuple[Script, ...], Field(min_length=1)]
    """ISO 15924 codes of the scripts that its prose is written in."""
    direction: Literal["ltr", "rtl"] = "ltr"
    spaces: bool = True
    """Whether words are parted by spaces."""
    sentence_ends: str = ".!?…"
    """Characters that end a sentence."""
    foreign: Share = 0.05
    """The largest share of letters of other scripts that prose without its formulas and code may have."""
    numbers: Numbers
    quotes: Quotes
    lengths: Annotated[tuple[LengthBound, ...], Field(min_length=1)]
    """From short texts to long."""
    identified_as: Annotated[tuple[str, ...], Field(min_length=1)]
    """The labels of fastText's lid.176 that mean it; the first is its own."""
    bleu: Bleu = "13a"
    """How sacrebleu cuts it into words; `none` leaves BLEU out."""
    bleu_without: Bleu = "char"
    """The same where what that needs is not installed."""
    prompt: tuple[str, ...] = ()
    """Sentences that are added to the request of a translator."""
    register_: Annotated[Register | None, Field(alias="register")] = None
    culture: Culture | None = None
    """Left out: rows are not adapted to it."""

    @model_validator(mode="after")
    def _sorted(self) -> Self:
        starts = [bound.above for bound in self.lengths]
        if starts != sorted(set(starts)) or starts[0] != 0:
            raise at_key("lengths", "the bounds must begin with `above: 0` and go on to longer texts")
        for number, bound in enumerate(self.lengths):
            if bound.least >= bound.most:
                raise at_key(f"lengths.{number}.least", f"it must be smaller than most, {bound.most}")
        return self

    def length(self, characters: int) -> tuple[float, float]:
        """(least, most) characters that a translation of an English text of so many characters has."""
        bound = next(b for b in reversed(self.lengths) if b.above <= characters)
        return bound.least * (characters - SLACK), bound.most * (characters + SLACK)

    def own_letters(self, text: str) -> tuple[int, int]:
        """(letters of its own scripts, letters of any script that we know) in `text`."""
        found = letters(text)
        return sum(len(found.get(script, "")) for script in self.scripts), sum(map(len, found.values()))
