"""What a gate finds wrong with a translation: a declared word, and evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Reason = Literal[
    "brackets", "empty", "placeholders", "residue", "lines", "structure", "numbers", "letters", "length", "copied",
    "script", "protected",
]  # fmt: skip

REASONS: dict[str, str] = {
    "brackets": "the reply is not wrapped in one pair of 〘〙",
    "empty": "nothing is left of the text",
    "placeholders": "a placeholder is missing, doubled, new, or out of any sane order",
    "residue": "a bracket, a placeholder, a chat token or a control character is left over",
    "lines": "it has not as many lines as the source",
    "structure": "it begins as another kind of line, or opens a fence",
    "numbers": "the numbers are not those of the source",
    "letters": "the option letters or the boxes are not those of the source",
    "length": "it is too long or too short for the source",
    "copied": "the source was copied, or a part of it",
    "script": "letters of a script that the language is not written in",
    "protected": "code, formulas or addresses of the message are not those of the source",
}
"""Every reason that a gate may give, and what it means."""

assert set(REASONS) == set(get_args(Reason))


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a translation was refused."""

    reason: Reason
    detail: str
    """Evidence for a reader, such as "18 became 81"."""
