"""Comments and docstrings of fenced code as segments, for those who want them translated.

    ```py\n# Sum of all.\nx = "# no"\n```  ->  fence "```py\n# ", comment "Sum of all.", fence "\nx = \"# no\"\n```"

What is told by the fence's language: where comments begin, and that Python's docstrings are some. Strings are passed
over, so a sign inside one begins nothing. Code of an unknown language is left whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tracemill.segments.code_lines import is_code
from tracemill.segments.masks import has_words
from tracemill.segments.segment import Segment

STRING = r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?"
"""A string, or one that its line does not close: it is consumed to the end, so that the time stays linear."""
TRIPLE = r"\"\"\"[\s\S]*?(?:\"\"\"|\Z)|'''[\s\S]*?(?:'''|\Z)"
BLOCK = r"/\*[\s\S]*?(?:\*/|\Z)"
FAMILIES = {
    "python py python3": re.compile(rf"(?P<doc>{TRIPLE})|{STRING}|(?P<comment>#[^\n]*)"),
    "ruby rb sh bash zsh shell yaml yml r perl toml julia makefile dockerfile": re.compile(
        rf"{STRING}|(?P<comment>(?<![^\s;])#[^\n]*)"
    ),
    "c cpp c++ h hpp java js javascript ts typescript jsx tsx go golang rust rs swift kotlin scala php cs csharp c# dart":
        re.compile(rf"{STRING}|`[^`]*`?|(?P<comment>//[^\n]*|{BLOCK})"),
    "css scss": re.compile(rf"{STRING}|(?P<comment>{BLOCK})"),
    "sql lua haskell hs elm": re.compile(rf"{STRING}|(?P<comment>--[^\n]*|{BLOCK})"),
}  # fmt: skip
BY_LANGUAGE = {name: pattern for names, pattern in FAMILIES.items() for name in names.split()}

LEAD = re.compile(r"[ \t]*(?:\"\"\"|'''|/\*+!?|//+!?|#+|--+|\*+(?!/)|(?:[-*]|\d{1,3}[.)])(?=[ \t]))?[ \t]*")
MACHINE = re.compile(r"noqa|type:|pylint|pragma|eslint|!|-\*-|@\w|>>>|\.\.\. ")
"""Beginnings of comments that tools read, and of examples."""


def in_code(block: str, language: str) -> list[Segment]:
    """The segments of a fenced block with its fences: comments are translatable, all else is not.

    Args:
        language: What the opening fence says, in small letters.
    """
    pattern = BY_LANGUAGE.get(language)
    if pattern is None:
        return [Segment("fence", block)]
    out: list[Segment] = []
    begin = 0
    for start, end in _prose(block, pattern, block.find("\n") + 1):
        if start > begin:
            out.append(Segment("fence", block[begin:start]))
        out.append(Segment("comment", block[start:end], True))
        begin = end
    if begin < len(block):
        out.append(Segment("fence", block[begin:]))
    return out


def _prose(block: str, pattern: re.Pattern[str], at: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each line of prose in a comment or docstring."""
    for match in pattern.finditer(block, at):
        kind = match.lastgroup
        if kind is None or (kind == "doc" and block[block.rfind("\n", 0, match.start()) + 1 : match.start()].strip()):
            continue
        start = match.start()
        example = False
        for line in match.group().splitlines(keepends=True):
            lead = LEAD.match(line)
            assert lead is not None
            text = _without_close(line[lead.end() :])
            example = bool(text) and (example or text.startswith(">>>"))
            if not example and not MACHINE.match(text) and has_words(text) and not is_code(text):
                yield start + lead.end(), start + lead.end() + len(text)
            start += len(line)


def _without_close(text: str) -> str:
    text = text.rstrip()
    for mark in ("*/", '"""', "'''"):
        text = text.removesuffix(mark)
    return text.rstrip("* \t") if text.endswith("*") else text.rstrip()
