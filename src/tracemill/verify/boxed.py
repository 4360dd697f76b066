r"""Finding `\boxed{...}` in a text.

What it reads: `She earns \$12 * 50/60 = \boxed{10}.` gives `["10"]`.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)
"""What moves the depth, and what hides a brace: `\\.` swallows `\\{`, `\\}` and `\\\\`."""


def boxed(text: str) -> list[str]:
    r"""The contents of all balanced `\boxed{...}` in order, stripped of outer white space.

    Braces nest; escaped braces (`\{`, `\}`) do not count; white space may stand before the brace. A box that is never
    closed is not returned, but one inside it is; of boxes inside a closed box only the outer one is returned.
    Cost: linear in the text, whatever it holds.
    """
    opened: list[tuple[int, bool]] = []
    closed: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(text, _first(text)):
        match token.group()[-1]:
            case "{" if token.group() != "\\{":
                opened.append((token.end(), len(token.group()) > 1))
            case "}" if token.group() == "}" and opened:
                start, is_box = opened.pop()
                if is_box:
                    closed.append((start, token.start()))
    contents: list[str] = []
    covered = -1
    for start, end in sorted(closed):
        if start > covered:
            contents.append(text[start:end].strip())
            covered = end
    return contents


def _first(text: str) -> int:
    r"""Where the first box may begin; nothing before it can be part of one. Backslashes before it are its own context:
    `\\boxed` is a line break and a word.
    """
    start = text.find("\\boxed")
    if start < 0:
        return len(text)
    while start and text[start - 1] == "\\":
        start -= 1
    return start


def final_answer(content: str) -> str | None:
    r"""The last box of a visible answer, or None where there is none. An empty box gives "".

    Args:
        content: What a reader sees (`Message.content`); a trace is not an answer and must not be passed.
    """
    found = boxed(content)
    return found[-1] if found else None
