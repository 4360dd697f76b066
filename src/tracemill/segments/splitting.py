r"""A message as an ordered list of segments that cover it, byte for byte.

    "## Sum\n- add `a`\n```py\nx\n```\n"  ->  mark "## ", heading "Sum", blank "\n", mark "- ", item "add `a`", blank "\n",
                                             fence "```py\nx\n```\n"

Law: `"".join(s.text for s in split(text)) == text`. Cost: linear in the text, whatever it holds.
"""

from __future__ import annotations

import re

from tracemill.segments.blocks import MATH_OPEN, Json, Maths, fence_end, fence_info
from tracemill.segments.code_comments import in_code
from tracemill.segments.code_lines import is_code
from tracemill.segments.masks import bare, has_words, mask
from tracemill.segments.segment import Kind, Segment
from tracemill.segments.table import DELIMITER, cells

HEAD = re.compile(
    r"(?P<quote>(?:>[ \t]?)*)[ \t]*"
    r"(?:(?P<heading>\#{1,6}(?=[ \t]))"
    r"|(?P<item>(?:[-*+•‣◦▪·–—]|\(?\d{1,9}[.):、．）]|[A-J][.:．])(?=\s)"
    r"|\(?(?:[A-Za-z]|[ivx]{2,5}|[IVX]{2,5})\)|（[A-Za-z]）|\[[ xX]\](?=\s))"
    r"(?:[ \t]*\[[ xX]\](?=\s))?)?\s*"
)
"""What stands before the text of a line: quote marks, a heading's signs, a bullet, a number, the letter of an option."""
DIGIT = re.compile(r"\d")


def split(text: str, comments: bool = False) -> tuple[Segment, ...]:
    """The segments of `text`, in order.

    Args:
        comments: Also take comments and docstrings inside fenced code as translatable segments.
    """
    return tuple(_Splitter(text, comments).segments())


class _Splitter:
    def __init__(self, text: str, comments: bool) -> None:
        self._text = text
        self._lines = text.splitlines(keepends=True)
        self._comments = comments
        self._out: list[Segment] = []
        self._maths = Maths(text)
        self._json = Json(text)
        self._table = False
        self._after_code = False

    def segments(self) -> list[Segment]:
        index = at = 0
        lines = self._lines
        while index < len(lines):
            line = lines[index]
            stripped = line.strip()
            if not stripped:
                self._blank(line)
                self._table = False
                index, at = index + 1, at + len(line)
                continue
            end = self._block(index, at, line, stripped)
            if end > at:
                while index < len(lines) and at + len(lines[index]) <= end:
                    at += len(lines[index])
                    index += 1
                if at < end:
                    lines[index] = lines[index][end - at :]
                    at = end
                continue
            self._line(index, line, stripped)
            index, at = index + 1, at + len(line)
        return self._out

    def _put(self, kind: Kind, text: str, translatable: bool = False) -> None:
        if text:
            self._out.append(Segment(kind, text, translatable))

    def _blank(self, text: str) -> None:
        if text and self._out and self._out[-1].kind == "blank":
            text = self._out.pop().text + text
        self._put("blank", text)

    def _block(self, index: int, at: int, line: str, stripped: str) -> int:
        """Take the block that begins in this line, if one does: where it ends, else `at`."""
        if ("```" in line or "~~~" in line) and (last := fence_end(self._lines, index)):
            taken = "".join(self._lines[index:last])
            if self._comments:
                self._out += in_code(taken, fence_info(line.rstrip()) or "")
            else:
                self._put("fence", taken)
            return at + len(taken)
        if stripped[0] in "{[":
            start = at + line.index(stripped[0])
            if (end := self._json.end(start)) >= 0:
                self._blank(self._text[at:start])
                self._put("json", self._text[start:end])
                return end
        if "$$" in line or "\\[" in line or "\\begin{" in line:
            return self._math(at, line)
        return at

    def _math(self, at: int, line: str) -> int:
        """Display math that is all of this line, or runs over its end; math amid a line is for the mask."""
        for opening in MATH_OPEN.finditer(self._text, at, at + len(line)):
            end = self._maths.end(opening)
            if end < 0:
                continue
            start = opening.start()
            before = self._text[at:start]
            if end > at + len(line.rstrip()) or not before.strip():
                rest = self._text[end : at + len(line)] if end < at + len(line) else ""
                if not before.strip() and rest.strip(" \t\r\n.,;:") and "\n" not in self._text[start:end]:
                    return at
                if before.strip():
                    self._line(0, before, before.strip())
                else:
                    self._blank(before)
                self._put("math", self._text[start:end])
                return end
            if end < at + len(line):
                continue
        return at

    def _line(self, index: int, line: str, stripped: str) -> None:
        if "|" in stripped and self._row(index, line, stripped):
            return
        self._table = False
        if is_code(line.rstrip(), self._after_code):
            self._put("code", line.rstrip())
            self._blank(line[len(line.rstrip()) :])
            self._after_code = True
            return
        self._after_code = False
        indent = len(line) - len(line.lstrip())
        self._blank(line[:indent])
        self._marked(line[indent:])

    def _marked(self, line: str) -> None:
        found = HEAD.match(line)
        assert found is not None
        kind: Kind = "heading" if found["heading"] else "item" if found["item"] else "prose"
        body = line[found.end() :]
        text = body.rstrip()
        if not has_words(text):
            whole = line.rstrip()
            self._put(_wordless(whole), whole)
            self._blank(line[len(whole) :])
            return
        self._put("mark", line[: found.end()])
        self._body(kind, body)

    def _body(self, kind: Kind, body: str) -> None:
        pieces = re.split(r"(\t+)", body.rstrip()) if "\t" in body.rstrip() else [body.rstrip()]
        kind = "cell" if len(pieces) > 1 else kind
        for number, piece in enumerate(pieces):
            if number % 2:
                self._put("frame", piece)
            else:
                self._piece(kind, piece)
        self._blank(body[len(body.rstrip()) :])

    def _piece(self, kind: Kind, piece: str) -> None:
        text = piece.strip()
        start = piece.index(text)
        self._blank(piece[:start])
        if has_words(text):
            self._put(kind, text, True)
        else:
            self._put(_wordless(text), text)
        self._blank(piece[start + len(text) :])

    def _row(self, index: int, line: str, stripped: str) -> bool:
        """Take a line of a table: one between pipes, or next to the row of dashes under a head."""
        below = self._lines[index + 1] if index + 1 < len(self._lines) else ""
        framed = stripped[0] == stripped[-1] == "|" and len(stripped) > 2
        if not (self._table or framed or DELIMITER.match(below.strip() or "x") or DELIMITER.match(stripped)):
            return False
        self._table = True
        for is_frame, piece in cells(line.rstrip()):
            if is_frame:
                self._put("frame", piece)
            else:
                self._piece("cell", piece)
        self._blank(line[len(line.rstrip()) :])
        return True


def _wordless(text: str) -> Kind:
    return "number" if DIGIT.search(bare(mask(text).text)) else "neutral"
