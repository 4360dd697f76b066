r"""Parts of a message that run over several lines and are never sent: fenced code, display math, JSON.

Each function is asked at the beginning of a line and answers with the number of the line behind the part, or 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tracemill.segments.inline_json import MOST_FAILURES, value_end

CONTAINER = r"[ \t]*(?:(?:>|[-*+]|\d{1,9}[.)])[ \t]+|>)*[ \t]*"
"""What may stand before a fence: indentation, quote marks, list bullets."""
FENCE = re.compile(rf"{CONTAINER}(?P<marks>`{{3,}}(?=[^`]*$)|~{{3,}})[ \t]*(?P<info>[^\s`{{]*)")
CLOSING = re.compile(r"[ \t>]*(?P<marks>`{3,}|~{3,})\s*$")
NESTING = frozenset({"markdown", "md", "mdx"})
"""Languages whose code may hold fences of its own; there, inner fences of the same length are counted."""

ENVIRONMENT = re.compile(
    r"\\begin\{((?:equation|align|alignat|aligned|gather|gathered|multline|eqnarray|flalign|math|displaymath|array|cases"
    r"|[bBpvV]?matrix|smallmatrix|split|subequations|tabular|tabularx|tikzpicture|verbatim|lstlisting|minted"
    r"|algorithm|algorithmic|dcases|rcases|CD)\*?)\}"
)
"""Environments without prose. `itemize`, `theorem` and their like hold prose: there only the commands are masked."""
MATH_OPEN = re.compile(rf"\$\$|\\\[|{ENVIRONMENT.pattern}")


def fence_info(line: str) -> str | None:
    """The first word after the marks of an opening fence ("python", "" where there is none); None if it is no fence."""
    found = FENCE.match(line)
    return None if found is None else found["info"].lower()


def fence_end(lines: Sequence[str], first: int) -> int:
    """The line behind the fenced code that opens at `first`, or 0; one that is never closed runs to the end.

    Source: CommonMark 4.5, with any indentation, since code stands in lists of any depth.
    """
    found = FENCE.match(lines[first].rstrip())
    if found is None:
        return 0
    marks, depth = found["marks"], 0
    nests = found["info"].lower() in NESTING
    for index in range(first + 1, len(lines)):
        line = lines[index]
        if marks[:3] not in line:
            continue
        closing = CLOSING.match(line)
        if closing and closing["marks"][0] == marks[0] and len(closing["marks"]) >= len(marks):
            if not depth:
                return index + 1
            depth -= 1
        elif nests and (inner := FENCE.match(line.rstrip())) and inner["info"] and inner["marks"] == marks:
            depth += 1
    return len(lines)


class Maths:
    """Finds where display math ends; remembers what it has looked for in vain, so that all questions cost linear time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._absent: dict[str, int] = {}

    def end(self, opening: re.Match[str]) -> int:
        r"""Where the math ends that `opening`, a match of `MATH_OPEN` in the text, begins; -1 if it is never closed.

        `$$` does not reach over a blank line, as in TeX, and `\[` not over another `\[`: what is left open by mistake
        must not swallow prose.
        """
        mark, start = opening.group(), opening.end()
        if mark == "$$":
            end = self._find("$$", start)
            return -1 if end < 0 or _blank_line(self._text, start, end) else end + 2
        if mark == "\\[":
            end = self._find("\\]", start)
            return -1 if end < 0 or self._text.find("\\[", start, end) >= 0 else end + 2
        closing = f"\\end{{{opening[1]}}}"
        end = self._find(closing, start)
        return -1 if end < 0 else end + len(closing)

    def _find(self, what: str, start: int) -> int:
        if start >= self._absent.get(what, len(self._text) + 1):
            return -1
        found = self._text.find(what, start)
        if found < 0:
            self._absent[what] = start
        return found


_BLANK = re.compile(r"\n[ \t\r]*\n")


def _blank_line(text: str, start: int, end: int) -> bool:
    return _BLANK.search(text, start, end) is not None


class Json:
    """Finds JSON that begins and ends with a line, and is an object or an array."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._again = 0
        self._failures = 0

    def end(self, start: int) -> int:
        """Where the value ends that begins at `start`, a comma behind it included; -1 if it is none, or the line goes on."""
        if start < self._again or self._failures >= MOST_FAILURES:
            return -1
        end, self._again = value_end(self._text, start)
        if end < 0:
            self._failures += 1
            return -1
        end += self._text.startswith(",", end)
        rest = self._text[end : end + 200].split("\n", 1)[0]
        return -1 if rest.strip() or len(rest) == 200 else end
