r"""What an answer says in the end: the last box, else what follows the last "the answer is", in several languages.

"... so the flux is \boxed{9.8 \text{ m/s}^2}."      9.8 \text{ m/s}^2
"... **Die Antwort ist 3,5 cm.**"                    3,5 cm
"... したがって、答えは 12 m です。"                     12 m
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tracemill.record import Sample
from tracemill.verify.boxed import boxed

TAIL = 4_000
"""Characters from the end in which a statement is looked for: an answer comes last."""

_NOUN = (
    r"(?:(?:final|correct|right|best|overall)\s+)*(?:answer|choice|option|solution|result)"
    r"|(?:(?:richtige|korrekte|endgültige)\s+)*(?:antwort|lösung|ergebnis|endergebnis|option)"
    r"|(?:bonne\s+)?(?:réponse|résultat|solution|option)(?:\s+(?:finale|correcte|exacte))*"
    r"|(?:respuesta|resultado|solución|opción)(?:\s+(?:final|correcta))*"
    r"|(?:risposta|risultato|soluzione|opzione)(?:\s+(?:finale|corretta|esatta|giusta))*"
)
_BE = (
    r"(?:\s+(?:is|are|was|would be|must be|lautet|ist|wäre|beträgt|est|es|è|sera|sería)\b"
    r"(?:\s+(?:thus|therefore|then|also|donc|pues))?)"
)
_STATED = re.compile(
    rf"(?:(?:^|(?<=[\s*_#(\"'’`-]))(?:{_NOUN})(?![^\W\d_])[*_]*(?:\s+(?:to|for|of)\s+[^.\n:]{{1,60}}?)?"
    rf"(?:{_BE}\s*[*_]*\s*[:：=]?|\s*[*_]*\s*[:：=])"
    r"|(?:答え|正解|解答|最終的な答え|答案|正确答案|정답|답)[*_]*\s*(?:は|が|是|为|은|는)?[、,]?\s*[:：=]?"
    r")[ \t*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_END = re.compile(
    r"\n|(?<=[^\W\d])[.!?](?=\s+[A-ZÀ-Ý]|\s*$)|(?<=[\d)\]}$%°*])[.!?](?=\s|[*_]*$)|(?:です|である|입니다)?。|\s*です"
)


class Stated(NamedTuple):
    """What was said, and how: "box", "words" or "line"."""

    text: str
    how: str


def stated(content: str) -> Stated | None:
    """The answer that a visible text states, or None where it states none.

    An empty box gives "". A last line of at most 40 characters is taken for the answer where nothing introduces one.
    Cost: linear in the text.
    """
    found = boxed(content)
    if found:
        return Stated(found[-1], "box")
    tail = content[-TAIL:].rstrip()
    said = said_last(tail)
    if said:
        return Stated(said, "words")
    line = tail.rpartition("\n")[2].strip().strip("*_ ")
    return Stated(line, "line") if 0 < len(line) <= 40 else None


def said_last(tail: str) -> str | None:
    """What follows the last phrase that introduces an answer, up to the end of its sentence."""
    for match in reversed(list(_STATED.finditer(tail))):
        rest = tail[match.end() :].lstrip(" \t")
        if rest.startswith("\n"):
            rest = rest.lstrip()
        end = _END.search(rest)
        text = (rest[: end.start()] if end else rest).strip().strip("*_ ")
        if text:
            return text
    return None


def visible(sample: Sample) -> str:
    """What the assistant's last message shows; its trace is no answer."""
    spoken = [message.content for message in sample.messages if message.role == "assistant"]
    return spoken[-1] if spoken else ""
