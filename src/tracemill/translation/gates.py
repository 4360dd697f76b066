"""The gates of one segment: what the text alone tells, then what the language file and the identifier tell."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracemill.identify import identifier
from tracemill.languages import Language, codes
from tracemill.recipe import Gates
from tracemill.segments.gates import judge
from tracemill.segments.masks import Masked
from tracemill.segments.problem import REASONS, Problem
from tracemill.segments.rules import Rules

OWN_REASONS: dict[str, str] = {
    "truncated": "the reply was cut at its limit",
    "glossary": "a word of the glossary is translated otherwise",
    "register": "the reader is not addressed as the language file says",
    "language": "it is in another language",
    "back": "translated back, it says something else",
    "endpoint": "no model gave an answer that can be used",
    "localise": "the row cannot be adapted to the readers of the language",
    "memory": "no memory of translations has it, and no model may be asked",
    "trace": "the trace or a tool call is not that of the source",
}
LONG = 60
"""Letters of prose under which a segment is refused only as one of the run's languages, or another that we have a file for:
of a short line any engine may say that it is in a language that nobody asked for."""
SURE = 0.75
"""Probability under which a segment is not refused. Of 15,030 lines of GSM8K by Apertium, the right ones that were called
another language had 0.72 at most; whole messages are judged as `identify` does. The second engine must agree: of 2,400
lines of NTREX in eight other languages, whole or cut to 5 or 9 words, some 10 of about 5,500 refusals are lost by that."""
DROPS = frozenset({*REASONS, *OWN_REASONS})
"""Every reason for which a row may be dropped."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a translation is not taken."""

    reason: str
    detail: str


@dataclass(frozen=True)
class SegmentGates:
    """Judges the translations of one language.

    Args:
        among: The run's languages; of two that an engine cannot tell apart, the target comes last.
    """

    settings: Gates
    source: Language
    target: Language
    among: tuple[Language, ...]
    glossary: dict[str, str]
    rules: Rules

    def judge(self, masked: Masked, reply: str, *, bracketed: bool = True) -> str | Refused:
        """The translation with everything masked put back, or why it is refused."""
        text = judge(masked, reply, self.rules, bracketed)
        if isinstance(text, Problem):
            return Refused(text.reason, text.detail)
        for term, wanted in self.terms(masked.source).items():
            if wanted.casefold() not in text.casefold():
                return Refused("glossary", f"{term} is not translated as {wanted}")
        register = self.target.register_
        if self.settings.address and register is not None and (found := register.breaches(text)):
            return Refused("register", f"{register.wanted} is wanted, found {found[0]!r}")
        if self.settings.language and 3 * len(text) >= self.settings.language_letters:
            tell = identifier()
            verdict = tell(text, self.among)
            enough = verdict.letters >= self.settings.language_letters and verdict.score >= SURE
            known = verdict.language in (*codes(), *(each.code for each in self.among))
            denied = enough and (verdict.letters >= LONG or known) and verdict.denies(self.target.code)
            if denied and tell.confirms(text, verdict, self.target.code, self.among):
                return Refused("language", f"{verdict.language} ({verdict.score:.2f}) in {text[:80]!r}")
        return text

    def judge_own(self, masked: Masked, text: str) -> str | Refused:
        """The same for a translation whose spans stand in it as they are, as people write: spans that the source has
        must be there, byte for byte and as often.
        """
        return self.judge(masked, masked.hide(text), bracketed=False)

    def terms(self, text: str) -> dict[str, str]:
        """The words of the glossary that stand in a text."""
        if not self.glossary:
            return {}
        folded = text.casefold()
        return {
            term: wanted
            for term, wanted in self.glossary.items()
            if re.search(rf"(?<!\w){re.escape(term.casefold())}(?!\w)", folded)
        }
