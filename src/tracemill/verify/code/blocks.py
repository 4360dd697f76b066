"""Fenced blocks of code in an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tracemill.code_task import Language

NAMES: Mapping[str, Language] = {
    **dict.fromkeys(("python", "python3", "py", "py3"), "python"),
    **dict.fromkeys(("javascript", "js", "node", "jsx"), "javascript"),
    **dict.fromkeys(("typescript", "ts", "tsx"), "typescript"),
    "java": "java",
    "c": "c",
    **dict.fromkeys(("c++", "cpp", "cc", "cxx"), "cpp"),
    **dict.fromkeys(("go", "golang"), "go"),
    **dict.fromkeys(("rust", "rs"), "rust"),
}
"""What stands after a fence, in lower case."""
_FENCE = re.compile(r"^( {0,3}|[ \t]*)(`{3,}|~{3,})[ \t]*([^\s`{,]*)[^\n`]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    name: str
    """What stands after the opening fence, in lower case; "" where nothing does."""
    code: str
    closed: bool = True
    """Whether its fence is closed."""

    @property
    def language(self) -> Language | None:
        return NAMES.get(self.name)


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a text, in order. The indentation of an opening fence is taken off its lines."""
    out: list[Block] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence[2][0] == opening[2][0] and len(fence[2]) >= len(opening[2]) and not fence[3]:
            out.append(_block(opening, text[opening.end() + 1 : fence.start()], True))
            opening = None
    if opening is not None:
        out.append(_block(opening, text[opening.end() + 1 :], False))
    return out


def _block(opening: re.Match[str], body: str, closed: bool) -> Block:
    indent = opening[1]
    lines = [line.removeprefix(indent) for line in body.splitlines(keepends=True)] if indent else [body]
    return Block(opening[3].lower(), "".join(lines), closed)


def answer_code(text: str, language: Language, entry: str = "") -> str | None:
    """The block that is the answer: of those in the language (else of those without a name) the last that speaks of
    `entry`, else the longest. None: there is none.
    """
    found = [block for block in blocks(text) if block.code.strip()]
    fitting = [b for b in found if b.language == language or (language == "cpp" and b.language == "c")]
    fitting = fitting or [b for b in found if not b.name]
    if not fitting:
        return None
    named = [b for b in fitting if entry and re.search(rf"\b{re.escape(entry)}\b", b.code)]
    defining = [
        b for b in named if re.search(rf"(def|function|fn|func|const|let|var|class)\s+{re.escape(entry)}\b", b.code)
    ]
    if defining or named:
        return (defining or named)[-1].code
    return max(fitting, key=lambda block: len(block.code)).code
